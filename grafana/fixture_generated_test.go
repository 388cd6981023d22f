//go:build !shared

package grafana_test

import "testing"

// berlins is the export of the listener in Berlin.
func berlins(t testing.TB) string { return madeUp(t, 50_000, 1) }

// TestFixture holds the listening against what the tests of the boards need of it.
func TestFixture(t *testing.T) {
	for _, a := range filled(t).accounts {
		count := map[string]int{}
		uris, ends := map[string]map[string]bool{}, map[int64]int{}
		years := map[int]bool{}
		for _, p := range a.plays {
			count[p.kind]++
			years[p.ended.Year()] = true
			if before := now.Sub(p.ended).Hours(); before < 90*24 && before > 90 {
				count["of 90 days, older than 90 hours"]++
			}
			if p.private {
				count["private"]++
			}
			if p.image != "" && len(p.artists) > 1 && p.released != "" {
				count["with a cover, guests and a date"]++
			}
			if uris[p.songKey] == nil {
				uris[p.songKey] = map[string]bool{}
			}
			uris[p.songKey][p.uri] = true
			if ends[p.ended.UnixMilli()]++; ends[p.ended.UnixMilli()] > 1 {
				count["in one ms with another"]++
			}
		}
		for _, known := range uris {
			if len(known) > 1 {
				count["songs with several uris"]++
			}
		}
		for what, least := range map[string]int{
			"track": 3_000, "episode": 50, "chapter": 3, "local": 1, "of 90 days, older than 90 hours": 300, "in one ms with another": 3,
			"songs with several uris": 50, "with a cover, guests and a date": 50,
		} {
			if count[what] < least {
				t.Errorf("%s: %d plays, want %d: %s", a.alias, count[what], least, what)
			}
		}
		if a.private != (count["private"] > 0) || len(years) < 3 {
			t.Errorf("%s: %d private plays, in the years %v", a.alias, count["private"], years)
		}
	}
}
