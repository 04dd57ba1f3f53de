-- As append_heads.sql, where some of the commits reserve an identifier: by its lookup hash, the hash under the other key and a
-- guard where there are two keys. All of these are null for the other commits.
-- No row is returned for a commit whose version was stale or whose identifier was taken, and it has reserved nothing.
-- All heads are locked before any identifier is, so that two nodes take their locks in the same order. What is locked
-- has the version expected, and keeps it; a head that is not there yet has no other commit to race with.
WITH commits AS (SELECT * FROM {rows}),
locked AS (
    SELECT h.account_id
      FROM (SELECT account_id, expected FROM commits ORDER BY account_id) AS c,
           LATERAL (SELECT account_id FROM heads WHERE account_id = c.account_id AND version = c.expected FOR UPDATE) AS h
),
reserved AS (
    INSERT INTO identifiers (lookup, account_id, channel, key_id, guard)
    SELECT c.lookup, c.account_id, c.channel, c.key_id, c.guard
      FROM commits AS c LEFT JOIN locked USING (account_id)
     WHERE c.lookup IS NOT NULL AND (c.expected = 0 OR locked.account_id IS NOT NULL)
       AND (c.other IS NULL OR (SELECT account_id FROM identifiers WHERE lookup = c.other OFFSET 0) IS NULL)
     ORDER BY coalesce(c.guard, c.lookup)
        ON CONFLICT DO NOTHING
    RETURNING account_id
),
head AS (
    INSERT INTO heads AS h (account_id, version, previous_version, state, state_format, leaf)
    SELECT account_id, version, expected, state, {state_format}, leaf
      FROM commits
     WHERE lookup IS NULL OR account_id IN (SELECT account_id FROM reserved)
     ORDER BY account_id
        ON CONFLICT (account_id) DO UPDATE
       SET version = excluded.version, previous_version = excluded.previous_version, state = excluded.state,
           state_format = excluded.state_format, leaf = excluded.leaf
     WHERE h.version = excluded.previous_version
    RETURNING account_id
)
