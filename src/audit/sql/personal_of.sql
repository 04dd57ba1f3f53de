-- $1 aggregate type, $2 accounts and $3 sequences of events, $4 a mark for each: their personal parts, with the marks
SELECT w.account_id, w.sequence, w.mark, e.event_type, (e.payload ->> 'at')::timestamptz AS at, e.personal
  FROM unnest($2::uuid[], $3::bigint[], $4::boolean[]) AS w (account_id, sequence, mark),
       LATERAL (SELECT event_type, payload, personal
                  FROM events
                 WHERE aggregate_type = $1 AND aggregate_id = w.account_id::text AND sequence = w.sequence
                OFFSET 0) AS e
