-- $1 stops before that time, $2 how many at most
DELETE FROM code_stops
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM code_stops WHERE last_at < $1 ORDER BY last_at LIMIT $2 FOR UPDATE SKIP LOCKED))
