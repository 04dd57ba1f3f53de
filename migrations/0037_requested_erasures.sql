-- When an account is erased that is to be. The end of time where its user has signed in since.
ALTER TABLE profiles ADD COLUMN erasure_due_at timestamptz;
CREATE INDEX ON profiles (erasure_due_at, account_id) WHERE erasure_due_at < '9999-12-31T23:59:59Z';
