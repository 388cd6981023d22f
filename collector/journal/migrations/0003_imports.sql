-- Of which times an import has all plays, which is what closes gaps. Of those before,
-- what was believed then.
CREATE TABLE coverage (
	batch    INTEGER NOT NULL REFERENCES batch DEFERRABLE INITIALLY DEFERRED,
	from_ms  INTEGER NOT NULL,
	until_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX coverage_batch ON coverage (batch);
INSERT INTO coverage (batch, from_ms, until_ms)
	SELECT batch, min(ended_ms), max(ended_ms) FROM report
	WHERE batch IN (SELECT id FROM batch WHERE ended_ms <> 0) GROUP BY batch;

-- 1: it is being taken back, or was; nothing may be added to it.
ALTER TABLE batch ADD COLUMN undoing INTEGER NOT NULL DEFAULT 0;
UPDATE batch SET undoing = 1 WHERE undone_ms <> 0;

-- A play of the extended history that was paused reaches from its start, see merge.go.
UPDATE report SET vague = 1 WHERE witness = 3 AND vague = 0 AND started_ms <> 0
	AND ended_ms - started_ms - ms_played > 90000 AND ended_ms - started_ms > 600000;

-- What else an item was called, folded, in lines; item.title_key is the class of all
-- its titles, see titles.go.
ALTER TABLE item ADD COLUMN other_titles TEXT NOT NULL DEFAULT '';
CREATE INDEX item_isrc ON item (isrc) WHERE isrc <> '';
CREATE TABLE alias (
	title TEXT PRIMARY KEY,
	class TEXT NOT NULL
) STRICT, WITHOUT ROWID;
