package spotify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

const trackBody = `{
	"type": "track", "id": "T1", "uri": "spotify:track:T1", "name": "One & “Two”",
	"duration_ms": 211000, "explicit": true, "is_local": false,
	"artists": [{"id": "A1", "name": "First"}, {"id": "A2", "name": "Second"}],
	"external_ids": {"isrc": "XX1234567890"},
	"album": {
		"id": "L1", "name": "Long Player", "release_date": "1981-12", "release_date_precision": "month",
		"artists": [{"id": "A1", "name": "First"}],
		"available_markets": ["AR", "AU"],
		"images": [{"url": "u640", "width": 640}, {"url": "u300", "width": 300}, {"url": "u64", "width": 64}]
	}
}`

func track() spotify.Item {
	return spotify.Item{
		Kind: "track", ID: "T1", URI: "spotify:track:T1", Name: "One & “Two”", DurationMS: 211000, Explicit: true,
		Artists: []spotify.Artist{{ID: "A1", Name: "First"}, {ID: "A2", Name: "Second"}},
		ISRC:    "XX1234567890",
		Album:   "Long Player", AlbumID: "L1", ReleaseDate: "1981-12", ImageURL: "u300",
		AlbumArtists: []spotify.Artist{{ID: "A1", Name: "First"}},
	}
}

const playerBody = `{
	"device": {"id": null, "is_private_session": false, "name": "Kitchen", "type": "Speaker", "volume_percent": 40.0},
	"shuffle_state": true, "repeat_state": "context", "timestamp": 1, "progress_ms": 5000.6, "is_playing": true,
	"context": {"type": "collection", "uri": "spotify:user:somebody:collection", "href": "https://x/somebody"},
	"currently_playing_type": "track",
	"item": ` + trackBody + `}`

