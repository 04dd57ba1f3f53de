-- $1 account, $2 sequence, $3 number, $4 claim, $5 state, $6 gateway, $7 reference, $8 reason; of a message that was paid for
-- $9 channel, $10 country, $11 prefix, $12 price
WITH settled AS (
    UPDATE outbox
       SET state = $5, gateway = $6, reference = $7, reason = $8, content = NULL, due_at = NULL, settled_at = clock_timestamp()
     WHERE account_id = $1 AND sequence = $2 AND number = $3 AND due_at = $4
    RETURNING extract(epoch FROM settled_at - asked_at)::double precision AS took
),
charged AS (
    INSERT INTO message_ledger AS l (day, gateway, channel, country, prefix, messages, cost)
    SELECT (now() AT TIME ZONE 'UTC')::date, $6, $9, $10, $11, 1, $12
     WHERE $9::text IS NOT NULL
        ON CONFLICT (day, gateway, channel, country, prefix) DO UPDATE
       SET messages = l.messages + 1, cost = l.cost + excluded.cost
)
SELECT (SELECT took FROM settled)
