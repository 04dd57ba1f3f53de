-- Locked in the order in which they are counted on.
DELETE FROM limits
 WHERE key IN (SELECT key FROM limits WHERE key = ANY ($1) ORDER BY key FOR UPDATE);
