-- $1 accounts
SELECT account_id, scope, wrapping_id, wrapped FROM account_keys WHERE account_id = ANY ($1)
