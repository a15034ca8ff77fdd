-- The way to an upper view library by GA/T 1400 (docs/gat1400.md). Filled only where the config has
-- [gat1400].

-- Passages that the upper library is to get. A row is made in the transaction that makes the row of
-- the passage, so that neither is there without the other; it goes when the library has taken the
-- passage, and stays with the reason where it will not.
CREATE TABLE upper_queue (
    id         uuid NOT NULL,
    -- Of the passage: with id it finds the row in passages.
    time       timestamptz NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    -- Tries that were begun.
    attempts   integer NOT NULL DEFAULT 0,
    -- Not before: it waits for its pictures, or was not taken the last time.
    next_at    timestamptz NOT NULL DEFAULT now(),
    -- Who sends it now, and until when nobody else does: one start of one process. If that process
    -- is killed, another one takes over then.
    holder     uuid,
    held_until timestamptz,
    -- Of the last try.
    error      text,
    refused_at timestamptz,
    why        text,
    PRIMARY KEY (id, time),
    CHECK ((refused_at IS NULL) = (why IS NULL))
);
CREATE INDEX upper_queue_due ON upper_queue (next_at) WHERE refused_at IS NULL;
CREATE INDEX upper_queue_refused ON upper_queue (refused_at) WHERE refused_at IS NOT NULL;

-- What the upper library subscribes to.
CREATE TABLE upper_subscriptions (
    -- SubscribeID.
    id        text PRIMARY KEY,
    -- As it was sent.
    object    jsonb NOT NULL,
    -- Of it, for the match: devices, checkpoints, libraries, and beginnings of devices.
    resources text[] NOT NULL,
    begins    timestamptz NOT NULL,
    ends      timestamptz NOT NULL,
    cancelled boolean NOT NULL,
    since     timestamptz NOT NULL DEFAULT now(),
    -- When the last notification was taken.
    last_at   timestamptz,
    -- Vehicles that were told, and those that were given up.
    sent      bigint NOT NULL DEFAULT 0,
    given_up  bigint NOT NULL DEFAULT 0,
    -- Of the last try that failed; NULL once one went well.
    error     text
);

-- Passages that a subscription matches and that its receiver has not been told of yet. No foreign
-- key: a subscription that is deleted meanwhile must not stop the passages.
CREATE TABLE upper_notices (
    subscription text NOT NULL,
    id           uuid NOT NULL,
    time         timestamptz NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    attempts     integer NOT NULL DEFAULT 0,
    -- As in upper_queue; while somebody tells it, the end of the lease.
    next_at      timestamptz NOT NULL DEFAULT now(),
    -- What goes in one notification. A repeat is the same one: the same id, time and vehicles.
    batch        uuid,
    batch_at     timestamptz,
    PRIMARY KEY (subscription, id, time)
);
CREATE INDEX upper_notices_due ON upper_notices (subscription, next_at) WHERE batch IS NULL;
CREATE INDEX upper_notices_batch ON upper_notices (subscription) WHERE batch IS NOT NULL;
CREATE INDEX upper_notices_age ON upper_notices (made_at);

-- How it stands, as the process says that is registered or tries to be.
CREATE TABLE upper_state (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Its name in the config.
    process    text,
    registered boolean NOT NULL DEFAULT false,
    -- Since when it is registered, or is not.
    since      timestamptz,
    -- Its last word.
    seen_at    timestamptz,
    failure    text,
    -- The upper library's time less ours.
    offset_ms  bigint,
    -- Vehicles that the upper library took, ever.
    sent       bigint NOT NULL DEFAULT 0
);
INSERT INTO upper_state DEFAULT VALUES;
