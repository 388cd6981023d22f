package spotify

import (
	"errors"
	"hash/maphash"
)

// For the fuzz tests, which are too many for a transport.
var (
	ParseRetryAfter = parseRetryAfter
	DecodePlayer    = decodePlayer
)

// DecodeRecentlyPlayed reads a page as RecentlyPlayed does. A row that cannot be read is
// an error here.
func DecodeRecentlyPlayed(body []byte) ([]Play, error) {
	app := App{seed: maphash.MakeSeed()}
	page, err := app.decodeRecentlyPlayed(body)
	for _, row := range page.Unreadable {
		err = errors.Join(err, errors.New(row.Why))
	}
	return page.Plays, err
}
