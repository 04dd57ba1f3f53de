-- $1 owner: which cluster this is, in which one the snapshot was taken, and whether there is work
SELECT pg_is_in_recovery() AS standby, c.system_identifier AS cluster, s.cluster AS known,
       CASE WHEN s.owner = $1 THEN s.lease_until < clock_timestamp() + interval '2 seconds'
            ELSE s.lease_until < clock_timestamp() END AS lease_due,
       s.owner = $1 AND s.lease_until > clock_timestamp() AS ours,
       EXISTS (SELECT FROM events WHERE transaction_id >= pg_snapshot_xmax(s.seen))
       OR EXISTS (SELECT FROM pg_snapshot_xip(s.seen) AS unfinished (id),
                         LATERAL (SELECT FROM events WHERE transaction_id = unfinished.id OFFSET 0) AS events) AS fresh
  FROM sequencer s, pg_control_system() c
