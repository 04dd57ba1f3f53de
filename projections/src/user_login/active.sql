-- $1 account, $2 now: the sessions that are live, the last used first
SELECT session_id, device_name, user_agent, ip_address, signed_in_at, last_seen_at, expires_at
  FROM user_logins
 WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2
 ORDER BY last_seen_at DESC, session_id DESC
