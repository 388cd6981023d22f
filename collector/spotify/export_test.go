package spotify

// For the fuzz tests, which are too many for a transport.
var (
	ParseRetryAfter      = parseRetryAfter
	DecodePlayer         = decodePlayer
	DecodeRecentlyPlayed = decodeRecentlyPlayed
)
