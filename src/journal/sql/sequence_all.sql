-- $1 the last number given
-- For a database that was restored or moved, whose snapshot means nothing here: every event that has no number yet,
-- by the time it was recorded, and never before the one before it in its stream.
WITH numbered AS (
INSERT INTO ledger (seq, account_id, sequence, event_type, at, leaf)
SELECT $1 + row_number() OVER (ORDER BY recorded_by, account_id, sequence), account_id, sequence, event_type, at, leaf
  FROM (SELECT e.aggregate_id::uuid AS account_id, e.sequence, e.event_type, (e.payload->>'at')::timestamptz AS at, e.leaf,
               max(e.recorded_at) OVER (PARTITION BY e.aggregate_id ORDER BY e.sequence) AS recorded_by
          FROM events e
         WHERE NOT EXISTS (SELECT FROM ledger l WHERE l.account_id = e.aggregate_id::uuid AND l.sequence = e.sequence)
       ) AS unnumbered
RETURNING seq, at
),
spanned AS (
INSERT INTO ledger_spans AS s (span, oldest, newest)
SELECT seq / 1000, min(at), max(at) FROM numbered WHERE at IS NOT NULL GROUP BY 1
    ON CONFLICT (span) DO UPDATE
   SET oldest = least(s.oldest, excluded.oldest), newest = greatest(s.newest, excluded.newest)
)
SELECT count(*) FROM numbered
