-- $1 accounts, $2 the scopes of keys to load with them
-- The subqueries are kept from being joined any other way than one index probe for each account.
SELECT w.account_id, NULL::bytea AS lookup, h.version, h.state, h.state_format, h.leaf,
       k.scopes, k.wrapping_ids, k.wrapped
  FROM unnest($1::uuid[]) AS w (account_id),
       LATERAL (SELECT version, state, state_format, leaf FROM heads WHERE account_id = w.account_id OFFSET 0) AS h,
       LATERAL (SELECT array_agg(scope) AS scopes, array_agg(wrapping_id) AS wrapping_ids, array_agg(wrapped) AS wrapped
                  FROM account_keys WHERE account_id = w.account_id AND scope = ANY ($2::text[])) AS k
