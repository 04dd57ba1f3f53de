-- $1 now: accounts with a proposed change of identifiers whose wait is over. One that took effect or was withdrawn stands at the end
-- of time, and one that is void is not looked at any more.
SELECT account_id
  FROM profiles
 WHERE proposal_due_at < '9999-12-31T23:59:59Z' AND proposal_due_at <= $1::timestamptz
   AND proposal_due_at > $1 - interval '7 days'
 ORDER BY proposal_due_at
 LIMIT 500
