-- $1 since, $2 until: the first and the last number between which all events of that time are; nulls where there is none.
-- A thousand numbers are one row.
SELECT min(span) * 1000 AS first, max(span) * 1000 + 999 AS last
  FROM ledger_spans
 WHERE ($1::timestamptz IS NULL OR newest >= $1) AND ($2::timestamptz IS NULL OR oldest < $2)
