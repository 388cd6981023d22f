-- The newest end is looked up when a page leaves a gap: one in the future hid gaps.
ALTER TABLE account DROP COLUMN page_newest_ms;
