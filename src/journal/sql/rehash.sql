-- $1 hashes so far, $2 accounts, $3 hashes under the active key, $4 guards, $5 id of the active key
-- What a request holds is left to the next pass, so that no request waits for more than one row of this.
WITH free AS (
    SELECT i.lookup, n.hash, n.guard
      FROM unnest($1::bytea[], $2::uuid[], $3::bytea[], $4::bytea[]) AS n (former, account_id, hash, guard)
      JOIN identifiers AS i ON i.lookup = n.former AND i.account_id = n.account_id
     WHERE n.former = n.hash OR (SELECT account_id FROM identifiers WHERE lookup = n.hash OFFSET 0) IS NULL
       FOR UPDATE OF i SKIP LOCKED
)
UPDATE identifiers AS i
   SET lookup = free.hash, key_id = $5, guard = CASE WHEN i.guard = free.guard THEN i.guard END
  FROM free
 WHERE i.lookup = free.lookup
