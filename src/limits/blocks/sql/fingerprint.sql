-- An insertion and an update both write the row by another transaction.
SELECT count(*), coalesce(sum(xmin::text::bigint), 0)::bigint FROM blocks WHERE ended_at IS NULL
