-- $1 aggregate type, $2 accounts, as text
SELECT aggregate_id::uuid AS account_id, sequence, payload::text AS payload, personal
  FROM events
 WHERE aggregate_type = $1 AND aggregate_id = ANY($2)
 ORDER BY aggregate_id, sequence
