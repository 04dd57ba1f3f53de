-- $1 names
UPDATE read_models
   SET rebuild_began_at = clock_timestamp(), rebuild_progress = 0, rebuild_ended_at = NULL, rebuild_error = NULL
 WHERE name = ANY ($1::text[])
