-- What comes from the agents, as it came. The exact bytes of every message stay in its row with the
-- seal beside them, so that anybody who has the agent's public key can verify it years later.
--
-- Partitions: one a day (UTC) by the message's own time, made by the subscriber before it writes
-- (store/partitions.rs). A message with a time far from now lies in the default partition: the clock
-- of its box was wrong, and the record is kept all the same.
--
-- Every time is a timestamptz. Codes and words are those of the contract (docs/messages.md).

-- One row for each agent that was ever heard.
CREATE TABLE agents (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site         text NOT NULL,
    agent        text NOT NULL,
    -- Ed25519, 32 bytes; NULL until a birth message or a list pins it.
    public_key   bytea CHECK (octet_length(public_key) = 32),
    key_source   text CHECK (key_source IN ('birth', 'list', 'operator')),
    key_since    timestamptz,
    first_heard  timestamptz NOT NULL DEFAULT now(),
    -- Everything up to here is accounted for: it came, or the agent said that it will not.
    floor        bigint NOT NULL DEFAULT 0,
    -- The hash of message `floor`; NULL where that one never came. 32 zeros before the first message.
    floor_hash   bytea DEFAULT decode(repeat('00', 32), 'hex'),
    -- The highest number heard of.
    highest      bigint NOT NULL DEFAULT 0,
    UNIQUE (site, agent),
    CHECK ((public_key IS NULL) = (key_source IS NULL)),
    CHECK ((public_key IS NULL) = (key_since IS NULL))
);

-- The tables of messages name agents without a foreign key: the check of it for each row costs as much
-- as the row, and nobody but the subscriber, which makes the agents, writes here.

-- One row per vehicle.
CREATE TABLE passages (
    id                 uuid NOT NULL,
    time               timestamptz NOT NULL,
    agent              integer NOT NULL,
    camera             text NOT NULL,
    lane               text,
    direction          text NOT NULL,
    wrong_way          boolean,
    first_seen         timestamptz NOT NULL,
    last_seen          timestamptz NOT NULL,
    vehicle_class      text,
    class_confidence   real,
    -- NULL: no plate could be read, or it was withheld; no_plate_reason says why.
    plate              text,
    plate_confidence   real,
    -- GA 36 code.
    plate_kind         text,
    plate_colour       text,
    -- Width of the plate in the picture, px: mean of upper and lower edge.
    plate_width        real,
    no_plate_reason    text,
    is_late            boolean NOT NULL,
    -- Of the agent's clock when it was recorded; NULL in a replay.
    clock_state        text,
    -- 'owner/role sha256' of each picture that the message promises, in hexadecimal.
    evidence           text[] NOT NULL DEFAULT '{}',
    received_at        timestamptz NOT NULL DEFAULT now(),
    sequence           bigint,
    previous_hash      bytea,
    hash               bytea,
    signature          bytea,
    body               bytea NOT NULL,
    PRIMARY KEY (id, time)
) PARTITION BY RANGE (time);
CREATE INDEX passages_plate ON passages (plate, time) WHERE plate IS NOT NULL;
CREATE INDEX passages_place ON passages (agent, camera, time);

-- One row per message of a hit's life: provisional, then confirmed, retracted or unresolved.
CREATE TABLE hits (
    -- CloudEvents id: the hit's id and its state.
    event_id         text NOT NULL,
    time             timestamptz NOT NULL,
    hit              uuid NOT NULL,
    state            text NOT NULL,
    passage          uuid NOT NULL,
    agent            integer NOT NULL,
    camera           text NOT NULL,
    lane             text,
    level            text NOT NULL,
    category         text NOT NULL,
    reason           text NOT NULL,
    list             text NOT NULL,
    entry_plate      text NOT NULL,
    authority        text,
    plate            text NOT NULL,
    plate_confidence real NOT NULL,
    plate_kind       text,
    is_late          boolean NOT NULL,
    retraction       text,
    -- As in passages.
    evidence         text[] NOT NULL DEFAULT '{}',
    received_at      timestamptz NOT NULL DEFAULT now(),
    sequence         bigint,
    previous_hash    bytea,
    hash             bytea,
    signature        bytea,
    body             bytea NOT NULL,
    PRIMARY KEY (event_id, time)
) PARTITION BY RANGE (time);
CREATE INDEX hits_hit ON hits (hit, time);
CREATE INDEX hits_received ON hits (received_at);
CREATE INDEX hits_plate ON hits (plate, time);

