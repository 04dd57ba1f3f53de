-- $1 aggregate type, $2 account, $3 sequence: which commit wrote that event
SELECT metadata->>'commit' FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3
