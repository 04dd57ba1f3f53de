-- The roles of each account, separated by commas, so that administrators find the staff without reading every profile.
ALTER TABLE profiles ADD COLUMN roles text;
CREATE INDEX ON profiles (date_joined, account_id) WHERE roles <> '';

-- Without events there is nothing to rebuild.
UPDATE read_models SET format = 2 WHERE name = 'profiles' AND NOT EXISTS (SELECT FROM events);