CREATE TABLE signals (
    id            uuid NOT NULL,
    time          timestamptz NOT NULL,
    kind          text NOT NULL,
    passage       uuid NOT NULL,
    agent         integer NOT NULL,
    camera        text NOT NULL,
    lane          text,
    plate         text,
    received_at   timestamptz NOT NULL DEFAULT now(),
    sequence      bigint,
    previous_hash bytea,
    hash          bytea,
    signature     bytea,
    body          bytea NOT NULL,
    PRIMARY KEY (id, time)
) PARTITION BY RANGE (time);
CREATE INDEX signals_place ON signals (agent, camera, time);

-- Births, states and last wills. The last of each agent is also in agent_state.
CREATE TABLE statuses (
    id            uuid NOT NULL,
    time          timestamptz NOT NULL,
    agent         integer NOT NULL,
    state         text NOT NULL,
    reason        text,
    health        text NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    sequence      bigint,
    previous_hash bytea,
    hash          bytea,
    signature     bytea,
    body          bytea NOT NULL,
    PRIMARY KEY (id, time)
) PARTITION BY RANGE (time);
CREATE INDEX statuses_agent ON statuses (agent, time);

CREATE TABLE audits (
    id            uuid NOT NULL,
    time          timestamptz NOT NULL,
    kind          text NOT NULL,
    agent         integer NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    sequence      bigint,
    previous_hash bytea,
    hash          bytea,
    signature     bytea,
    body          bytea NOT NULL,
    PRIMARY KEY (id, time)
) PARTITION BY RANGE (time);
CREATE INDEX audits_agent ON audits (agent, time);

-- Answers to commands.
CREATE TABLE results (
    id            uuid NOT NULL,
    time          timestamptz NOT NULL,
    agent         integer NOT NULL,
    request_id    uuid,
    command       text NOT NULL,
    ok            boolean NOT NULL,
    code          text NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    sequence      bigint,
    previous_hash bytea,
    hash          bytea,
    signature     bytea,
    body          bytea NOT NULL,
    PRIMARY KEY (id, time)
) PARTITION BY RANGE (time);
CREATE INDEX results_request ON results (request_id);

-- Pictures. The bytes lie in the object store under `object`; they were there before the row.
CREATE TABLE pictures (
    owner         uuid NOT NULL,
    role          text NOT NULL,
    -- When its owner's vehicle was first seen: what the owner's id says.
    time          timestamptz NOT NULL,
    agent         integer NOT NULL,
    content_type  text NOT NULL,
    bytes         bigint NOT NULL,
    sha256        bytea NOT NULL,
    object        text NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    sequence      bigint,
    previous_hash bytea,
    hash          bytea,
    signature     bytea,
    PRIMARY KEY (owner, role, time)
) PARTITION BY RANGE (time);

CREATE TABLE passages_default PARTITION OF passages DEFAULT;
CREATE TABLE hits_default PARTITION OF hits DEFAULT;
CREATE TABLE signals_default PARTITION OF signals DEFAULT;
CREATE TABLE statuses_default PARTITION OF statuses DEFAULT;
CREATE TABLE audits_default PARTITION OF audits DEFAULT;
CREATE TABLE results_default PARTITION OF results DEFAULT;
CREATE TABLE pictures_default PARTITION OF pictures DEFAULT;

-- What the auditor (one process at a time) has not looked at yet: the seal of each message that was
-- committed. Emptied as it is read.
CREATE TABLE ledger (
    agent         integer NOT NULL,
    sequence      bigint NOT NULL,
    previous_hash bytea NOT NULL,
    hash          bytea NOT NULL,
    -- The message made a new row; a repeat did not.
    fresh         boolean NOT NULL,
    event_id      text NOT NULL
);

