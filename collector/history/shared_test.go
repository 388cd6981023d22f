//go:build shared

package history_test

import (
	"fmt"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// exports is the folder of real exports, which is not part of the repository.
const exports = "../../../shared/data/"

// History A, a real one of 2013 to 2024. The numbers are those of an independent
// count with Python.
func TestSharedExtendedHistory(t *testing.T) {
	e := open(t, exports+"extended/history_a_2013-2024_oldkeys.my_spotify_data.zip")
	got := map[string]int{}
	seen := map[identity]bool{}
	for _, row := range rows(t, e) {
		got["rows"]++
		if row.Reason != "" {
			t.Fatalf("got %+v", row)
		}
		r := row.Report
		got[r.Item.Kind.String()]++
		if !r.Stamp.IsZero() {
			got["stamped"]++
		}
		if !r.StartedAt.IsZero() {
			got["started"]++
		}
		if seen[identityOf(r)] {
			got["duplicates"]++
			if r.Item.Kind == journal.Unknown {
				t.Errorf("a row without an item counts as a duplicate: %+v", r)
			}
		}
		seen[identityOf(r)] = true
	}
	want := map[string]int{
		"rows": 41418, "track": 41193, "episode": 87, "unknown": 138,
		"duplicates": 83, "stamped": 3145, "started": 37847,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if len(e.Files()) != 4 || len(e.UnknownKeys()) != 0 {
		t.Errorf("%v, unknown keys %v", e.Files(), e.UnknownKeys())
	}
}

func TestSharedSamples(t *testing.T) {
	readPlainly(t, exports+"extended/sample_*.json", 3)
}

func TestSharedAccountData(t *testing.T) {
	e := open(t, exports+"account/account_2024-2025.my_spotify_data.zip")
	got := map[string]int{}
	seen := map[identity]bool{}
	for _, row := range rows(t, e) {
		if row.Reason != "" || seen[identityOf(row.Report)] {
			t.Fatalf("no report, or seen before: %+v", row)
		}
		seen[identityOf(row.Report)] = true
		got[row.Report.Item.Kind.String()]++
	}
	if got["track"]+got["unknown"] != 29594 || got["episode"] != 299 || got["chapter"] != 19 {
		t.Errorf("got %v", got)
	}
	if len(e.UnknownKeys()) != 0 {
		t.Errorf("unknown keys %v", e.UnknownKeys())
	}
}

func BenchmarkSharedRows(b *testing.B) {
	benchmarkRows(b, exports+"extended/history_a_2013-2024_oldkeys.my_spotify_data.zip")
}
