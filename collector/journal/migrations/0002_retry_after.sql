-- When until_ms was learned, so that it is no date by a clock that was ahead. What is
-- stored already was the answer to the last request.
ALTER TABLE quota ADD COLUMN given_ms INTEGER NOT NULL DEFAULT 0;
UPDATE quota SET given_ms = coalesce((SELECT max(at_ms) FROM request WHERE request.client = quota.client), 0);
