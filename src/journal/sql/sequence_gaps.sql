-- $1 the last number before, $2 the last number now: events numbered without the one before them in their stream
SELECT l.account_id, l.sequence
  FROM ledger l
 WHERE l.seq > $1 AND l.seq <= $2 AND l.sequence > 1
   AND (SELECT p.seq FROM ledger p WHERE p.account_id = l.account_id AND p.sequence = l.sequence - 1) < l.seq
       IS NOT TRUE
 LIMIT 1
