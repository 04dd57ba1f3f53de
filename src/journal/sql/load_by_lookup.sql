-- $1 lookups, $2 the scopes of keys to load with them
SELECT i.account_id, w.lookup, h.version, h.state, h.state_format, h.leaf, k.scopes, k.wrapping_ids, k.wrapped
  FROM unnest($1::bytea[]) AS w (lookup),
       LATERAL (SELECT account_id FROM identifiers WHERE lookup = w.lookup OFFSET 0) AS i,
       LATERAL (SELECT version, state, state_format, leaf FROM heads WHERE account_id = i.account_id OFFSET 0) AS h,
       LATERAL (SELECT array_agg(scope) AS scopes, array_agg(wrapping_id) AS wrapping_ids, array_agg(wrapped) AS wrapped
                  FROM account_keys WHERE account_id = i.account_id AND scope = ANY ($2::text[])) AS k
