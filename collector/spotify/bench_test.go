package spotify_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fullPage is a page of fifty plays in the older shape, whose lists of markets
// make it as long as the longest recorded: about 450 KB.
func fullPage() []byte {
	var markets strings.Builder
	for i := range 184 {
		if i > 0 {
			markets.WriteString(",\n          ")
		}
		fmt.Fprintf(&markets, `"%c%c"`, 'A'+i/26, 'A'+i%26)
	}
	const artist = `{"external_urls":{"spotify":"https://open.spotify.com/artist/$ID"},"href":"https://api.spotify.com/v1/artists/$ID",
        "id":"$ID","name":"Artist $N","type":"artist","uri":"spotify:artist:$ID"}`
	const row = `{
      "track": {
        "album": {"album_type":"album","artists":[` + artist + `],
          "available_markets": [$MARKETS],
          "external_urls":{"spotify":"https://open.spotify.com/album/$ID"},"href":"https://api.spotify.com/v1/albums/$ID","id":"$ID",
          "images":[{"url":"https://i.scdn.co/image/$ID","width":640,"height":640},{"url":"https://i.scdn.co/image/$ID","width":300,"height":300}],
          "name":"Album $N","release_date":"2020-02-29","release_date_precision":"day","total_tracks":12,"type":"album","uri":"spotify:album:$ID"},
        "artists": [` + artist + `,` + artist + `],
        "available_markets": [$MARKETS],
        "disc_number":1,"duration_ms":211000,"explicit":false,"external_ids":{"isrc":"XX$N"},
        "external_urls":{"spotify":"https://open.spotify.com/track/$ID"},"href":"https://api.spotify.com/v1/tracks/$ID",
        "id":"$ID","is_local":false,"name":"Track $N","popularity":50,"preview_url":null,"track_number":3,"type":"track","uri":"spotify:track:$ID"},
      "played_at": "$END",
      "context": {"type":"playlist","href":"https://api.spotify.com/v1/playlists/$ID","external_urls":{"spotify":"https://open.spotify.com/playlist/$ID"},"uri":"spotify:playlist:$ID"}
    }`
	var rows []string
	end := time.Date(2026, 2, 25, 20, 15, 20, 497e6, time.UTC)
	for i := range 50 {
		rows = append(rows, strings.NewReplacer(
			"$ID", fmt.Sprintf("%022d", i),
			"$N", strconv.Itoa(i),
			"$MARKETS", markets.String(),
			"$END", end.Add(-time.Duration(i)*3*time.Minute).Format("2006-01-02T15:04:05.000Z"),
		).Replace(row))
	}
	return []byte(`{"items":[` + strings.Join(rows, ",") + `],"next":null,"cursors":{"after":"1772050520497","before":"1772041700497"},"limit":50,"href":"x"}`)
}

// pageServer answers every request with the same page, as cheaply as it can:
// what is measured is our side.
type pageServer []byte

func (body pageServer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode:    http.StatusOK,
		Header:        http.Header{},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: -1, // gzip hides it
		Request:       r,
	}, nil
}

func BenchmarkPageUnchanged(b *testing.B) { benchmarkPage(b, true) }

func BenchmarkPageChanged(b *testing.B) { benchmarkPage(b, false) }

func benchmarkPage(b *testing.B, unchanged bool) {
	body := fullPage()
	account := newAccount(b, pageServer(body))
	page, err := account.RecentlyPlayed(b.Context(), 0)
	if err != nil || len(page.Plays) != 50 {
		b.Fatalf("%d plays, %v", len(page.Plays), err)
	}
	known := page.Digest
	if !unchanged {
		known = 0
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		page, err := account.RecentlyPlayed(b.Context(), known)
		if err != nil || page.Unchanged != unchanged {
			b.Fatal(page.Unchanged, err)
		}
	}
}
