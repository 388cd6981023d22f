package spotifysim_test

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

func TestGenerateDaysIsDeterministic(t *testing.T) {
	from := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	a, b := spotifysim.GenerateDays(7, from, 20, spotifysim.Habits{}), spotifysim.GenerateDays(7, from, 20, spotifysim.Habits{})
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed gives other days")
	}
	if reflect.DeepEqual(a, spotifysim.GenerateDays(8, from, 20, spotifysim.Habits{})) {
		t.Error("another seed gives the same days")
	}
}

func TestGenerateDaysIsPlausible(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2024, 3, 1, 0, 0, 0, 0, zone)
	given := spotifysim.GenerateDays(1, from, 120, spotifysim.Habits{})

	var (
		skips, offline, episodes, pauses, long, guests, foreign, repeats, night int
		songs                                                                   = map[string]map[string]bool{} // by ISRC, their URIs
		items, artists, years                                                   = map[string]bool{}, map[string]bool{}, map[string]bool{}
	)
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	for i, g := range given {
		if i > 0 && g.StartedAt.Before(given[i-1].EndedAt) {
			t.Fatalf("play %d overlaps the one before", i)
		}
		if g.MSPlayed <= 0 || g.EndedAt.Sub(g.StartedAt).Milliseconds() < g.MSPlayed || g.MSPlayed > g.Item.Duration.Milliseconds() {
			t.Fatalf("play %d: %d ms of %v in %v", i, g.MSPlayed, g.Item.Duration, g.EndedAt.Sub(g.StartedAt))
		}
		count(&skips, slices.Contains([]string{"fwdbtn", "backbtn", "endplay"}, g.ReasonEnd))
		count(&offline, g.Offline)
		count(&episodes, g.Item.Kind == spotifysim.Episode)
		count(&pauses, g.EndedAt.Sub(g.StartedAt).Milliseconds() > g.MSPlayed)
		count(&long, g.Item.Kind == spotifysim.Track && g.Item.Duration > 10*time.Minute)
		count(&guests, len(g.Item.Artists) > 1)
		count(&foreign, strings.IndexFunc(g.Item.Name, func(r rune) bool { return r > unicode.MaxASCII }) >= 0)
		count(&repeats, i > 0 && g.Item.URI == given[i-1].Item.URI && given[i-1].ReasonEnd == "trackdone")
		count(&night, g.StartedAt.Hour() >= 2 && g.StartedAt.Hour() < 5)
		items[g.Item.URI] = true
		if g.Item.Kind == spotifysim.Track {
			artists[g.Item.Artists[0].Name] = true
			years[g.Item.ReleaseDate[:4]] = true
			if songs[g.Item.ISRC] == nil {
				songs[g.Item.ISRC] = map[string]bool{}
			}
			songs[g.Item.ISRC][g.Item.URI] = true
		}
	}
	twice := 0
	for _, uris := range songs {
		count(&twice, len(uris) > 1)
	}
	n := float64(len(given))
	t.Logf("%.1f plays a day, %.0f %% skips, %d items, %d artists, %d years, offline %d, episodes %d, pauses %d, long %d, guests %d, foreign %d, repeats %d, at night %d, several uris %d",
		n/120, 100*float64(skips)/n, len(items), len(artists), len(years), offline, episodes, pauses, long, guests, foreign, repeats, night, twice)
	for name, ok := range map[string]bool{
		"plays a day":             n/120 > 25 && n/120 < 70,
		"skips":                   float64(skips)/n > 0.2 && float64(skips)/n < 0.32,
		"items":                   len(items) > 300,
		"artists":                 len(artists) > 25,
		"years":                   len(years) > 20,
		"offline":                 offline > 100,
		"episodes":                episodes > 10,
		"pauses":                  pauses > 100,
		"long items":              long > 10,
		"guests":                  guests > 100,
		"names beyond ASCII":      foreign > 300,
		"repeats":                 repeats > 20,
		"nights are quiet":        float64(night)/n < 0.05,
		"songs with several uris": twice > 10,
	} {
		if !ok {
			t.Error("not plausible: " + name)
		}
	}
}

// TestGeneratedDaysArePlayedAsGiven holds the played days against the list.
func TestGeneratedDaysArePlayedAsGiven(t *testing.T) {
	from := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	given := spotifysim.GenerateDays(3, from, 60, spotifysim.Habits{})
	u := newSim(t).AddUser("ann", "Ann")
	u.PlayDays(given)
	played := u.Played(from.AddDate(1, 0, 0))
	if len(played) != len(given) {
		t.Fatalf("%d plays of %d given", len(played), len(given))
	}
	for i, g := range given {
		p := played[i]
		if p.Item.URI != g.Item.URI || !p.StartedAt.Equal(g.StartedAt) || !p.EndedAt.Equal(g.EndedAt) || p.MSPlayed != g.MSPlayed ||
			p.ReasonEnd != g.ReasonEnd || p.Offline != g.Offline || p.Shuffle != g.Shuffle || *p.Context != *g.Context {
			t.Fatalf("play %d: given %+v, played %+v", i, g, p)
		}
	}
}