-- Ranges that an agent said will not come, as its audit messages came in. Emptied as it is read.
CREATE TABLE ledger_gone (
    agent integer NOT NULL,
    first bigint NOT NULL,
    last  bigint NOT NULL,
    -- eviction, deletion, damage: the kind of the audit event; missing: an answer to resend
    why   text NOT NULL,
    -- The audit message or the answer that says so.
    audit uuid NOT NULL
);

-- Messages above an agent's floor: what the auditor needs to go on after a restart.
CREATE TABLE chain (
    agent         integer NOT NULL REFERENCES agents,
    sequence      bigint NOT NULL,
    previous_hash bytea NOT NULL,
    hash          bytea NOT NULL,
    PRIMARY KEY (agent, sequence)
);

-- What an agent said will not come, for ever: where a number is in no table, this says why.
CREATE TABLE gone (
    agent integer NOT NULL REFERENCES agents,
    first bigint NOT NULL,
    last  bigint NOT NULL,
    why   text NOT NULL,
    audit uuid NOT NULL,
    heard timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agent, first, last, audit)
);

-- What is missing now, and what was done about it.
CREATE TABLE gaps (
    agent     integer NOT NULL REFERENCES agents,
    first     bigint NOT NULL,
    last      bigint NOT NULL,
    since     timestamptz NOT NULL DEFAULT now(),
    asked     integer NOT NULL DEFAULT 0,
    asked_at  timestamptz,
    -- The last answer to a resend.
    answer    text,
    PRIMARY KEY (agent, first),
    CHECK (first <= last)
);

-- The last word of each agent.
CREATE TABLE agent_state (
    agent          integer PRIMARY KEY REFERENCES agents,
    -- Of the last status by its own time; a last will has the time of its connection.
    status         uuid,
    time           timestamptz,
    received_at    timestamptz,
    state          text,
    reason         text,
    health         text,
    -- Since when state is what it is, by the centre's clock.
    since          timestamptz,
    version        text,
    started_at     timestamptz,
    clock_state    text,
    clock_offset   integer,
    -- When anything of it was last committed, by the centre's clock.
    heard          timestamptz,
    body           bytea
);

CREATE TABLE camera_state (
    agent      integer NOT NULL REFERENCES agents,
    camera     text NOT NULL,
    state      text,
    health     text NOT NULL,
    since      timestamptz,
    last_frame timestamptz,
    detail     text,
    PRIMARY KEY (agent, camera)
);

-- What somebody has to look at. One open row for each kind and subject; a repeat counts up.
CREATE TABLE alarms (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- key_changed, chain_broken, number_reused, forged, picture_altered, unreadable, elsewhere,
    -- not_sealed, unknown_topic, unstorable, silent, offline, lost, clock, camera
    kind      text NOT NULL,
    agent     integer REFERENCES agents,
    -- What of the agent it is about, as a camera or a range; empty: the agent.
    subject   text NOT NULL DEFAULT '',
    raised_at timestamptz NOT NULL DEFAULT now(),
    last_at   timestamptz NOT NULL DEFAULT now(),
    ended_at  timestamptz,
    count     bigint NOT NULL DEFAULT 1,
    detail    text NOT NULL,
    evidence  jsonb
);
CREATE UNIQUE INDEX alarms_open ON alarms (kind, agent, subject) NULLS NOT DISTINCT
    WHERE ended_at IS NULL;

-- Messages that are not believed, as they came. Released when the reason is gone (a key was pinned).
CREATE TABLE quarantine (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL DEFAULT now(),
    agent        integer REFERENCES agents,
    -- no_key, not_sealed, forged, key_changed, elsewhere, unreadable, unknown_topic, unstorable
    reason       text NOT NULL,
    detail       text NOT NULL,
    topic        text NOT NULL,
    content_type text,
    properties   jsonb NOT NULL,
    payload      bytea NOT NULL,
    released_at  timestamptz
);
CREATE INDEX quarantine_waiting ON quarantine (agent) WHERE released_at IS NULL;
