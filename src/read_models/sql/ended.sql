-- $1 names, $2 the forms that the rows then have, $3 why nothing was changed, if nothing was
UPDATE read_models AS m
   SET rebuild_ended_at = clock_timestamp(), rebuild_error = $3,
       rebuild_progress = CASE WHEN $3::text IS NULL THEN 1 ELSE rebuild_progress END,
       format = CASE WHEN $3::text IS NULL THEN w.format ELSE m.format END
  FROM unnest($1::text[], $2::integer[]) AS w (name, format)
 WHERE m.name = w.name
