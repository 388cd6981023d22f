package spotify_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// TestRowsThatCannotBeRead: the others of the page are read, and each such row is told
// with what is wrong but nothing of what was played.
func TestRowsThatCannotBeRead(t *testing.T) {
	tests := []struct{ name, row, why string }{
		{"null", `null`, "the row is null"},
		{"text", `"nonsense"`, "played_at: must be a time"},
		{"a number", `7`, "played_at: must be a time"},
		{"empty", `{}`, "played_at: must be a time"},
		{"no track", `{"track":null,"played_at":"2026-02-25T20:11:00.000Z"}`, "track: has neither uri nor name (played_at 2026-02-25T20:11:00.000Z)"},
		{"a track of another type", `{"track":"T9","played_at":"2026-02-25T20:11:00.000Z"}`, "track: has neither uri nor name"},
		{"a track without a name", `{"track":{"id":"nameless"},"played_at":"2026-02-25T20:11:00.000Z"}`, "track: has neither uri nor name"},
		{"no time", `{"track":` + trackBody + `}`, "played_at: must be a time"},
		{"a null time", `{"track":` + trackBody + `,"played_at":null}`, "played_at: must be a time"},
		{"a time in words", `{"track":` + trackBody + `,"played_at":"yesterday"}`, `played_at: must be a time (got "yesterday")`},
		{"a time that is a number", `{"track":` + trackBody + `,"played_at":1772050520497}`, "played_at: must be a time"},
	}
	good := func(at string) string { return `{"track":` + trackBody + `,"played_at":"2026-02-25T20:` + at + `Z"}` }
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := `{"items":[` + good("15:20.497") + `,` + test.row + `,` + good("00:00.000") + `]}`
			page, err := newAccount(t, reply(200, body)).RecentlyPlayed(t.Context(), 0)
			if err != nil || page.Digest == 0 || page.Rows != 3 {
				t.Fatalf("got %v, digest %v, %d rows", err, page.Digest, page.Rows)
			}
			if len(page.Plays) != 2 || page.Plays[0].Item.URI != "spotify:track:T1" || page.Plays[1].PlayedAt.Minute() != 0 {
				t.Errorf("plays: %+v", page.Plays)
			}
			if len(page.Unreadable) != 1 || !strings.Contains(page.Unreadable[0].Why, test.why) || strings.Contains(page.Unreadable[0].Why, "T1") {
				t.Errorf("got %+v, want %q", page.Unreadable, test.why)
			}
			// Alone it is a page as well: an account may have listened once.
			page, err = newAccount(t, reply(200, `{"items":[`+test.row+`]}`)).RecentlyPlayed(t.Context(), 0)
			if err != nil || len(page.Unreadable) != 1 {
				t.Errorf("alone: %+v, %v", page, err)
			}
			// But if nothing of several can be read, the format is another one.
			if _, err = newAccount(t, reply(200, `{"items":[`+test.row+`,`+test.row+`]}`)).RecentlyPlayed(t.Context(), 0); spotify.ReasonOf(err) != spotify.ReasonDecode {
				t.Errorf("two of it and nothing else: %v", err)
			}
		})
	}
}

// TestUnreadableRowsAreToldApart: a row is the same one wherever it stands on a page.
func TestUnreadableRowsAreToldApart(t *testing.T) {
	row := func(at time.Duration) string {
		return `{"track":null,"played_at":"` + time.Unix(0, 0).Add(at).UTC().Format(time.RFC3339) + `"}`
	}
	good := `{"track":` + trackBody + `,"played_at":"2026-02-25T20:15:20.497Z"}`
	account := newAccount(t, reply(200, `{"items":[`+good+`,`+row(time.Hour)+`,null,`+row(2*time.Hour)+`,`+row(time.Hour)+`]}`))
	page, err := account.RecentlyPlayed(t.Context(), 0)
	if err != nil || len(page.Unreadable) != 4 {
		t.Fatalf("got %+v, %v", page, err)
	}
	u := page.Unreadable
	if u[0].ID != u[3].ID || u[0].ID == u[1].ID || u[0].ID == u[2].ID || u[1].ID == u[2].ID {
		t.Errorf("got %+v", u)
	}
}

// TestAnOddStatusIsTold: a success that is no 200 is not called one.
func TestAnOddStatusIsTold(t *testing.T) {
	for status, words := range map[int]string{202: "202 Accepted", 203: "203 Non-Authoritative Information", 206: "206 Partial Content", 204: "204 No Content"} {
		account := newAccount(t, reply(status, ""))
		_, list := account.RecentlyPlayed(t.Context(), 0)
		_, me := account.Me(t.Context())
		_, track := account.Track(t.Context(), "x")
		_, token := newApp(t, &server{token: http.HandlerFunc(reply(status, ""))}).Account(newTokens(t, -time.Hour), "me").Player(t.Context())
		failures := []error{list, me, track, token}
		if status != 204 { // which says that nothing plays
			_, player := account.Player(t.Context())
			failures = append(failures, player)
		}
		for i, err := range failures {
			if spotify.ReasonOf(err) != spotify.ReasonDecode || !strings.Contains(err.Error(), words) {
				t.Errorf("%d, call %d: %v", status, i, err)
			}
		}
	}
}
