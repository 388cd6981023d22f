//go:build shared

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history/historytest"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// Real exports, which are not part of the repository.
const (
	exports     = "../../../shared/data/"
	historyA    = exports + "extended/history_a_2013-2024_oldkeys.my_spotify_data.zip"
	accountData = exports + "account/account_2024-2025.my_spotify_data.zip"
)

func TestSharedImport(t *testing.T) {
	setEnvironment(t, nil)
	rows := rawRows(t, historyA)
	var live []journal.Report
	for _, row := range rows[len(rows)-2_000:] {
		if ended, err := time.Parse(time.RFC3339, row.TS); err == nil && row.TrackURI != nil && row.MSPlayed > 60_000 && ended.Year() == 2024 {
			live = append(live, listedLive(*row.TrackURI, row.Track, row.Artist, ended.Add(345*time.Millisecond)))
		}
	}
	truth := historytest.Truth{Rows: 41_418, Plays: 41_335, Duplicates: 83, First: time.Date(2013, 4, 16, 6, 56, 15, 0, time.UTC)}
	for _, row := range rows {
		truth.MSPlayed += row.MSPlayed
	}
	sheet := importedTwiceAndUndone(t, historyA, live, truth)
	for _, say := range []string{"Rows that do not say what was played (removed titles, local files): 138.", "16,581  Spotify Extended Streaming History/Streaming_History_Audio_2013-2020_0.json (extended history)", "41,418"} {
		if !strings.Contains(sheet, say) {
			t.Errorf("the balance sheet does not say %q:\n%s", say, sheet)
		}
	}
}

func TestSharedSamples(t *testing.T) {
	importSamples(t, exports+"extended/sample_*.json")
}

func TestSharedAccountData(t *testing.T) {
	setEnvironment(t, nil)
	runImport(t, historyA)
	// It is another person's: the guard finds out, since it overlaps.
	before := state(t)
	_, errs := command(t, exitFailed, "import", accountData)
	if !strings.Contains(errs, `the history of another person than "me"`) || !strings.Contains(errs, "--force") || state(t) != before {
		t.Errorf("another person's export: %s", errs)
	}
	got, _ := runImport(t, "--account", "other", accountData)
	if got.Rows != 29_912 || got.Stored != 29_912 {
		t.Errorf("account data: %+v", got)
	}
	if _, errs := command(t, exitUsage, "import", accountData); !strings.Contains(errs, "--account: needed, to say whose history it is: me, other") {
		t.Errorf("with two accounts: %s", errs)
	}
}

func TestSharedImportArrivesInInfluxDB(t *testing.T) {
	// What the raw JSON says, of rows with an item, not incognito, exact duplicates
	// once; a play of the old years ended at its start and ms_played if ts is more
	// than a minute later.
	want := make(map[int]year)
	for _, row := range rawRows(t, historyA) {
		ended, err := time.Parse(time.RFC3339, row.TS)
		if err != nil {
			t.Fatal(err)
		}
		if started := time.UnixMilli(row.Offline); row.Offline > 1e11 && ended.Sub(started) < 30*24*time.Hour {
			if played := started.Add(time.Duration(row.MSPlayed) * time.Millisecond); ended.Sub(played) > time.Minute {
				ended = played
			}
		}
		if row.uri() != "" && !row.Incognito {
			y := want[ended.UTC().Year()]
			want[ended.UTC().Year()] = year{y.listens + 1, y.hours + float64(row.MSPlayed)/3_600_000}
		}
	}
	arrivesInInfluxDB(t, historyA, want)
}
