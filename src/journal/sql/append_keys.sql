-- $1 accounts, $2 scopes, $3 ids of wrapping keys, $4 wrapped keys
keyed AS (
    INSERT INTO account_keys (account_id, scope, wrapping_id, wrapped)
    SELECT k.account_id, k.scope, k.wrapping_id, k.wrapped
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[]) AS k (account_id, scope, wrapping_id, wrapped)
      JOIN head USING (account_id)
)
