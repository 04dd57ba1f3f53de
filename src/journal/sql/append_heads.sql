-- No row is returned for a commit whose version was stale, and nothing of it is written by the parts that follow.
-- Sorted, so that two nodes take their locks in the same order.
WITH commits AS (SELECT * FROM {rows}),
head AS (
    INSERT INTO heads AS h (account_id, version, previous_version, state, state_format, leaf)
    SELECT account_id, version, expected, state, {state_format}, leaf FROM commits ORDER BY account_id
        ON CONFLICT (account_id) DO UPDATE
       SET version = excluded.version, previous_version = excluded.previous_version, state = excluded.state,
           state_format = excluded.state_format, leaf = excluded.leaf
     WHERE h.version = excluded.previous_version
    RETURNING account_id
)
