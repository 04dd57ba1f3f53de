-- $1 names of meters
SELECT key, until, slot, counts FROM limits WHERE key = ANY ($1) ORDER BY key;
