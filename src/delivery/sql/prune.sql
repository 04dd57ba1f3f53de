-- $1 messages that were of no more use by then, and are settled
DELETE FROM outbox WHERE expires_at < $1 AND due_at IS NULL
