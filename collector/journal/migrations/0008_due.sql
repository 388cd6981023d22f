-- The few entries that wait for the confirmation of a play.
CREATE INDEX outbox_due ON outbox (due_ms) WHERE due_ms <> 0;
