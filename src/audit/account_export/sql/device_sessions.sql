-- $1 account, $2 the session after which to begin, $3 how many
SELECT ARRAY[session_id::text] AS place, login.*, used.used_at, counted.hour
  FROM user_logins AS login
  LEFT JOIN session_uses AS used USING (account_id, session_id)
  LEFT JOIN statistics_devices AS counted USING (account_id, session_id)
 WHERE account_id = $1 AND session_id > ($2::text[])[1]::uuid
 ORDER BY session_id
 LIMIT $3
