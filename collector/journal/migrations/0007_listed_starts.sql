-- Which reports of Spotify's list have the start of a play in played_at, not its end:
-- JSON, a list of {after, until}, ids of reports; until 0: all that come.
ALTER TABLE account ADD COLUMN listed_starts TEXT NOT NULL DEFAULT '';
-- Up to which report it is known how played_at is to be read; 0: nobody has looked.
ALTER TABLE account ADD COLUMN listed_mark INTEGER NOT NULL DEFAULT 0;
