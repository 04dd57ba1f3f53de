-- $1 account, as text
SELECT sequence, personal FROM events WHERE aggregate_type = 'UserAccount' AND aggregate_id = $1 ORDER BY sequence
