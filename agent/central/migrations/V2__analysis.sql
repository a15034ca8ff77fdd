-- What the platform does with what came: places, users, searches and commands; and the views and
-- functions that answer.
--
-- Who sees what is decided in one place: the view `seen.agents`. It shows the agents of those
-- prefectures that the setting `kakou.prefectures` of the transaction names, all of them for `*`,
-- and none where the setting is missing. Everything else in the schema `seen` stands on it, and the
-- HTTP interface reads nothing of the agents but this schema. From a terminal:
--     SET kakou.prefectures = '*'; SELECT * FROM seen.route('冀Z7K0T9', '2031-05-04', '2031-05-05');
--
-- Days, hours, weeks and months are those of Asia/Shanghai.

-- Places -----------------------------------------------------------------------------------------

CREATE TABLE organisations (
    code   text PRIMARY KEY CHECK (code ~ '^[0-9A-Za-z]{1,32}$'),
    name   text NOT NULL,
    parent text CHECK (parent <> code)
);

CREATE TABLE sites (
    -- The id that the agents of the site carry in their messages.
    site         text PRIMARY KEY,
    name         text NOT NULL,
    organisation text REFERENCES organisations,
    -- Of the city's grid (网格编码).
    grid         text,
    -- GB/T 2260: six digits.
    prefecture   text CHECK (prefecture ~ '^[1-9][0-9]{5}$'),
    -- WGS 84, degrees.
    longitude    double precision CHECK (longitude BETWEEN -180 AND 180),
    latitude     double precision CHECK (latitude BETWEEN -90 AND 90),
    CHECK ((longitude IS NULL) = (latitude IS NULL))
);

CREATE TABLE site_cameras (
    site     text NOT NULL REFERENCES sites,
    agent    text NOT NULL,
    camera   text NOT NULL,
    name     text,
    -- GA/T 1400, 20 digits.
    device   text CHECK (device ~ '^[0-9]{20}$'),
    tollgate text CHECK (tollgate ~ '^[0-9]{20}$'),
    PRIMARY KEY (site, agent, camera)
);

-- Users ------------------------------------------------------------------------------------------

CREATE TABLE users (
    name        text PRIMARY KEY,
    roles       text[] NOT NULL CHECK (cardinality(roles) > 0
                AND roles <@ ARRAY['viewer', 'investigator', 'operator', 'admin']),
    -- GB/T 2260 codes; 130600 stands for 1306xx, 130000 for 13xxxx. NULL: no limit.
    prefectures text[] CHECK (cardinality(prefectures) > 0
                AND array_to_string(prefectures, ',', '?') ~ '^[1-9][0-9]{5}(,[1-9][0-9]{5})*$'),
    -- Of the password: Argon2id, as a PHC string.
    hash        text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now()
);

-- For programs. Only the SHA-256 of a token is kept.
CREATE TABLE api_tokens (
    hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    holder     text NOT NULL REFERENCES users ON DELETE CASCADE,
    label      text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX api_tokens_holder ON api_tokens (holder);

-- Who looked for what, and why. Written before the answer is given; rows are counted after it.
CREATE TABLE search_audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    who     text NOT NULL,
    role    text NOT NULL,
    address text NOT NULL,
    reason  text,
    what    text NOT NULL,
    filter  jsonb NOT NULL,
    -- How many rows the answer had; NULL where none was given.
    rows    bigint
);
CREATE INDEX search_audit_at ON search_audit (at, id);
CREATE INDEX search_audit_who ON search_audit (who, at, id);

CREATE FUNCTION search_audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.rows IS NULL
        AND (to_jsonb(OLD) - 'rows') = (to_jsonb(NEW) - 'rows') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'search_audit is only added to';
END $$;
CREATE TRIGGER search_audit_stays BEFORE UPDATE OR DELETE ON search_audit
    FOR EACH ROW EXECUTE FUNCTION search_audit_stays();
