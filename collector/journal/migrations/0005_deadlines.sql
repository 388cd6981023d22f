-- Which of the Retry-After the deadline is of, so that a clock that was set tells no
-- other one.
ALTER TABLE quota ADD COLUMN deadline INTEGER NOT NULL DEFAULT 0;
