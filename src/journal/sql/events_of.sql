-- $1 aggregate type, $2 accounts
SELECT w.account_id, e.sequence, e.payload, e.personal
  FROM unnest($2::uuid[]) AS w (account_id),
       LATERAL (SELECT sequence, payload::text AS payload, personal
                  FROM events
                 WHERE aggregate_type = $1 AND aggregate_id = w.account_id::text
                 ORDER BY sequence) AS e
