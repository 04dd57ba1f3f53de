-- $1 holder of the key, $2 scope, $3 wrapping key, $4 the key, wrapped
INSERT INTO account_keys (account_id, scope, wrapping_id, wrapped) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
