-- Reports whose end cannot be, see refuse.go: kept, and no plays.
CREATE TABLE refused (
	account  INTEGER NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
	digest   BLOB NOT NULL,
	witness  INTEGER NOT NULL,
	ended_ms INTEGER NOT NULL,
	seen_ms  INTEGER NOT NULL, -- when it came first
	content  TEXT NOT NULL,    -- JSON: the report
	PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;
