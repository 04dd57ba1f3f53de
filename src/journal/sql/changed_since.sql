-- $1 a snapshot: the accounts with events that the snapshot does not know
SELECT DISTINCT aggregate_id::uuid
  FROM events
 WHERE transaction_id >= pg_snapshot_xmin($1::text::pg_snapshot)
   AND NOT pg_visible_in_snapshot(transaction_id, $1::text::pg_snapshot)
