-- The content is null where a gateway has the message already, which is named then.
queued AS (
    INSERT INTO outbox
           (account_id, sequence, number, kind, channel, language, content, expires_at, due_at, state, gateway, settled_at, country)
    SELECT account_id, sequence, number, kind, channel, language, content, expires_at,
           CASE WHEN gateway IS NULL THEN now() END,
           CASE WHEN gateway IS NULL THEN 'waiting' ELSE 'sent' END,
           gateway,
           CASE WHEN gateway IS NOT NULL THEN now() END,
           country
      FROM {rows} JOIN head USING (account_id)
)
