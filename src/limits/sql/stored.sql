SELECT key, until, slot, counts FROM limits ORDER BY key;
