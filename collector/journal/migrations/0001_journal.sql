-- What witnesses said, the plays it makes, and what is not in InfluxDB yet.
-- Rows are inserted many at a time, so references are checked at the commit.
-- Times are ms since 1970 (…_ms) or ns since 1970 (…_ns), UTC; 0 or NULL: not known.

CREATE TABLE setting (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
	id          INTEGER PRIMARY KEY,
	alias       TEXT NOT NULL UNIQUE,
	playback    BLOB,              -- what the tracker holds open
	plan_ms     INTEGER NOT NULL DEFAULT 0, -- when it is asked for next, and why then
	plan_why    TEXT NOT NULL DEFAULT '',
	page_ms     INTEGER NOT NULL DEFAULT 0, -- when the last recently-played page was fetched
	page_newest_ms INTEGER NOT NULL DEFAULT 0, -- end of the newest play on any page so far
	page_plays  TEXT NOT NULL DEFAULT ''    -- JSON: its plays, each with ended_ms and uri
) STRICT;

-- The catalogue: one row per uri (per kind and names where no uri is known), as
-- resolved from all facts.
CREATE TABLE item (
	id            INTEGER PRIMARY KEY,
	kind          INTEGER NOT NULL,
	uri           TEXT NOT NULL,
	title_key     TEXT NOT NULL,  -- folded title: what reports are compared within
	song_key      TEXT NOT NULL,
	artist_key    TEXT NOT NULL,
	album_key     TEXT NOT NULL,
	name          TEXT NOT NULL,
	artists       TEXT NOT NULL,  -- JSON
	album         TEXT NOT NULL,
	album_id      TEXT NOT NULL,
	album_artists TEXT NOT NULL,  -- JSON
	isrc          TEXT NOT NULL,
	release_date  TEXT NOT NULL,
	duration_ms   INTEGER NOT NULL,
	explicit      INTEGER,
	image_url     TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX item_uri ON item (uri) WHERE uri <> '';
CREATE UNIQUE INDEX item_names ON item (song_key, kind) WHERE uri = '';
CREATE INDEX item_title ON item (title_key);
CREATE INDEX item_artist ON item (artist_key);
CREATE INDEX item_album ON item (album_key);
CREATE INDEX item_song ON item (song_key);

-- What was said of an item, once per wording.
CREATE TABLE fact (
	id      INTEGER PRIMARY KEY,
	item    INTEGER NOT NULL REFERENCES item DEFERRABLE INITIALLY DEFERRED,
	source  INTEGER NOT NULL,
	digest  BLOB NOT NULL,
	seen_ms INTEGER NOT NULL,
	content TEXT NOT NULL,        -- JSON
	UNIQUE (item, digest)
) STRICT;

CREATE TABLE batch (
	id         INTEGER PRIMARY KEY,
	account    INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
	started_ms INTEGER NOT NULL,
	ended_ms   INTEGER NOT NULL DEFAULT 0,
	undone_ms  INTEGER NOT NULL DEFAULT 0,
	source     TEXT NOT NULL,     -- the files' names
	summary    TEXT NOT NULL DEFAULT '' -- JSON: the balance sheet
) STRICT;

CREATE TABLE report (
	id           INTEGER PRIMARY KEY,
	account      INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
	witness      INTEGER NOT NULL,
	ended_ms     INTEGER NOT NULL,
	digest       BLOB NOT NULL,
	item         INTEGER NOT NULL REFERENCES item DEFERRABLE INITIALLY DEFERRED,
	fact         INTEGER,
	play         INTEGER NOT NULL,
	batch        INTEGER REFERENCES batch DEFERRABLE INITIALLY DEFERRED,
	ended_error_ms INTEGER NOT NULL,
	started_ms   INTEGER NOT NULL,
	stamp_ms     INTEGER NOT NULL,
	ms_played    INTEGER NOT NULL, -- -1: not known
	ms_error     INTEGER NOT NULL,
	after_ms     INTEGER NOT NULL, -- it began after this
	vague        INTEGER NOT NULL, -- 1: found by report_vague, see merge.go
	seen_ms      INTEGER NOT NULL, -- Playback: the last look that showed it
	seen_played  INTEGER NOT NULL, -- ms listened until then
	seen_error   INTEGER NOT NULL, -- ms that may be off
	seen_left    INTEGER NOT NULL, -- ms of the item that were left then; -1: not known
	seen_still_ms INTEGER NOT NULL, -- until when it was seen paused; 0: it was not
	break_from_ms  INTEGER NOT NULL, -- Playback: where it may have been two plays
	break_until_ms INTEGER NOT NULL,
	break_played   INTEGER NOT NULL, -- ms listened until break_from_ms
	break_more     INTEGER NOT NULL, -- ms that can have sounded of the first after that
	context_type TEXT NOT NULL,
	context_uri  TEXT NOT NULL,
	device       TEXT NOT NULL,
	device_type  TEXT NOT NULL,
	platform     TEXT NOT NULL,
	country      TEXT NOT NULL,
	reason_start TEXT NOT NULL,
	reason_end   TEXT NOT NULL,
	shuffle      INTEGER,
	offline      INTEGER,
	incognito    INTEGER,
	skipped      INTEGER,
	UNIQUE (account, ended_ms, digest)
) STRICT;
CREATE INDEX report_play ON report (play);
CREATE INDEX report_item ON report (item);

CREATE INDEX report_batch ON report (batch) WHERE batch IS NOT NULL;
-- The few whose end is so uncertain that a look at the time around is not enough.
CREATE INDEX report_vague ON report (account, ended_ms) WHERE vague = 1;

-- Reports that a later import has brought again: they stay when the first is undone.
CREATE TABLE report_again (
	batch  INTEGER NOT NULL REFERENCES batch DEFERRABLE INITIALLY DEFERRED,
	report INTEGER NOT NULL REFERENCES report ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	PRIMARY KEY (batch, report)
) STRICT, WITHOUT ROWID;
CREATE INDEX report_again_report ON report_again (report);

CREATE TABLE play (
	id           INTEGER PRIMARY KEY AUTOINCREMENT, -- an id that was given is never given again
	account      INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
	item         INTEGER NOT NULL REFERENCES item DEFERRABLE INITIALLY DEFERRED,
	ended_ms     INTEGER NOT NULL,
	started_ms   INTEGER NOT NULL,
	ms_played    INTEGER NOT NULL,
	ms_source    INTEGER NOT NULL,
	ms_error     INTEGER NOT NULL,
	context_type TEXT NOT NULL,
	context_uri  TEXT NOT NULL,
	device       TEXT NOT NULL,
	device_type  TEXT NOT NULL,
	platform     TEXT NOT NULL,
	country      TEXT NOT NULL,
	reason_start TEXT NOT NULL,
	reason_end   TEXT NOT NULL,
	shuffle      INTEGER,
	offline      INTEGER,
	incognito    INTEGER,
	skipped      INTEGER,
	after_ms     INTEGER NOT NULL, -- an estimated one began after this
	witnesses    INTEGER NOT NULL, -- bit w: witness w reported it
	batch        INTEGER NOT NULL, -- 0: none
	point_ns     INTEGER NOT NULL,
	sent_ns      INTEGER NOT NULL DEFAULT 0, -- time of the point that may be in InfluxDB
	sent_credits INTEGER NOT NULL DEFAULT 0, -- credited artists of that point
	UNIQUE (account, point_ns)
) STRICT;
CREATE INDEX play_item ON play (item);

CREATE TABLE outbox (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT,
	kind       INTEGER NOT NULL,
	account    INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
	ref        INTEGER NOT NULL DEFAULT 0,  -- a play's or gap's id, a year
	key        TEXT NOT NULL DEFAULT '',    -- a total's
	time_ns    INTEGER NOT NULL DEFAULT 0,  -- a gone point's
	created_ms INTEGER NOT NULL,
	due_ms     INTEGER NOT NULL DEFAULT 0,  -- not to be sent before
	rejected   TEXT NOT NULL DEFAULT '',    -- what the server said
	UNIQUE (kind, account, ref, key, time_ns)
) STRICT;
CREATE INDEX outbox_rejected ON outbox (seq) WHERE rejected <> '';

-- Which artists a year's ranking in InfluxDB may hold.
CREATE TABLE ranked (
	account INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
	year    INTEGER NOT NULL,
	key     TEXT NOT NULL,
	PRIMARY KEY (account, year, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE gap (
	id        INTEGER PRIMARY KEY,
	account   INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
	from_ms   INTEGER NOT NULL,
	to_ms     INTEGER NOT NULL,
	found_ms  INTEGER NOT NULL,
	closed_ms INTEGER NOT NULL DEFAULT 0,
	closed_by TEXT NOT NULL DEFAULT ''
) STRICT;

-- Requests to the Web API of the last day, and the quota that they draw on.
CREATE TABLE request (
	id       INTEGER PRIMARY KEY,
	client   TEXT NOT NULL,
	at_ms    INTEGER NOT NULL,
	number   INTEGER NOT NULL, -- of the client's requests, in the order of at_ms
	endpoint TEXT NOT NULL
) STRICT;
CREATE INDEX request_time ON request (client, at_ms, number);

CREATE TABLE quota (
	client     TEXT PRIMARY KEY,
	until_ms   INTEGER NOT NULL DEFAULT 0, -- nobody calls before
	reason     TEXT NOT NULL DEFAULT '',
	budget     REAL NOT NULL DEFAULT 0,    -- what a lock-out has taught; 0: nothing yet
	learned_ms INTEGER NOT NULL DEFAULT 0,
	shared     INTEGER NOT NULL DEFAULT 0  -- locked out far below the budget
) STRICT, WITHOUT ROWID;
