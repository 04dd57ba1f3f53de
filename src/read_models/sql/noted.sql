-- $1 names, $2 how much is done
UPDATE read_models SET rebuild_progress = $2 WHERE name = ANY ($1::text[])
