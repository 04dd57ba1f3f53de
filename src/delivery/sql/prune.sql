-- $1 messages that were of no more use by then, and are settled; $2 how many at most
DELETE FROM outbox
 WHERE ctid = ANY (ARRAY(SELECT ctid
                           FROM outbox
                          WHERE expires_at < $1 AND due_at IS NULL
                          ORDER BY expires_at
                          LIMIT $2
                            FOR UPDATE SKIP LOCKED))
