-- The colour of a vehicle's body (GA 24.8), and how sure it is. NULL: the agent could not tell it, or
-- is older than the field.
ALTER TABLE passages ADD COLUMN vehicle_colour text, ADD COLUMN vehicle_colour_confidence real;

CREATE OR REPLACE VIEW seen.passages AS
SELECT p.id, p.time, p.agent AS agent_id, a.site, a.agent, p.camera, p.lane, p.direction,
       p.wrong_way, p.first_seen, p.last_seen, p.vehicle_class, p.class_confidence, p.plate,
       p.plate_confidence, p.plate_kind, p.plate_colour, p.plate_width, p.no_plate_reason,
       p.is_late, p.clock_state, p.received_at, a.site_name, a.organisation, a.organisation_name,
       a.grid, a.prefecture, a.longitude, a.latitude, p.vehicle_colour,
       p.vehicle_colour_confidence
FROM passages p JOIN seen.agents a ON a.id = p.agent;

-- As before, with the colour.
DROP FUNCTION seen.route(text, timestamptz, timestamptz);
CREATE FUNCTION seen.route(wanted text, since timestamptz, until timestamptz)
RETURNS TABLE (id uuid, "time" timestamptz, site text, agent text, camera text, lane text,
               direction text, vehicle_class text, vehicle_colour text,
               vehicle_colour_confidence real, plate text, plate_confidence real,
               plate_kind text, plate_colour text, is_late boolean, clock_state text,
               site_name text, organisation text, grid text, prefecture text,
               longitude double precision, latitude double precision,
               seconds double precision, km double precision)
LANGUAGE sql STABLE AS $$
    SELECT p.id, p.time, p.site, p.agent, p.camera, p.lane, p.direction, p.vehicle_class,
           p.vehicle_colour, p.vehicle_colour_confidence, p.plate,
           p.plate_confidence, p.plate_kind, p.plate_colour, p.is_late, p.clock_state, p.site_name,
           p.organisation, p.grid, p.prefecture, p.longitude, p.latitude,
           extract(epoch FROM p.time - lag(p.time) OVER o)::double precision,
           great_circle_km(lag(p.longitude) OVER o, lag(p.latitude) OVER o,
                           p.longitude, p.latitude)
    FROM seen.passages p
    WHERE p.plate = wanted AND p.time >= since AND p.time < until
    WINDOW o AS (ORDER BY p.time, p.id)
$$;

-- As before, with the colours: two of one plate that differ, each sure, speak for two vehicles.
DROP FUNCTION seen.clones(timestamptz, timestamptz, double precision, real, double precision);
CREATE FUNCTION seen.clones(since timestamptz, until timestamptz, kmh double precision,
                            least_confidence real DEFAULT 0.9,
                            least_km double precision DEFAULT 2)
RETURNS TABLE (plate text, id uuid, "time" timestamptz, site text, agent text, camera text,
               site_name text, vehicle_class text, vehicle_colour text,
               vehicle_colour_confidence real, plate_colour text, plate_confidence real,
               before_id uuid, before_time timestamptz, before_site text, before_agent text,
               before_camera text, before_site_name text, before_vehicle_class text,
               before_vehicle_colour text, before_vehicle_colour_confidence real,
               before_plate_colour text, before_plate_confidence real,
               km double precision, seconds double precision, implied_kmh double precision)
LANGUAGE sql STABLE AS $$
    WITH sightings AS (
        SELECT p.*,
               lag(p.id) OVER o AS b_id, lag(p.time) OVER o AS b_time, lag(p.site) OVER o AS b_site,
               lag(p.agent) OVER o AS b_agent, lag(p.camera) OVER o AS b_camera,
               lag(p.site_name) OVER o AS b_site_name,
               lag(p.vehicle_class) OVER o AS b_class,
               lag(p.vehicle_colour) OVER o AS b_paint,
               lag(p.vehicle_colour_confidence) OVER o AS b_paint_confidence,
               lag(p.plate_colour) OVER o AS b_colour,
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
           l.vehicle_colour, l.vehicle_colour_confidence, l.plate_colour, l.plate_confidence,
           l.b_id, l.b_time, l.b_site, l.b_agent, l.b_camera, l.b_site_name, l.b_class, l.b_paint,
           l.b_paint_confidence, l.b_colour, l.b_confidence, l.km, l.seconds,
           l.km / greatest(l.seconds, 1) * 3600
    FROM legs l
    WHERE l.km >= least_km AND l.km * 3600 > kmh * greatest(l.seconds, 1)
$$;