CREATE TRIGGER search_audit_stays_whole BEFORE TRUNCATE ON search_audit
    FOR EACH STATEMENT EXECUTE FUNCTION search_audit_stays();

-- What agents are asked. States: wanted, sent, answered, expired, failed.
CREATE TABLE commands (
    request_id  uuid PRIMARY KEY,
    agent       integer NOT NULL REFERENCES agents,
    command     text NOT NULL,
    body        jsonb NOT NULL,
    by          text NOT NULL,
    reason      text,
    made_at     timestamptz NOT NULL DEFAULT now(),
    sent_at     timestamptz,
    expires_at  timestamptz NOT NULL,
    state       text NOT NULL DEFAULT 'wanted',
    answered_at timestamptz,
    code        text,
    detail      text
);
CREATE INDEX commands_open ON commands (state, expires_at) WHERE state IN ('wanted', 'sent');
CREATE INDEX commands_agent ON commands (agent, made_at);

ALTER TABLE alarms
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN acknowledged_note text,
    -- Of an alarm that somebody ended: who, and what was found.
    ADD COLUMN ended_by text,
    ADD COLUMN ended_note text;

-- Indexes ----------------------------------------------------------------------------------------

-- In place of passages_plate: finds a whole plate as well, and the beginning of one.
DROP INDEX passages_plate;
CREATE INDEX passages_plate ON passages (plate text_pattern_ops, time) WHERE plate IS NOT NULL;
CREATE INDEX hits_time ON hits (time, event_id);

