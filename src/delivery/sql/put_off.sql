-- $1 account, $2 sequence, $3 number, $4 claim, $5 by how many seconds, $6 reason
UPDATE outbox
   SET due_at = clock_timestamp() + make_interval(secs => $5), reason = $6
 WHERE account_id = $1 AND sequence = $2 AND number = $3 AND due_at = $4
