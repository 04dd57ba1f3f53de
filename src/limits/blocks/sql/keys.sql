-- $1 holder of the key
SELECT scope, wrapping_id, wrapped FROM account_keys WHERE account_id = $1
