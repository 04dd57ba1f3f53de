appended AS (
    INSERT INTO events
           (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, personal, leaf)
    SELECT {aggregate_type}, account_id::text, sequence, event_type, event_version, payload::json, metadata::json, personal, leaf
      FROM {rows} JOIN head USING (account_id)
)
