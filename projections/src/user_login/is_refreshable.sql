-- $1 account, $2 session, $3 generation, $4 now
SELECT
  FROM user_logins
 WHERE account_id = $1 AND session_id = $2 AND generation = $3 AND ended_at IS NULL AND expires_at > $4