func TestDemo(t *testing.T) {
	for _, length := range []time.Duration{20 * time.Minute, time.Hour, 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			sim := newSim(t)
			u := sim.AddUser("ann", "Ann")
			u.PlayDemo(1, time.Now(), length)
			c := newClient(t, sim, u)
			time.Sleep(length)

			played := u.Played(time.Now())
			if got, least := len(played), int(15*length.Hours()); got < least {
				t.Errorf("%v: %d plays, want %d", length, got, least)
			}
			seen := map[string]bool{}
			want := 0
			for i, p := range played {
				if p.MSPlayed >= 30_000 {
					want++
				}
				seen["short skip"] = seen["short skip"] || p.Skipped && p.MSPlayed < 30_000
				seen["long skip"] = seen["long skip"] || p.Skipped && p.MSPlayed >= 30_000
				seen["repeat"] = seen["repeat"] || i > 0 && p.Item.URI == played[i-1].Item.URI
				seen["pause"] = seen["pause"] || p.EndedAt.Sub(p.StartedAt).Milliseconds() > p.MSPlayed
				seen["offline"] = seen["offline"] || p.Offline
			}
			if len(seen) != 5 || !seen["short skip"] || !seen["long skip"] || !seen["repeat"] || !seen["pause"] || !seen["offline"] {
				t.Errorf("%v: the script has only %v", length, seen)
			}
			if got := len(c.names()); got != min(want, 50) {
				t.Errorf("%v: %d of %d plays are in recently-played at the end", length, got, want)
			}
			if !c.player().IsPlaying {
				t.Errorf("%v: nothing plays at the end", length)
			}
		})
	}
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	demo := func(seed uint64) []spotifysim.Played {
		u := newSim(t).AddUser("ann", "Ann")
		u.PlayDemo(seed, start, time.Hour)
		return u.Played(start.Add(time.Hour))
	}
	if !reflect.DeepEqual(demo(1), demo(1)) || reflect.DeepEqual(demo(1), demo(2)) {
		t.Error("the demo does not follow from its seed")
	}
}

func TestExtendedHistory(t *testing.T) {
	sim := newSim(t)
	u := sim.AddUser("ann", "Ann")
	start := time.Date(2024, 5, 1, 20, 0, 0, int(250*time.Millisecond), time.UTC)
	chapter := spotifysim.Item{
		Kind: spotifysim.Chapter, URI: "spotify:episode:c1", Name: "Chapter 1", Duration: time.Hour,
		Show: spotifysim.Show{ID: "b", Name: "A Book of Ferries"},
	}
	u.At(start).Play(lantern, podcast).
		After(10 * time.Second).Next().
		After(time.Minute).Private(true).Shuffle(true).Play(tape).
		After(2 * time.Second).Private(false).Offline(true).Play(chapter).
		After(time.Hour).Play(harbour)

	// The first and the last one end at the bounds: from is included, to is not.
	rows := u.ExtendedHistory(start.Add(10*time.Second), start.Add(72*time.Second+time.Hour+180*time.Second))
	if len(rows) != 4 {
		t.Fatalf("%d rows", len(rows))
	}
	if r := rows[0]; !r.TS.Equal(start.Add(10*time.Second).Truncate(time.Second)) || r.MSPlayed != 10_000 || r.OfflineTimestamp != start.Unix() ||
		*r.TrackURI != lantern.URI || *r.TrackName != "Lantern" || *r.AlbumArtistName != "The Paper Orchard" || r.EpisodeURI != nil ||
		r.ReasonEnd != "fwdbtn" || !r.Skipped || r.Shuffle || r.Offline || r.IncognitoMode {
		t.Errorf("track: %+v", r)
	}
	if r := rows[1]; r.TrackURI != nil || *r.EpisodeURI != podcast.URI || *r.EpisodeShowName != "Slow Things" || !r.Skipped {
		t.Errorf("episode: %+v", r)
	}
	if r := rows[2]; r.TrackURI != nil || r.TrackName != nil || r.EpisodeURI != nil || r.ChapterURI != nil || !r.IncognitoMode || !r.Shuffle {
		t.Errorf("local file: %+v", r)
	}
	if r := rows[3]; *r.ChapterURI != chapter.URI || *r.AudiobookTitle != "A Book of Ferries" || !r.Offline || r.ReasonEnd != "trackdone" || r.Skipped {
		t.Errorf("chapter: %+v", r)
	}

	var written bytes.Buffer
	if err := u.WriteExtendedHistory(&written, start, start.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	var read []spotifysim.ExtendedPlay
	decode(t, written.String(), &read)
	if want := u.ExtendedHistory(start, start.AddDate(0, 0, 1)); len(want) != 5 || !reflect.DeepEqual(read, want) {
		t.Errorf("read %+v, want %+v", read, want)
	}
}

// TestKeysOfTheExtendedHistory compares with an export of 2025.
func TestKeysOfTheExtendedHistory(t *testing.T) {
	extendedKeys(t, "../history/testdata/extended_new_keys.json")
}

// extendedKeys compares the keys of the first row of an export with those of ours.
func extendedKeys(t *testing.T, export string) {
	t.Helper()
	u := newSim(t).AddUser("ann", "Ann")
	start := time.Date(2024, 5, 1, 20, 0, 0, 0, time.UTC)
	u.At(start).Play(lantern)
	var written bytes.Buffer
	if err := u.WriteExtendedHistory(&written, start, start.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	first := func(list []byte) string { return string(list[:bytes.IndexByte(list, '}')+1]) + "]" }
	want, got := keys(t, first(read(t, export)), ""), keys(t, first(written.Bytes()), "")
	if !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
	if head := "[\n  {\n    \"ts\": \"2024-05-01T20:03:20Z\",\n"; !strings.HasPrefix(written.String(), head) {
		t.Errorf("written as %.60q", written.String())
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// keys returns the sorted paths of all object keys of a JSON text, elements of
// arrays as one, leaving out keys of the name skip.
func keys(t *testing.T, text, skip string) []string {
	t.Helper()
	var v any
	decode(t, text, &v)
	found := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if key == skip {
					continue
				}
				found[path+"."+key] = true
				walk(path+"."+key, value)
			}
		case []any:
			for _, value := range v {
				walk(path+"[]", value)
			}
		}
	}
	walk("", v)
	paths := []string{}
	for path := range found {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
