-- $1 now, $2 and $3 the time and the account of the last one before: accounts that are to be erased by now. One whose user has signed in
-- since stands at the end of time.
SELECT account_id, erasure_due_at
  FROM profiles
 WHERE erasure_due_at < '9999-12-31T23:59:59Z' AND erasure_due_at <= $1::timestamptz
   AND (erasure_due_at, account_id) > ($2, $3)
 ORDER BY erasure_due_at, account_id
 LIMIT 500
