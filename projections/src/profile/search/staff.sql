-- $5 how many to examine at most, $6, $7 the time of joining and the account before which to begin
WITH examined AS (
    SELECT row_number() OVER (ORDER BY date_joined DESC, account_id DESC) AS nth, *
      FROM profiles
     WHERE roles <> '' AND (date_joined, account_id) < ($6::timestamptz, $7::uuid)
     ORDER BY date_joined DESC, account_id DESC
     LIMIT $5)
