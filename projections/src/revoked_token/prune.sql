-- $1 until when they ended, $2 how many at most. What another node prunes at this moment is passed over.
DELETE FROM revoked_tokens
 WHERE ctid = ANY (ARRAY(SELECT ctid
                           FROM revoked_tokens
                          WHERE revoked_at < $1
                          ORDER BY revoked_at
                          LIMIT $2
                            FOR UPDATE SKIP LOCKED))
