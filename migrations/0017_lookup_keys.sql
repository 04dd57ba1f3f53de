-- Which lookup key an identifier's hash is made with, so that the key can be replaced: none where that was not kept. While
-- there are two keys, nodes may write under either; `guard` is then the hash under the older one, whichever was written under,
-- so that an identifier is one account's even where two nodes write it at once.
ALTER TABLE identifiers
    ADD COLUMN key_id text COLLATE "C",
    ADD COLUMN guard  bytea;
CREATE UNIQUE INDEX identifiers_by_guard ON identifiers (guard) WHERE guard IS NOT NULL;
