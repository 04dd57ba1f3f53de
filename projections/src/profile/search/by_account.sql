-- $5 how many to examine at most, $6, $7 the time of joining and the account before which to begin, $9 account
WITH examined AS (
    SELECT 1::bigint AS nth, *
      FROM profiles
     WHERE account_id = $9 AND (date_joined, account_id) < ($6::timestamptz, $7::uuid)
     LIMIT $5)
