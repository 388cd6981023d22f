package spotify

// For the fuzz tests, which are too many for a transport.
var (
	ParseRetryAfter = parseRetryAfter
	DecodePlayer    = decodePlayer
)

// DecodeRecentlyPlayed reads a page as RecentlyPlayed does.
func DecodeRecentlyPlayed(body []byte) ([]Play, error) {
	plays, _, err := decodeRecentlyPlayed(body)
	return plays, err
}
