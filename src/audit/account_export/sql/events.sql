-- $1 account, $2 the event after which to begin, $3 how many
SELECT ARRAY[sequence::text] AS place, sequence, payload::text AS payload, personal
  FROM events
 WHERE aggregate_type = 'UserAccount' AND aggregate_id = ($1::uuid)::text AND sequence > ($2::text[])[1]::bigint
 ORDER BY sequence
 LIMIT $3
