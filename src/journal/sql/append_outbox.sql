-- $1 accounts, $2 sequences, $3 channels, $4 purposes, $5 nonces, $6 destinations, $7 expiries, $8 gateways or null
queued AS (
    INSERT INTO outbox
           (account_id, sequence, channel, purpose, nonce, destination, expires_at, gateway, handed_over_at)
    SELECT o.account_id, o.sequence, o.channel, o.purpose, o.nonce, o.destination, o.expires_at, o.gateway,
           CASE WHEN o.gateway IS NOT NULL THEN clock_timestamp() END
      FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::timestamptz[], $8::text[])
        AS o (account_id, sequence, channel, purpose, nonce, destination, expires_at, gateway)
      JOIN head USING (account_id)
)
