-- $1 accounts, $2 sequences, $3 numbers, $4 kinds, $5 channels, $6 languages, $7 contents, null where a gateway has it,
-- $8 expiries, $9 gateways that have it already, or null
queued AS (
    INSERT INTO outbox
           (account_id, sequence, number, kind, channel, language, content, expires_at, due_at, state, gateway, settled_at)
    SELECT o.account_id, o.sequence, o.number, o.kind, o.channel, o.language, o.content, o.expires_at,
           CASE WHEN o.gateway IS NULL THEN now() END,
           CASE WHEN o.gateway IS NULL THEN 'waiting' ELSE 'sent' END,
           o.gateway,
           CASE WHEN o.gateway IS NOT NULL THEN now() END
      FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::timestamptz[], $9::text[])
        AS o (account_id, sequence, number, kind, channel, language, content, expires_at, gateway)
      JOIN head USING (account_id)
)
