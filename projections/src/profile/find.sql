-- $1 account
SELECT phone_number, email, nullif(fullname, '') AS fullname, is_active, date_joined, last_login
  FROM profiles
 WHERE account_id = $1 AND date_joined IS NOT NULL
