-- $1 name
SELECT s.seq - l.seq AS behind, l.parked_at IS NOT NULL AS is_parked,
       l.lease_until < clock_timestamp() AND coalesce(l.retry_at <= clock_timestamp(), true) AS is_due
  FROM listeners AS l, sequencer AS s
 WHERE l.name = $1
