-- $1 hashes, $2 kinds, $3 first times, $4 last times, $5 until, $6 how often. One that was last seen more than a day before begins anew.
INSERT INTO code_stops AS kept (identifier, kind, first_at, last_at, until, times)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
    ON CONFLICT (identifier, kind) DO UPDATE
   SET first_at = CASE WHEN kept.last_at > excluded.last_at - interval '24 hours' THEN kept.first_at ELSE excluded.first_at END,
       times = CASE WHEN kept.last_at > excluded.last_at - interval '24 hours' THEN kept.times ELSE 0 END + excluded.times,
       last_at = greatest(kept.last_at, excluded.last_at),
       until = excluded.until
