-- $1 account, $2 session
SELECT FROM revoked_tokens WHERE account_id = $1 AND session_id = $2
