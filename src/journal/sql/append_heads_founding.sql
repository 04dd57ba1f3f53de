-- As append_heads.sql, where some of the commits reserve an identifier: $7 lookups, $8 channels, null for the others.
-- No row returned for a commit: its version was stale or its identifier taken.
WITH commits AS (
    SELECT *
      FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $7::bytea[], $8::text[])
        AS c (account_id, expected, version, state, leaf, lookup, channel)
),
reserved AS (
    INSERT INTO identifiers (lookup, account_id, channel)
    SELECT lookup, account_id, channel FROM commits WHERE lookup IS NOT NULL ORDER BY lookup
        ON CONFLICT (lookup) DO NOTHING
    RETURNING account_id
),
head AS (
    INSERT INTO heads AS h (account_id, version, previous_version, state, state_format, leaf)
    SELECT account_id, version, expected, state, $6, leaf
      FROM commits
     WHERE lookup IS NULL OR account_id IN (SELECT account_id FROM reserved)
     ORDER BY account_id
        ON CONFLICT (account_id) DO UPDATE
       SET version = excluded.version, previous_version = excluded.previous_version, state = excluded.state,
           state_format = excluded.state_format, leaf = excluded.leaf
     WHERE h.version = excluded.previous_version
    RETURNING account_id
)
