-- $1 account, $2 the scope of this quarter's origin key
SELECT h.account_id, h.version, h.state, h.state_format, h.leaf,
       array_agg(k.scope) AS scopes, array_agg(k.wrapping_id) AS wrapping_ids, array_agg(k.wrapped) AS wrapped
  FROM heads h
  JOIN account_keys k ON k.account_id = h.account_id AND k.scope IN ('person', $2)
 WHERE h.account_id = $1
 GROUP BY h.account_id
