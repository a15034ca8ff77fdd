CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  lane INTEGER NOT NULL,
  keep INTEGER NOT NULL,
  committed INTEGER NOT NULL,      -- milliseconds since 1970
  captured INTEGER,                -- likewise; null: cannot be late
  retain INTEGER NOT NULL,
  size INTEGER NOT NULL,           -- bytes of payload
  id TEXT NOT NULL,
  topic TEXT NOT NULL,
  content_type TEXT,
  properties TEXT NOT NULL,        -- JSON: [[name, value], ...]
  correlation BLOB,
  previous BLOB NOT NULL,          -- hash of the message before
  hash BLOB NOT NULL,
  payload BLOB NOT NULL            -- last, so that the rest is read without it
) STRICT;
CREATE TABLE waiting (lane INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (lane, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE held (
  seq INTEGER PRIMARY KEY, lane INTEGER NOT NULL, reason TEXT NOT NULL, why TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE TABLE kept (
  keep INTEGER NOT NULL, lane INTEGER NOT NULL, committed INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (keep, lane, committed, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE gone (first INTEGER PRIMARY KEY, last INTEGER NOT NULL) STRICT;
CREATE TABLE lane (
  lane INTEGER PRIMARY KEY,
  waiting INTEGER NOT NULL DEFAULT 0, waiting_bytes INTEGER NOT NULL DEFAULT 0,
  held INTEGER NOT NULL DEFAULT 0, held_bytes INTEGER NOT NULL DEFAULT 0,
  kept INTEGER NOT NULL DEFAULT 0, kept_bytes INTEGER NOT NULL DEFAULT 0,
  evicted INTEGER NOT NULL DEFAULT 0, evicted_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO lane (lane) VALUES (0), (1), (2), (3);
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
CREATE TABLE revived (seq INTEGER PRIMARY KEY) STRICT;
CREATE TABLE command (request TEXT PRIMARY KEY, at INTEGER NOT NULL, answer INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
