-- $1 accounts as texts, $2 sequences: those of these events that have no number, and whether the sequencer, who has passed
-- them, must have given them one. (The snapshot says something in its own cluster only.)
SELECT e.aggregate_id, e.sequence,
       coalesce(q.cluster = c.system_identifier AND pg_visible_in_snapshot(e.transaction_id, q.seen), false) AS passed
  FROM unnest($1::text[], $2::bigint[]) AS w (account, sequence),
       LATERAL (SELECT aggregate_id, sequence, transaction_id
                  FROM events
                 WHERE aggregate_type = 'UserAccount' AND aggregate_id = w.account AND sequence = w.sequence
                OFFSET 0) AS e,
       sequencer q, pg_control_system() c
 WHERE NOT EXISTS (SELECT FROM ledger WHERE account_id = w.account::uuid AND sequence = w.sequence)
 ORDER BY e.aggregate_id, e.sequence
