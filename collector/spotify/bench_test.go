package spotify_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
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
	const artist = `{"external_urls":{"spotify":"https://open.spotify.com/artist/%[1]022d"},"href":"https://api.spotify.com/v1/artists/%[1]022d",
        "id":"%[1]022d","name":"Artist %[1]d","type":"artist","uri":"spotify:artist:%[1]022d"}`
	const row = `{
      "track": {
        "album": {"album_type":"album","artists":[` + artist + `],
          "available_markets": [%[2]s],
          "external_urls":{"spotify":"https://open.spotify.com/album/%[1]022d"},"href":"https://api.spotify.com/v1/albums/%[1]022d","id":"%[1]022d",
          "images":[{"url":"https://i.scdn.co/image/%[1]040d","width":640,"height":640},{"url":"https://i.scdn.co/image/%[1]040d","width":300,"height":300}],
          "name":"Album %[1]d","release_date":"2020-02-29","release_date_precision":"day","total_tracks":12,"type":"album","uri":"spotify:album:%[1]022d"},
        "artists": [` + artist + `,` + artist + `],
        "available_markets": [%[2]s],
        "disc_number":1,"duration_ms":211000,"explicit":false,"external_ids":{"isrc":"XX%[1]010d"},
        "external_urls":{"spotify":"https://open.spotify.com/track/%[1]022d"},"href":"https://api.spotify.com/v1/tracks/%[1]022d",
        "id":"%[1]022d","is_local":false,"name":"Track %[1]d","popularity":50,"preview_url":null,"track_number":3,"type":"track","uri":"spotify:track:%[1]022d"},
      "played_at": %[3]q,
      "context": {"type":"playlist","href":"https://api.spotify.com/v1/playlists/%[1]022d","external_urls":{"spotify":"https://open.spotify.com/playlist/%[1]022d"},"uri":"spotify:playlist:%[1]022d"}
    }`
	var rows []string
	end := time.Date(2026, 2, 25, 20, 15, 20, 497e6, time.UTC)
	for i := range 50 {
		rows = append(rows, fmt.Sprintf(row, i, markets.String(), end.Add(-time.Duration(i)*3*time.Minute).Format("2006-01-02T15:04:05.000Z")))
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
