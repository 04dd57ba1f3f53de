-- $1 accounts, $2 versions expected, $3 new versions, $4 states, $5 leaves, $6 state format
-- No row returned for a commit: its version was stale, and nothing of it is written by the parts that follow.
-- Sorted, so that two nodes take their locks in the same order.
WITH commits AS (
    SELECT *
      FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[])
        AS c (account_id, expected, version, state, leaf)
),
head AS (
    INSERT INTO heads AS h (account_id, version, previous_version, state, state_format, leaf)
    SELECT account_id, version, expected, state, $6, leaf FROM commits ORDER BY account_id
        ON CONFLICT (account_id) DO UPDATE
       SET version = excluded.version, previous_version = excluded.previous_version, state = excluded.state,
           state_format = excluded.state_format, leaf = excluded.leaf
     WHERE h.version = excluded.previous_version
    RETURNING account_id
)
