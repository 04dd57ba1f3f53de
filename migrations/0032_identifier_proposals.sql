-- When a proposed change of an account's identifiers takes effect where no other administrator can confirm it. The end of time where
-- none is open.
ALTER TABLE profiles ADD COLUMN proposal_due_at timestamptz;
CREATE INDEX ON profiles (proposal_due_at) WHERE proposal_due_at < '9999-12-31T23:59:59Z';
