-- $1 messages that were of no more use by then
UPDATE outbox
   SET state = 'expired', content = NULL, due_at = NULL, settled_at = clock_timestamp()
 WHERE expires_at < $1 AND due_at IS NOT NULL
