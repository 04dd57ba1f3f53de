-- $1 account, as text, $2 names of events, $3 the version up to which
SELECT sequence, payload::text AS payload, personal
  FROM events
 WHERE aggregate_type = 'UserAccount' AND aggregate_id = $1 AND event_type = ANY ($2) AND sequence <= $3
 ORDER BY sequence
