-- $1, $2 accounts, $3 now: whether there is an administrator besides them who may act
SELECT EXISTS (SELECT
                 FROM profiles
                WHERE roles <> '' AND 'admin' = ANY (string_to_array(roles, ','))
                  AND account_id <> $1::uuid AND account_id <> $2::uuid
                  AND (is_active OR suspended_until <= $3::timestamptz))
