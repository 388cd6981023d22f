-- A report reaches from the beginning of its play on, see merge.go.
UPDATE report SET vague = 1 WHERE vague = 0 AND (
	witness = 3 AND started_ms <> 0 AND ended_ms - started_ms > 600000
	OR witness = 1 AND ended_ms - CASE WHEN started_ms <> 0 THEN started_ms ELSE ended_ms - max(0, ms_played) END > 600000);
