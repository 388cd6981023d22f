-- The few items of whose names letters are lost, see damaged.go.
CREATE INDEX item_damaged ON item (uri, name) WHERE instr(name || album || artists || album_artists, char(65533)) > 0;
