-- $1 aggregate type, $2 a snapshot: the accounts with events that the snapshot does not know
SELECT DISTINCT aggregate_id::uuid
  FROM events
 WHERE aggregate_type = $1
   AND transaction_id >= pg_snapshot_xmin($2::text::pg_snapshot)
   AND NOT pg_visible_in_snapshot(transaction_id, $2::text::pg_snapshot)
