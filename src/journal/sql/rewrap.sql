-- $1 accounts, $2 scopes, $3 ids of the wrapping keys so far, $4 ids of those now, $5 wrapped keys
UPDATE account_keys k
   SET wrapping_id = n.wrapping_id, wrapped = n.wrapped
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[])
       AS n (account_id, scope, former, wrapping_id, wrapped)
 WHERE k.account_id = n.account_id AND k.scope = n.scope AND k.wrapping_id = n.former
