-- Who has taken note of an alarm, and when. Why they did is in the event of their own stream, sealed.
ALTER TABLE alarms
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN note bytea;
CREATE UNIQUE INDEX alarms_by_id ON alarms (id);
