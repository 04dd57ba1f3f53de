-- $1 accounts, $2 versions expected: locks those heads, and tells whether each has its version.
-- Sorted, so that two nodes take their locks in the same order. An account that is there twice with one version is one.
WITH needed AS (
    SELECT DISTINCT account_id, version
      FROM unnest($1::uuid[], $2::bigint[]) AS n (account_id, version)
),
locked AS (
    SELECT h.account_id
      FROM (SELECT account_id, version FROM needed ORDER BY account_id) AS n,
           LATERAL (SELECT account_id FROM heads WHERE account_id = n.account_id AND version = n.version FOR UPDATE) AS h
)
SELECT (SELECT count(*) FROM locked) = (SELECT count(*) FROM needed)
