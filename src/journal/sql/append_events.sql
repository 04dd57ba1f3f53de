-- $1 aggregate type, $2 accounts, $3 sequences, $4 types, $5 versions, $6 payloads, $7 metadata, $8 personal parts,
-- $9 leaves
appended AS (
    INSERT INTO events
           (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, personal, leaf)
    SELECT $1, e.account_id::text, e.sequence, e.event_type, e.event_version, e.payload::json, e.metadata::json,
           e.personal, e.leaf
      FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::bytea[])
        AS e (account_id, sequence, event_type, event_version, payload, metadata, personal, leaf)
      JOIN head USING (account_id)
)