-- The hit that an officer answered to; NULL where the body does not say.
CREATE FUNCTION answered_hit(body bytea) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN (convert_from(body, 'UTF8')::json #>> '{event,hit}')::uuid;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;
CREATE INDEX audits_answered ON audits (answered_hit(body)) WHERE kind = 'answer';

-- Who sees what ----------------------------------------------------------------------------------

CREATE SCHEMA seen;

-- Whether a division's code lies in one of the codes of a list with commas.
CREATE FUNCTION seen.in_prefectures(code text, list text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(list = '*' OR EXISTS (
        SELECT FROM unnest(string_to_array(list, ',')) wanted
        WHERE starts_with(code, regexp_replace(wanted, '(00){1,2}$', ''))), false)
$$;

-- The one place.
CREATE VIEW seen.agents AS
SELECT a.id, a.site, a.agent, a.public_key, a.key_source, a.key_since, a.first_heard, a.floor,
       a.highest, s.name AS site_name, s.organisation, o.name AS organisation_name, s.grid,
       s.prefecture, s.longitude, s.latitude
FROM agents a
LEFT JOIN sites s ON s.site = a.site
LEFT JOIN organisations o ON o.code = s.organisation
WHERE (SELECT current_setting('kakou.prefectures', true)) = '*'
   OR seen.in_prefectures(s.prefecture, (SELECT current_setting('kakou.prefectures', true)));

CREATE VIEW seen.passages AS
SELECT p.id, p.time, p.agent AS agent_id, a.site, a.agent, p.camera, p.lane, p.direction,
       p.wrong_way, p.first_seen, p.last_seen, p.vehicle_class, p.class_confidence, p.plate,
       p.plate_confidence, p.plate_kind, p.plate_colour, p.plate_width, p.no_plate_reason,
       p.is_late, p.clock_state, p.received_at, a.site_name, a.organisation, a.organisation_name,
       a.grid, a.prefecture, a.longitude, a.latitude
FROM passages p JOIN seen.agents a ON a.id = p.agent;

CREATE VIEW seen.hits AS
SELECT h.event_id, h.time, h.hit, h.state, h.passage, h.agent AS agent_id, a.site, a.agent,
       h.camera, h.lane, h.level, h.category, h.reason, h.list, h.entry_plate, h.authority, h.plate,
       h.plate_confidence, h.plate_kind, h.is_late, h.retraction, h.received_at, a.site_name,
       a.organisation, a.organisation_name, a.grid, a.prefecture, a.longitude, a.latitude
FROM hits h JOIN seen.agents a ON a.id = h.agent;

-- Where in a hit's life a state stands: the end of it, and `again` after that.
CREATE FUNCTION seen.rank(state text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE state WHEN 'provisional' THEN 0 WHEN 'again' THEN 2 ELSE 1 END
$$;

-- Each hit as it stands. All messages of its life lie within a day of each other: the bound lets
-- the planner leave out the other days.
CREATE VIEW seen.hits_now AS
SELECT h.* FROM seen.hits h
WHERE NOT EXISTS (
    SELECT FROM hits later
    WHERE later.hit = h.hit
      AND later.time BETWEEN h.time - interval '1 day' AND h.time + interval '1 day'
      AND (seen.rank(later.state), later.time, later.event_id)
          > (seen.rank(h.state), h.time, h.event_id));

-- What officers answered. A later answer to the same hit takes the place of the earlier.
CREATE VIEW seen.answers AS
SELECT x.id, x.time, x.agent AS agent_id, a.site, a.agent, answered_hit(x.body) AS hit,
       b.event ->> 'verdict' AS verdict, b.event ->> 'by' AS by, b.event ->> 'note' AS note,
       b.event ->> 'list' AS list, b.event ->> 'plate' AS entry_plate
FROM audits x
JOIN seen.agents a ON a.id = x.agent
CROSS JOIN LATERAL (SELECT convert_from(x.body, 'UTF8')::json -> 'event' AS event) b
WHERE x.kind = 'answer' AND answered_hit(x.body) IS NOT NULL;

-- The last answer to each hit, with the hit.
CREATE VIEW seen.verdicts AS
SELECT h.hit, h.time AS hit_time, h.state, h.site, h.agent, h.camera, h.lane, h.level, h.category,
       h.list, h.entry_plate, h.plate, h.plate_confidence, h.site_name, h.organisation, h.prefecture,
       v.time, v.verdict, v.by, v.note
FROM seen.hits_now h
CROSS JOIN LATERAL (
    SELECT v.time, v.verdict, v.by, v.note FROM seen.answers v
    WHERE v.hit = h.hit AND v.time >= h.time - interval '1 day'
      AND v.time < h.time + interval '92 days'
    ORDER BY v.time DESC, v.id DESC LIMIT 1) v;

CREATE VIEW seen.gaps AS
SELECT a.site, a.agent, a.site_name, a.organisation, g.agent AS agent_id, g.first, g.last,
       g.last - g.first + 1 AS messages, g.since, g.asked, g.asked_at, g.answer
FROM gaps g JOIN seen.agents a ON a.id = g.agent;

-- An alarm that is of no agent is for who sees all.
CREATE VIEW seen.alarms AS
SELECT l.id, l.kind, a.site, a.agent, a.site_name, a.organisation, l.subject, l.raised_at,
       l.last_at, l.ended_at, l.count, l.detail, l.evidence, l.acknowledged_at, l.acknowledged_by,
       l.acknowledged_note, l.ended_by, l.ended_note
FROM alarms l LEFT JOIN seen.agents a ON a.id = l.agent
WHERE a.id IS NOT NULL
   OR (l.agent IS NULL AND (SELECT current_setting('kakou.prefectures', true)) = '*');

CREATE VIEW seen.commands AS
SELECT c.request_id, a.site, a.agent, c.command, c.body, c.by, c.reason, c.made_at, c.sent_at,
       c.expires_at, c.state, c.answered_at, c.code, c.detail
FROM commands c JOIN seen.agents a ON a.id = c.agent;

CREATE VIEW seen.pictures AS
SELECT p.owner, p.role, p.time, a.site, a.agent, p.content_type, p.bytes, p.sha256, p.object
FROM pictures p JOIN seen.agents a ON a.id = p.agent;

CREATE VIEW seen.sites AS
SELECT s.site, s.name, s.organisation, o.name AS organisation_name, s.grid, s.prefecture,
       s.longitude, s.latitude
FROM sites s LEFT JOIN organisations o ON o.code = s.organisation
WHERE (SELECT current_setting('kakou.prefectures', true)) = '*'
   OR seen.in_prefectures(s.prefecture, (SELECT current_setting('kakou.prefectures', true)));

-- Analysis ---------------------------------------------------------------------------------------

-- Haversine on a sphere of the earth's mean radius (6371.0088 km): within 0.6 % of the ellipsoid. A
-- road is never shorter, so a speed made of it is never too high by more than that.
CREATE FUNCTION great_circle_km(lon1 double precision, lat1 double precision,
                                lon2 double precision, lat2 double precision)
RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT 2 * 6371.0088 * asin(least(1, sqrt(
        sin(radians(lat2 - lat1) / 2) ^ 2
        + cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lon2 - lon1) / 2) ^ 2)))
$$;

-- 路线: where a plate passed, in time order, with the way from the sighting before.
CREATE FUNCTION seen.route(wanted text, since timestamptz, until timestamptz)
RETURNS TABLE (id uuid, "time" timestamptz, site text, agent text, camera text, lane text,
               direction text, vehicle_class text, plate text, plate_confidence real,
               plate_kind text, plate_colour text, is_late boolean, clock_state text,
               site_name text, organisation text, grid text, prefecture text,
               longitude double precision, latitude double precision,
               seconds double precision, km double precision)
LANGUAGE sql STABLE AS $$
    SELECT p.id, p.time, p.site, p.agent, p.camera, p.lane, p.direction, p.vehicle_class, p.plate,
           p.plate_confidence, p.plate_kind, p.plate_colour, p.is_late, p.clock_state, p.site_name,
           p.organisation, p.grid, p.prefecture, p.longitude, p.latitude,
           extract(epoch FROM p.time - lag(p.time) OVER o)::double precision,
           great_circle_km(lag(p.longitude) OVER o, lag(p.latitude) OVER o,
                           p.longitude, p.latitude)
    FROM seen.passages p
    WHERE p.plate = wanted AND p.time >= since AND p.time < until
    WINDOW o AS (ORDER BY p.time, p.id)
$$;

-- Plates that passed the same sites within `within` of one plate, at `least_sites` sites or more.
CREATE FUNCTION seen.companions(wanted text, since timestamptz, until timestamptz,
                                within interval, least_sites integer)
RETURNS TABLE (plate text, sites bigint, meetings bigint, mean_seconds double precision,
               first_met timestamptz, last_met timestamptz, at_sites text[])
LANGUAGE sql STABLE AS $$
    WITH mine AS MATERIALIZED (
        SELECT p.id, p.time, p.site FROM seen.passages p
        WHERE p.plate = wanted AND p.time >= since AND p.time < until
    ), met AS (
        SELECT DISTINCT ON (other.plate, mine.id) other.plate, mine.id, mine.time, mine.site,
               abs(extract(epoch FROM other.time - mine.time)) AS seconds
        FROM mine
        JOIN seen.agents box ON box.site = mine.site
        JOIN passages other ON other.agent = box.id
             AND other.time BETWEEN mine.time - within AND mine.time + within
        WHERE other.plate IS NOT NULL AND other.plate <> wanted
        ORDER BY other.plate, mine.id, seconds
    )
    SELECT met.plate, count(DISTINCT met.site), count(*), avg(met.seconds)::double precision,
           min(met.time), max(met.time), array_agg(DISTINCT met.site ORDER BY met.site)
    FROM met GROUP BY met.plate HAVING count(DISTINCT met.site) >= least_sites
$$;

-- 套牌嫌疑: one plate at two places too far apart for the time between. Each sighting is compared with
-- the one before of the same plate: if any two are impossible then some two neighbours on the way
-- are, since a way in legs is no shorter than the straight one.
-- Left out: reads below `least_confidence`; a clock that nobody disciplines; late passages stay in.
-- Two sightings count only if they are of different sites (so of different boxes) and `least_km` apart.
CREATE FUNCTION seen.clones(since timestamptz, until timestamptz, kmh double precision,
                            least_confidence real DEFAULT 0.9,
                            least_km double precision DEFAULT 2)
RETURNS TABLE (plate text, id uuid, "time" timestamptz, site text, agent text, camera text,
               site_name text, vehicle_class text, plate_colour text, plate_confidence real,
               before_id uuid, before_time timestamptz, before_site text, before_agent text,
               before_camera text, before_site_name text, before_vehicle_class text,
               before_plate_colour text, before_plate_confidence real,
               km double precision, seconds double precision, implied_kmh double precision)
LANGUAGE sql STABLE AS $$
    WITH sightings AS (
        SELECT p.*,
               lag(p.id) OVER o AS b_id, lag(p.time) OVER o AS b_time, lag(p.site) OVER o AS b_site,
               lag(p.agent) OVER o AS b_agent, lag(p.camera) OVER o AS b_camera,
               lag(p.site_name) OVER o AS b_site_name,
               lag(p.vehicle_class) OVER o AS b_class, lag(p.plate_colour) OVER o AS b_colour,
               lag(p.plate_confidence) OVER o AS b_confidence,
               lag(p.longitude) OVER o AS b_longitude, lag(p.latitude) OVER o AS b_latitude
        FROM seen.passages p
        WHERE p.time >= since AND p.time < until AND p.plate IS NOT NULL
          AND p.plate_confidence >= least_confidence AND p.longitude IS NOT NULL
          AND p.clock_state IS DISTINCT FROM 'unsynchronised'
        WINDOW o AS (PARTITION BY p.plate ORDER BY p.time, p.id)
    ), legs AS (
        SELECT s.*, great_circle_km(s.b_longitude, s.b_latitude, s.longitude, s.latitude) AS km,
               extract(epoch FROM s.time - s.b_time)::double precision AS seconds
        FROM sightings s WHERE s.site <> s.b_site
    )
    SELECT l.plate, l.id, l.time, l.site, l.agent, l.camera, l.site_name, l.vehicle_class,
           l.plate_colour, l.plate_confidence, l.b_id, l.b_time, l.b_site, l.b_agent, l.b_camera,
           l.b_site_name, l.b_class, l.b_colour, l.b_confidence, l.km, l.seconds,
           l.km / greatest(l.seconds, 1) * 3600
    FROM legs l
    WHERE l.km >= least_km AND l.km * 3600 > kmh * greatest(l.seconds, 1)
$$;

-- Flow by lane and hour, day, ISO week or month. `wanted` NULL: all sites.
CREATE FUNCTION seen.flow(since timestamptz, until timestamptz, unit text, wanted text)
RETURNS TABLE (period text, site text, agent text, camera text, lane text, passages bigint,
               with_plate bigint, wrong_way bigint)
LANGUAGE sql STABLE AS $$
    SELECT CASE unit
               WHEN 'hour' THEN to_char(f.start, 'YYYY-MM-DD"T"HH24')
               WHEN 'day' THEN to_char(f.start, 'YYYY-MM-DD')
               WHEN 'week' THEN to_char(f.start, 'IYYY-"W"IW')
               WHEN 'month' THEN to_char(f.start, 'YYYY-MM')
           END,
           f.site, f.agent, f.camera, f.lane, f.passages, f.with_plate, f.wrong_way
    FROM (
        SELECT date_trunc(unit, p.time AT TIME ZONE 'Asia/Shanghai') AS start, p.site, p.agent,
               p.camera, p.lane, count(*) AS passages, count(p.plate) AS with_plate,
               count(*) FILTER (WHERE p.wrong_way) AS wrong_way
        FROM seen.passages p
        WHERE p.time >= since AND p.time < until AND (wanted IS NULL OR p.site = wanted)
        GROUP BY 1, 2, 3, 4, 5
    ) f
$$;

-- 数据质量监测: a day of each camera that is known by the list of cameras, by a status, or by a
-- passage. `score` is 0 for a day without a fault; each of these adds up to 1: share without a
-- plate, share late, share with a clock that is not synchronised, share of hours in which nothing
-- passed, and 1 for messages missing. Of a day that is not over, the hours up to `now` count.
CREATE FUNCTION seen.quality(day date, now timestamptz)
RETURNS TABLE (site text, site_name text, organisation text, organisation_name text, grid text,
               prefecture text, agent text, camera text, camera_name text, device text,
               passages bigint, with_plate bigint, plate_share double precision,
               confidence double precision, plate_width double precision,
               late_share double precision, unsynchronised_share double precision,
               missing bigint, hours bigint, silent_hours bigint, score double precision)
LANGUAGE sql STABLE AS $$
    WITH bounds AS (
        SELECT day::timestamp AT TIME ZONE 'Asia/Shanghai' AS since,
               (day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai' AS until
    ), hours AS (
        SELECT greatest(0, ceil(extract(epoch FROM least(until, now) - since) / 3600))::bigint AS n
        FROM bounds
    ), counted AS (
        SELECT p.agent AS id, p.camera, count(*) AS passages, count(p.plate) AS with_plate,
               avg(p.plate_confidence) AS confidence, avg(p.plate_width) AS plate_width,
               count(*) FILTER (WHERE p.is_late) AS late,
               count(*) FILTER (WHERE p.clock_state = 'unsynchronised') AS unsynchronised,
               count(DISTINCT date_trunc('hour', p.time AT TIME ZONE 'Asia/Shanghai')) AS busy
        FROM passages p
        WHERE p.time >= (day::timestamp AT TIME ZONE 'Asia/Shanghai')
          AND p.time < ((day + 1)::timestamp AT TIME ZONE 'Asia/Shanghai')
        GROUP BY 1, 2
    ), known AS (
        SELECT a.id, c.camera FROM site_cameras c JOIN seen.agents a USING (site, agent)
        UNION SELECT s.agent, s.camera FROM camera_state s
        UNION SELECT c.id, c.camera FROM counted c
    ), missing AS (
        SELECT g.agent AS id, sum(g.last - g.first + 1)::bigint AS n
        FROM gaps g, bounds WHERE g.since < bounds.until GROUP BY 1
    ), figures AS (
        SELECT a.site, a.site_name, a.organisation, a.organisation_name, a.grid, a.prefecture,
               a.agent, k.camera, l.name AS camera_name, l.device,
               coalesce(c.passages, 0) AS passages, coalesce(c.with_plate, 0) AS with_plate,
               c.with_plate::double precision / c.passages AS plate_share, c.confidence,
               c.plate_width, c.late::double precision / c.passages AS late_share,
               c.unsynchronised::double precision / c.passages AS unsynchronised_share,
               coalesce(m.n, 0) AS missing, h.n AS hours,
               greatest(0, h.n - coalesce(c.busy, 0)) AS silent_hours
        FROM known k
        JOIN seen.agents a ON a.id = k.id
        CROSS JOIN hours h
        LEFT JOIN counted c ON c.id = k.id AND c.camera = k.camera
        LEFT JOIN missing m ON m.id = k.id
        LEFT JOIN site_cameras l
               ON l.site = a.site AND l.agent = a.agent AND l.camera = k.camera
    )
    SELECT f.*, (CASE WHEN f.hours > 0 THEN 1 - coalesce(f.plate_share, 0) ELSE 0 END)
           + coalesce(f.late_share, 0) + coalesce(f.unsynchronised_share, 0)
           + coalesce(f.silent_hours::double precision / nullif(f.hours, 0), 0)
           + CASE WHEN f.missing > 0 THEN 1 ELSE 0 END
    FROM figures f
$$;
