-- The identifiers of a channel that the account had before. One that the same commit reserves is not seen here, and stays.
released AS (
    DELETE FROM identifiers
     WHERE account_id = ANY (ARRAY(SELECT account_id FROM head))
       AND (account_id, channel) IN (SELECT account_id, channel FROM {rows})
)
