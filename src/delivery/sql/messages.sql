-- $1 how many rows are looked at, $2 how many rows at most; the row that the page comes after: $3 time, $4 account, $5 sequence,
-- $6 number; $7 since, $8 until; $9 state, $10 gateway, $11 country, $12 channel, $13 account
-- The row that was looked at last comes back in any case: the next page goes on after it.
WITH looked AS (
    SELECT asked_at, account_id, sequence, number, kind, channel, state, gateway, reference, reason, attempts, settled_at, country
      FROM outbox
     WHERE (asked_at, account_id, sequence, number) < (coalesce($3::timestamptz, 'infinity'), $4::uuid, $5::bigint, $6::smallint)
       AND asked_at >= coalesce($7::timestamptz, '-infinity') AND asked_at < coalesce($8::timestamptz, 'infinity') {only}
     ORDER BY asked_at DESC, account_id DESC, sequence DESC, number DESC
     LIMIT $1
),
placed AS (
    SELECT *,
           ($9::text IS NULL OR state = $9) AND ($10::text IS NULL OR gateway = $10) AND ($11::text IS NULL OR country = $11)
           AND ($12::text IS NULL OR channel = $12) AND ($13::uuid IS NULL OR account_id = $13) AS shown,
           row_number() OVER (ORDER BY asked_at DESC, account_id DESC, sequence DESC, number DESC) AS place
      FROM looked
)
SELECT *, extract(epoch FROM settled_at - asked_at)::double precision AS took FROM placed WHERE shown OR place = $1 ORDER BY place LIMIT $2
