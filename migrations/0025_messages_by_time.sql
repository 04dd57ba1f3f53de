-- Messages as staff look for them: by time, those that were not sent by their state as well, and by country.
ALTER TABLE outbox ADD COLUMN country text COLLATE "C";
CREATE INDEX outbox_by_time ON outbox (asked_at, account_id, sequence, number);
CREATE INDEX outbox_not_sent ON outbox (state, asked_at, account_id, sequence, number) WHERE state <> 'sent';
