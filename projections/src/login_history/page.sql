-- $1 account, $2 the line that the page comes after, $3 how many: the newest first
SELECT sequence, at, event, session_id, reason, device_name, user_agent, ip_address
  FROM login_history
 WHERE account_id = $1 AND sequence < $2
 ORDER BY sequence DESC
 LIMIT $3
