-- What is to be told to whom, and what is asked of the agents.

-- Where a site lies. Whoever looks after the sites fills it (an earlier step made it with more
-- columns); a site without a row lies in the centre's own prefecture.
CREATE TABLE IF NOT EXISTS sites (
    site       text PRIMARY KEY,
    prefecture text
);

-- One row for each message of a hit, recipient and channel: made in the transaction that makes the
-- row of the hit, so that neither is there without the other.
CREATE TABLE deliveries (
    event_id   text NOT NULL,
    -- Of the hit: with event_id it finds the row in hits.
    time       timestamptz NOT NULL,
    recipient  text NOT NULL,
    channel    text NOT NULL CHECK (channel IN ('webhook', 'mqtt')),
    level      text NOT NULL,
    -- What a box had kept comes after everything that is fresh: nobody is stopped for it any more.
    urgency    smallint NOT NULL GENERATED ALWAYS AS (
        CASE level WHEN 'red' THEN 0 WHEN 'orange' THEN 1 WHEN 'yellow' THEN 2 ELSE 3 END
        + CASE WHEN created_at - time > interval '1 minute' THEN 4 ELSE 0 END
    ) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Tries that were begun.
    attempts   integer NOT NULL DEFAULT 0,
    -- Not before. While somebody tries it, the end of the lease: if that process is killed, another
    -- one takes over then.
    next_at    timestamptz NOT NULL DEFAULT now(),
    done_at    timestamptz,
    -- Given up, for the reason in error.
    failed_at  timestamptz,
    -- Of the last try.
    error      text,
    PRIMARY KEY (event_id, recipient, channel)
);
CREATE INDEX deliveries_waiting ON deliveries (recipient, channel, urgency, created_at)
    WHERE done_at IS NULL AND failed_at IS NULL;
CREATE INDEX deliveries_failed ON deliveries (failed_at) WHERE failed_at IS NOT NULL;

-- Recipients that said "never again" (HTTP 410). What is for them waits until its deadline. Ends
-- when somebody enables it, or when its address changes.
CREATE TABLE deliveries_off (
    recipient text NOT NULL,
    channel   text NOT NULL,
    -- SHA-256 of the address in hexadecimal: an address may hold a token.
    address   text NOT NULL,
    since     timestamptz NOT NULL DEFAULT now(),
    reason    text NOT NULL,
    PRIMARY KEY (recipient, channel)
);

CREATE TABLE IF NOT EXISTS commands (request_id uuid PRIMARY KEY, agent integer NOT NULL REFERENCES agents, command text NOT NULL, body jsonb NOT NULL, by text NOT NULL, reason text, made_at timestamptz NOT NULL DEFAULT now(), sent_at timestamptz, expires_at timestamptz NOT NULL, state text NOT NULL DEFAULT 'wanted', answered_at timestamptz, code text, detail text);
CREATE INDEX commands_due ON commands (expires_at) WHERE state IN ('wanted', 'sent', 'expired');

-- How often a command was published, and when to do it again if no answer came.
CREATE TABLE command_sends (
    request_id uuid PRIMARY KEY REFERENCES commands ON DELETE CASCADE,
    attempts   integer NOT NULL DEFAULT 0,
    next_at    timestamptz NOT NULL,
    -- What the last try came to, where the broker did not hand it on.
    error      text
);
