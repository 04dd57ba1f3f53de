-- $1 aggregate type, $2 aggregate id and $3 sequence that the page comes after, $4 length of the page
SELECT aggregate_type, aggregate_id, sequence, event_type, event_version, payload::text AS payload,
       metadata::text AS metadata, personal, leaf
  FROM events
 WHERE (aggregate_type, aggregate_id, sequence) > ($1, $2, $3)
 ORDER BY aggregate_type, aggregate_id, sequence
 LIMIT $4
