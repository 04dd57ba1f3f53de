-- The whole of many commits in one statement. The read models' rows follow, from $30 on, in `append.rs`.
-- No row returned for a commit: its version was stale or its identifier taken, and nothing of it was written.
-- Everything is sorted, so that two nodes take their locks in the same order.
WITH commits AS (
    SELECT *
      FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::text[], $7::bytea[], $8::text[])
        AS c (account_id, expected, version, state, leaf, metadata, lookup, channel)
),
reserved AS (
    INSERT INTO identifiers (lookup, account_id, channel)
    SELECT lookup, account_id, channel FROM commits WHERE lookup IS NOT NULL ORDER BY lookup
        ON CONFLICT (lookup) DO NOTHING
    RETURNING account_id
),
head AS (
    INSERT INTO heads AS h (account_id, version, previous_version, state, state_format, leaf)
    SELECT account_id, version, expected, state, $9, leaf
      FROM commits
     WHERE lookup IS NULL OR account_id IN (SELECT account_id FROM reserved)
     ORDER BY account_id
        ON CONFLICT (account_id) DO UPDATE
       SET version = excluded.version, previous_version = excluded.previous_version, state = excluded.state,
           state_format = excluded.state_format, leaf = excluded.leaf
     WHERE h.version = excluded.previous_version
    RETURNING account_id
),
appended AS (
    INSERT INTO events
           (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, personal, leaf)
    SELECT $10, e.account_id::text, e.sequence, e.event_type, e.event_version, e.payload::json, c.metadata::json,
           e.personal, e.leaf
      FROM unnest($11::uuid[], $12::bigint[], $13::text[], $14::text[], $15::text[], $16::bytea[], $17::bytea[])
        AS e (account_id, sequence, event_type, event_version, payload, personal, leaf)
      JOIN head USING (account_id)
      JOIN commits c USING (account_id)
),
keyed AS (
    INSERT INTO account_keys (account_id, scope, wrapping_id, wrapped)
    SELECT k.account_id, k.scope, k.wrapping_id, k.wrapped
      FROM unnest($18::uuid[], $19::text[], $20::text[], $21::bytea[]) AS k (account_id, scope, wrapping_id, wrapped)
      JOIN head USING (account_id)
),
queued AS (
    INSERT INTO outbox
           (account_id, sequence, channel, purpose, nonce, destination, expires_at, gateway, handed_over_at)
    SELECT o.account_id, o.sequence, o.channel, o.purpose, o.nonce, o.destination, o.expires_at, o.gateway,
           CASE WHEN o.gateway IS NOT NULL THEN clock_timestamp() END
      FROM unnest($22::uuid[], $23::bigint[], $24::text[], $25::text[], $26::bytea[], $27::bytea[],
                  $28::timestamptz[], $29::text[])
        AS o (account_id, sequence, channel, purpose, nonce, destination, expires_at, gateway)
      JOIN head USING (account_id)
)
