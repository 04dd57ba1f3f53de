-- $1 session
SELECT account_id FROM user_logins WHERE session_id = $1
