-- $1 account, $2 the line after which to begin, $3 how many
SELECT ARRAY[sequence::text] AS place, sequence, at, event, session_id, reason, device_name, user_agent, ip_address
  FROM login_history
 WHERE account_id = $1 AND sequence > ($2::text[])[1]::bigint
 ORDER BY sequence
 LIMIT $3