func TestPlayer(t *testing.T) {
	got, err := spotify.DecodePlayer([]byte(playerBody))
	if err != nil {
		t.Fatal(err)
	}
	want := spotify.Player{
		Active: true, Playing: true, Kind: "track", Item: new(track()), ProgressMS: new(int64(5001)),
		Shuffle: true, Repeat: "context",
		Device:  spotify.Device{Name: "Kitchen", Type: "Speaker", VolumePercent: new(40)},
		Context: spotify.Context{Type: "collection", URI: "spotify:collection"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestPlayerOfOtherThings(t *testing.T) {
	base := func(kind string) spotify.Player {
		return spotify.Player{Active: true, Playing: true, Kind: kind}
	}
	show := []spotify.Artist{{ID: "S1", Name: "The Show"}}
	tests := []struct {
		name, body string
		change     func(*spotify.Player)
	}{
		{"ad", `{"is_playing":true,"currently_playing_type":"ad","progress_ms":7,"item":null}`, func(p *spotify.Player) {
			p.Kind, p.ProgressMS = "ad", new(int64(7))
		}},
		{"ad with an item", `{"is_playing":true,"currently_playing_type":"ad","item":` + trackBody + `}`, func(p *spotify.Player) { p.Kind = "ad" }},
		{"unknown", `{"is_playing":true,"currently_playing_type":"unknown","progress_ms":null,"item":null}`, func(p *spotify.Player) { p.Kind = "unknown" }},
		{"private", `{"is_playing":true,"currently_playing_type":"track","device":{"is_private_session":true,"volume_percent":null}}`, func(p *spotify.Player) {
			p.PrivateSession = true
		}},
		{"an item of a kind that is new", `{"is_playing":true,"currently_playing_type":"hologram","item":{"type":"hologram","uri":"spotify:hologram:1","name":"H"}}`, func(p *spotify.Player) {
			p.Kind, p.Item = "hologram", &spotify.Item{Kind: "unknown", URI: "spotify:hologram:1", Name: "H"}
		}},
		{"body of 2017", `{"is_playing":true,"item":{"type":"track","id":"T9"}}`, func(p *spotify.Player) {
			p.Item = &spotify.Item{Kind: "track", ID: "T9", URI: "spotify:track:T9"}
		}},
		{"local file", `{"is_playing":true,"currently_playing_type":"track","item":{"type":"track","is_local":true,"id":null,"name":"Tape","uri":"spotify:local:Me::Tape:60",
			"artists":[{"id":null,"name":"Me"}],"album":{"id":null,"name":"","release_date":null,"images":[]},"external_ids":{}}}`, func(p *spotify.Player) {
			p.Item = &spotify.Item{Kind: "local", URI: "spotify:local:Me::Tape:60", Name: "Tape", Artists: []spotify.Artist{{Name: "Me"}}}
		}},
		{"episode", `{"is_playing":true,"currently_playing_type":"episode","item":{"type":"episode","id":"E1","uri":"spotify:episode:E1","name":"Part 1","duration_ms":3e6,
			"release_date":"2026-11-01","images":[{"url":"e","width":null}],"show":{"id":"S1","name":"The Show","total_episodes":null}}}`, func(p *spotify.Player) {
			p.Kind = "episode"
			p.Item = &spotify.Item{Kind: "episode", ID: "E1", URI: "spotify:episode:E1", Name: "Part 1", DurationMS: 3e6, ReleaseDate: "2026-11-01", ImageURL: "e",
				Artists: show, AlbumArtists: show, Album: "The Show", AlbumID: "S1"}
		}},
		{"chapter", `{"is_playing":true,"currently_playing_type":"episode","item":{"type":"episode","uri":"spotify:episode:E2","name":"Track 1",
			"release_date":"0000","show":{"id":"S1","name":"The Show","images":[{"url":"s","width":64}]}}}`, func(p *spotify.Player) {
			p.Kind = "episode"
			p.Item = &spotify.Item{Kind: "chapter", ID: "E2", URI: "spotify:episode:E2", Name: "Track 1", ImageURL: "s",
				Artists: show, AlbumArtists: show, Album: "The Show", AlbumID: "S1"}
		}},
		{"numbers that are none", `{"is_playing":true,"currently_playing_type":"track","progress_ms":-1,"device":{"volume_percent":4000},"item":{"uri":"spotify:track:X","duration_ms":1e300}}`,
			func(p *spotify.Player) {
				p.Item = &spotify.Item{Kind: "track", ID: "X", URI: "spotify:track:X"}
			}},
	}
	for _, test := range tests {
		got, err := spotify.DecodePlayer([]byte(test.body))
		want := base("track")
		test.change(&want)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v %+v\nwant %+v %+v", test.name, err, got, got.Item, want, want.Item)
		}
	}
}

func TestPlayerWithoutWhatMatters(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                    "is_playing",
		`{"is_playing":"true"}`: "is_playing",
		`[]`:                    "is_playing",
		`{"is_playing":true,"device":{"is_private_session":"yes"}}`: "device.is_private_session",
		`{"is_playing":true,"item":{"type":"track"}}`:               "item: has neither",
		`{"is_playing":true,"item":"spotify:track:X"}`:              "item: has neither",
	} {
		account := newAccount(t, reply(200, body))
		_, err := account.Player(t.Context())
		if spotify.ReasonOf(err) != spotify.ReasonDecode || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestContextHasNoUser(t *testing.T) {
	for given, want := range map[string]string{
		"spotify:user:somebody:collection":   "spotify:collection",
		"spotify:user:somebody:playlist:PL1": "spotify:playlist:PL1",
		"spotify:user:somebody":              "",
		"spotify:playlist:PL1":               "spotify:playlist:PL1",
		"spotify:album:L1":                   "spotify:album:L1",
	} {
		body := fmt.Sprintf(`{"is_playing":false,"context":{"type":"x","uri":%q}}`, given)
		p, err := spotify.DecodePlayer([]byte(body))
		if err != nil || p.Context.URI != want {
			t.Errorf("%s: got %q, %v", given, p.Context.URI, err)
		}
	}
}

func TestRecentlyPlayed(t *testing.T) {
	body := `{"items":[
		{"track":` + trackBody + `,"played_at":"2026-02-25T20:15:20.497Z","context":{"type":"album","uri":"spotify:album:L1"}},
		{"track":{"name":"Only a name"},"played_at":"2026-02-25T21:11:00+01:00","context":null}],
		"next":null,"cursors":{"after":"1","before":"0"},"limit":50}`
	account := newAccount(t, reply(200, body))
	page, err := account.RecentlyPlayed(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []spotify.Play{
		{Item: track(), PlayedAt: time.Date(2026, 2, 25, 20, 15, 20, 497e6, time.UTC), Context: spotify.Context{Type: "album", URI: "spotify:album:L1"}},
		{Item: spotify.Item{Kind: "unknown", Name: "Only a name"}, PlayedAt: time.Date(2026, 2, 25, 20, 11, 0, 0, time.UTC)},
	}
	if page.Unchanged || !reflect.DeepEqual(page.Plays, want) {
		t.Errorf("got  %+v\nwant %+v", page.Plays, want)
	}
	if page.ReceivedAt.IsZero() || page.Digest == 0 {
		t.Errorf("got %+v", page)
	}

	again, err := account.RecentlyPlayed(t.Context(), page.Digest)
	if err != nil || !again.Unchanged || again.Plays != nil || again.Digest != page.Digest {
		t.Errorf("the same body: %+v, %v", again, err)
	}
	other, err := account.RecentlyPlayed(t.Context(), page.Digest+1)
	if err != nil || other.Unchanged || len(other.Plays) != 2 {
		t.Errorf("another body was known: %+v, %v", other, err)
	}
}

func TestRecentlyPlayedKeepsWhatItCanRead(t *testing.T) {
	body := `{"items":[
		{"track":` + trackBody + `,"played_at":"2026-02-25T20:15:20.497Z"},
		{"track":{"id":"nameless"},"played_at":"2026-02-25T20:11:00.000Z"},
		{"track":` + trackBody + `,"played_at":null},
		"nonsense",
		{"track":` + trackBody + `,"played_at":"2026-02-25T20:00:00.000Z"}]}`
	page, err := newAccount(t, reply(200, body)).RecentlyPlayed(t.Context(), 0)
	if spotify.ReasonOf(err) != spotify.ReasonDecode || page.Digest != 0 {
		t.Fatalf("got %v with digest %v", err, page.Digest)
	}
	for _, want := range []string{"items[1].track", "items[2].played_at", "items[3].played_at"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if len(page.Plays) != 2 || page.Plays[0].Item.URI != "spotify:track:T1" || page.Plays[1].PlayedAt.Minute() != 0 {
		t.Errorf("plays: %+v", page.Plays)
	}
}

func TestTrack(t *testing.T) {
	got, err := newAccount(t, reply(200, trackBody)).Track(t.Context(), "T1")
	if err != nil || !reflect.DeepEqual(got, track()) {
		t.Errorf("got %+v, %v", got, err)
	}
	s := &server{}
	account := newApp(t, s).Account(newTokens(t, time.Hour), "me")
	for _, id := range []string{"", "../me", "a?b", "a b"} {
		if _, err := account.Track(t.Context(), id); err == nil || len(s.all) != 0 {
			t.Errorf("%q: got %v, sent %q", id, err, s.all)
		}
	}
}

// recorded calls f with every recorded body of ../shared/data whose name
// begins with prefix.
func recorded(t *testing.T, prefix string, f func(t *testing.T, name string, body []byte)) {
	shared(t, "SOURCES.md") // or skip
	files, err := filepath.Glob("../../../shared/data/*/" + prefix + "*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f(t, filepath.Base(file), body)
	}
}

func TestRecordedPlayers(t *testing.T) {
	seen := map[string]string{}
	read := func(t *testing.T, name string, body []byte) {
		if strings.Contains(name, "available_devices") {
			return
		}
		p, err := spotify.DecodePlayer(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		item := "-"
		if p.Item != nil {
			item = p.Item.Kind
			if p.Item.DurationMS == 0 || len(p.Item.Artists) == 0 || p.Item.Name == "" || p.Item.URI == "" {
				t.Errorf("%s: %+v", name, p.Item)
			}
			dated := len(p.Item.ReleaseDate) >= 4 || strings.Contains(name, "2017")
			if p.Item.Kind == "track" && (p.Item.ISRC == "" || p.Item.AlbumID == "" || !dated || p.Item.ImageURL == "") {
				t.Errorf("%s: %+v", name, p.Item)
			}
		}
		if p.ProgressMS == nil && p.Kind != "unknown" {
			t.Errorf("%s: no progress", name)
		}
		if strings.Contains(p.Context.URI, "user") {
			t.Errorf("%s: a user id in %q", name, p.Context.URI)
		}
		seen[name] = fmt.Sprint(p.Kind, " ", item, " ", p.Device.Type, " ", p.PrivateSession)
	}
	recorded(t, "player_", read)
	recorded(t, "currently_playing_track", read)
	recorded(t, "CONSTRUCTED_player_", read)
	for name, want := range map[string]string{
		"player_3.json":           "track track Speaker false",
		"player_4.json":           "track local Computer false",
		"player_episode_1.json":   "episode episode Speaker false",
		"player_audiobook_1.json": "episode chapter Smartphone false",
		"player_episode_item_null_without_additional_types.json": "episode - Computer false",
		"CONSTRUCTED_player_ad.json":                             "ad - Computer false",
		"CONSTRUCTED_player_unknown.json":                        "unknown - Computer false",
		"CONSTRUCTED_player_private_session.json":                "track track Smartphone true",
		"currently_playing_track.json":                           "track track  false",
		"player_state_2017.json":                                 "track track Smartphone false",
	} {
		if seen[name] != want {
			t.Errorf("%s: got %q, want %q", name, seen[name], want)
		}
	}
}

func TestRecordedPages(t *testing.T) {
	for name, want := range map[string]int{
		"recently_played_2026-02-25_limit48.json": 48,
		"recently_played_2024-10-06_limit20.json": 20,
		"recently_played_2017-05-27_limit20.json": 20,
		"recently_played_empty_past_50.json":      0,
	} {
		body := shared(t, "api", name)
		plays, err := spotify.DecodeRecentlyPlayed(body)
		if err != nil || len(plays) != want {
			t.Errorf("%s: %d plays, %v", name, len(plays), err)
		}
		for i, play := range plays {
			complete := play.Item.ISRC != "" && len(play.Item.ReleaseDate) >= 4 || strings.Contains(name, "2017")
			if play.Item.Kind != "track" || len(play.Item.Artists) == 0 || play.Item.DurationMS == 0 || !complete {
				t.Errorf("%s: items[%d]: %+v", name, i, play.Item)
			}
			if i > 0 && play.PlayedAt.After(plays[i-1].PlayedAt) {
				t.Errorf("%s: items[%d] is newer than the one before", name, i)
			}
			if strings.Contains(play.Context.URI, "user") {
				t.Errorf("%s: a user id in %q", name, play.Context.URI)
			}
		}
	}
}

func TestRecordedRowsAndTracks(t *testing.T) {
	for name, wantISRC := range map[string]bool{"play_history_item_no_isrc.json": false, "play_history_item_two_artists.json": true} {
		page := slicesOf(`{"items":[`, string(shared(t, "api", name)), `]}`)
		plays, err := spotify.DecodeRecentlyPlayed(page)
		if err != nil || len(plays) != 1 || (plays[0].Item.ISRC != "") != wantISRC {
			t.Errorf("%s: %+v, %v", name, plays, err)
		}
		if name == "play_history_item_two_artists.json" && len(plays[0].Item.Artists) != 2 {
			t.Errorf("%s: %+v", name, plays[0].Item.Artists)
		}
	}
	for _, file := range [][]string{{"api", "track_full.json"}, {"api", "track_with_floats.json"}, {"devmode-2026", "track.json"}} {
		body := shared(t, file...)
		item, err := newAccount(t, reply(200, string(body))).Track(t.Context(), "x")
		if err != nil || item.Kind != "track" || item.DurationMS == 0 || item.ISRC == "" || item.AlbumID == "" || item.ImageURL == "" {
			t.Errorf("%s: %+v, %v", file, item, err)
		}
		// zmb3 and we see the same track.
		plays, err := spotify.DecodeRecentlyPlayed(slicesOf(`{"items":[{"played_at":"2026-02-25T20:15:20.497Z","track":`, string(body), `}]}`))
		if err != nil || !reflect.DeepEqual(plays[0].Item, item) {
			t.Errorf("%s: %v\nzmb3 %+v\nours %+v", file, err, item, plays)
		}
	}
	if me, err := newAccount(t, reply(200, string(shared(t, "api", "current_user.json")))).Me(t.Context()); err != nil || me.UserID == "" || me.DisplayName == "" {
		t.Errorf("current_user.json: %+v, %v", me, err)
	}
}

func slicesOf(parts ...string) []byte { return []byte(strings.Join(parts, "")) }

// bodies returns our own bodies and, where they are, the recorded ones.
func bodies(t *testing.T, own string, prefix string) map[string][]byte {
	all := map[string][]byte{"own": []byte(own)}
	files, err := filepath.Glob("../../../shared/data/api/" + prefix + "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = body
	}
	delete(all, "player_available_devices.json")
	return all
}

const pageBody = `{"items":[{"track":` + trackBody + `,"played_at":"2026-02-25T20:15:20.497Z","context":{"type":"album","uri":"spotify:album:L1"}},
	{"track":` + trackBody + `,"played_at":"2026-02-25T20:11:00.000Z","context":null}]}`

func TestTruncatedBodies(t *testing.T) {
	cut := func(body []byte, decode func([]byte) error) {
		body = bytes.TrimSpace(body)
		for i := range 10 {
			if err := decode(body[:len(body)*i/10]); err == nil {
				t.Errorf("%.40s… cut at %d/10: no error", body, i)
			}
		}
	}
	for _, body := range bodies(t, playerBody, "player_") {
		cut(body, func(b []byte) error { _, err := spotify.DecodePlayer(b); return err })
	}
	for _, body := range bodies(t, pageBody, "recently_played_") {
		cut(body, func(b []byte) error {
			plays, err := spotify.DecodeRecentlyPlayed(b)
			if len(plays) != 0 {
				t.Errorf("half a page gave %d plays", len(plays))
			}
			return err
		})
	}
}

// swaps calls f with body once for every value in it, that value replaced by
// one of each other type.
func swaps(t *testing.T, body []byte, f func(path string, swapped []byte)) {
	var root any
	if err := json.Unmarshal(body, &root); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, value any, set func(any))
	walk = func(path string, value any, set func(any)) {
		for _, other := range []any{nil, true, -7.5, "swapped", []any{}, []any{map[string]any{"x": 1}}, map[string]any{}, map[string]any{"name": 1}} {
			if reflect.TypeOf(other) == reflect.TypeOf(value) {
				continue
			}
			set(other)
			swapped, err := json.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			f(fmt.Sprintf("%s=%v", path, other), swapped)
		}
		set(value)
		switch value := value.(type) {
		case map[string]any:
			for key, inner := range value {
				walk(path+"."+key, inner, func(v any) { value[key] = v })
			}
		case []any:
			for i, inner := range value {
				// The first rows stand for all, and no market is read.
				if i < 2 && !strings.HasSuffix(path, "markets") {
					walk(fmt.Sprintf("%s[%d]", path, i), inner, func(v any) { value[i] = v })
				}
			}
		}
	}
	walk("", root, func(v any) { root = v })
}

// trimmed is a recorded page cut to its first two rows, without its markets, so
// that two thousand variants of it are soon read.
func trimmed(t *testing.T, body []byte) []byte {
	var root map[string]any
	if err := json.Unmarshal(body, &root); err != nil {
		t.Fatal(err)
	}
	if items, ok := root["items"].([]any); ok && len(items) > 2 {
		root["items"] = items[:2]
	}
	var strip func(any)
	strip = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			delete(value, "available_markets")
			for _, inner := range value {
				strip(inner)
			}
		case []any:
			for _, inner := range value {
				strip(inner)
			}
		}
	}
	strip(root)
	small, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return small
}

func TestSwappedTypesInPlayers(t *testing.T) {
	for name, body := range bodies(t, playerBody, "player_") {
		body = trimmed(t, body)
		right, err := spotify.DecodePlayer(body)
		if err != nil {
			t.Fatal(err)
		}
		swaps(t, body, func(path string, swapped []byte) {
			got, err := spotify.DecodePlayer(swapped)
			if err != nil {
				return
			}
			// These say something else and are no mistake.
			isNull := strings.HasSuffix(path, "=<nil>")
			otherBool := strings.HasPrefix(path, ".is_playing=")
			otherPrivacy := strings.HasPrefix(path, ".device=") || strings.HasPrefix(path, ".device.is_private_session=")
			otherText := strings.HasSuffix(path, "=swapped")

			if got.Playing != right.Playing && !otherBool {
				t.Errorf("%s: %s: playing %v", name, path, got.Playing)
			}
			if got.PrivateSession != right.PrivateSession && !otherPrivacy {
				t.Errorf("%s: %s: private %v", name, path, got.PrivateSession)
			}
			if got.ProgressMS != nil && right.ProgressMS != nil && *got.ProgressMS != *right.ProgressMS {
				t.Errorf("%s: %s: progress %d", name, path, *got.ProgressMS)
			}
			switch {
			case right.Item == nil, isNull, otherText:
			case got.Item == nil:
				t.Errorf("%s: %s: the item is lost", name, path)
			case !agree(got.Item.URI, right.Item.URI), !agree(got.Item.Name, right.Item.Name):
				t.Errorf("%s: %s: item %+v", name, path, got.Item)
			}
		})
	}
}

func TestSwappedTypesInPages(t *testing.T) {
	for name, body := range bodies(t, pageBody, "recently_played_") {
		body = trimmed(t, body)
		right, err := spotify.DecodeRecentlyPlayed(body)
		if err != nil {
			t.Fatal(err)
		}
		swaps(t, body, func(path string, swapped []byte) {
			got, err := spotify.DecodeRecentlyPlayed(swapped)
			if err != nil || path == ".items=[]" {
				return // an empty page is a page
			}
			if len(got) != len(right) && !strings.HasPrefix(path, ".items=") {
				t.Errorf("%s: %s: %d plays of %d and no error", name, path, len(got), len(right))
				return
			}
			for i := range min(len(got), len(right)) {
				if !got[i].PlayedAt.Equal(right[i].PlayedAt) || got[i].Item.URI+got[i].Item.Name == "" ||
					!agree(got[i].Item.URI, right[i].Item.URI) || !agree(got[i].Item.Name, right[i].Item.Name) {
					t.Errorf("%s: %s: items[%d]:\ngot  %+v\nwant %+v", name, path, i, got[i], right[i])
				}
			}
		})
	}
}

// agree reports whether a value was read as it is, or left out.
func agree(got, right string) bool { return got == right || got == "" }

func FuzzDecodeRecentlyPlayed(f *testing.F) {
	f.Add([]byte(pageBody))
	f.Add([]byte(`{"items":[]}`))
	f.Add([]byte(`{"items":[null,{"track":null,"played_at":"2026-02-25T20:11:00Z"}]}`))
	f.Add([]byte(`{"items":[{"track":{"uri":"spotify:local:a:b:c:1","duration_ms":1e400},"played_at":"0000-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		plays, err := spotify.DecodeRecentlyPlayed(body)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Error("that was no JSON")
		}
		for _, play := range plays {
			if play.Item.URI+play.Item.Name == "" || play.Item.Kind == "" || play.Item.DurationMS < 0 {
				t.Errorf("%+v", play)
			}
		}
	})
}
