-- How many events and numbers there are, those among them that wait for the other.
SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM ledger)
