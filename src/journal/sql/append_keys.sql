keyed AS (
    INSERT INTO account_keys (account_id, scope, wrapping_id, wrapped)
    SELECT account_id, scope, wrapping_id, wrapped FROM {rows} JOIN head USING (account_id)
)
