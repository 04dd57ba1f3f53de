-- $1 accounts
SELECT w.account_id, p.*
  FROM (SELECT DISTINCT account_id FROM unnest($1::uuid[]) AS w (account_id)) AS w,
       LATERAL (SELECT phone_number, email, fullname, is_active, date_joined, last_login
                  FROM profiles
                 WHERE account_id = w.account_id AND date_joined IS NOT NULL
                OFFSET 0) AS p
