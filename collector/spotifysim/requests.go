package spotifysim

import (
	"slices"
	"sort"
	"time"
)

// The endpoints, as Requests and Fault name them.
const (
	EndpointMe               = "me"
	EndpointPlayer           = "player"
	EndpointCurrentlyPlaying = "currently_playing"
	EndpointRecentlyPlayed   = "recently_played"
	EndpointTrack            = "track"
	EndpointEpisode          = "episode"
	EndpointOther            = "other" // of the Web API, but not served
	EndpointToken            = "token" // of the accounts service: no Web API request
)

// request is a Request, packed: long runs make millions.
type request struct {
	at       int64
	endpoint string
	user     *User
	status   int16
	early    bool
}

// Request is one request to the Web API.
type Request struct {
	At       time.Time
	Endpoint string
	User     *User // nil if the access token names nobody
	Status   int   // 0: the connection broke before an answer
	Early    bool  // before a Retry-After was over
}

// Requests is all that was asked of the Web API, in the order of time.
type Requests []Request

// Requests returns the requests to the Web API so far, those of Options.RequestsKept at
// least.
func (s *Spotify) Requests() Requests {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := make(Requests, len(s.requests))
	for i, r := range s.requests {
		requests[i] = Request{utc(r.at), r.endpoint, r.user, int(r.status), r.early}
	}
	return requests
}

// forgetRequests forgets what is older than Options.RequestsKept, when that is half of
// the list or more.
func (s *Spotify) forgetRequests(now int64) {
	oldest := now - s.options.RequestsKept.Milliseconds()
	if s.options.RequestsKept == 0 || s.requests[len(s.requests)/2].at >= oldest {
		return
	}
	old := sort.Search(len(s.requests), func(i int) bool { return s.requests[i].at >= oldest })
	s.requests = slices.Clone(s.requests[old:])
	s.window30s, s.window24h = max(0, s.window30s-old), max(0, s.window24h-old)
}

// TokenRequests returns how often the token endpoint was asked.
func (s *Spotify) TokenRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

// ByEndpoint counts the requests to each endpoint.
func (requests Requests) ByEndpoint() map[string]int {
	count := map[string]int{}
	for _, r := range requests {
		count[r.Endpoint]++
	}
	return count
}

// Max returns how many requests there were at most in any window of that
// length (its first instant excluded): Max(24*time.Hour) is held against
// a budget.
func (requests Requests) Max(window time.Duration) int {
	most, first := 0, 0
	for i, r := range requests {
		for !requests[first].At.After(r.At.Add(-window)) {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Early counts the requests before a Retry-After was over.
func (requests Requests) Early() int {
	early := 0
	for _, r := range requests {
		if r.Early {
			early++
		}
	}
	return early
}

// overLimit says how long to wait if the options' limits are reached, and
// whether it is the quota.
func (s *Spotify) overLimit(now int64) (wait time.Duration, quota, over bool) {
	for s.window30s < len(s.requests) && s.requests[s.window30s].at <= now-30_000 {
		s.window30s++
	}
	for s.window24h < len(s.requests) && s.requests[s.window24h].at <= now-86_400_000 {
		s.window24h++
	}
	if limit := s.options.DailyQuota; limit > 0 && len(s.requests)-s.window24h >= limit {
		return s.untilBelow(limit, now) + 24*time.Hour, true, true
	}
	if limit := s.options.RateLimit; limit > 0 && len(s.requests)-s.window30s >= limit {
		return s.untilBelow(limit, now) + 30*time.Second, false, true
	}
	return 0, false, false
}

// untilBelow returns how long ago the request was that has to leave the window
// for one more to fit in, as a negative duration. The one that is refused now
// counts too: to ask again and again does not help.
func (s *Spotify) untilBelow(limit int, now int64) time.Duration {
	i := len(s.requests) + 1 - limit
	if i == len(s.requests) {
		return 0
	}
	return time.Duration(s.requests[i].at-now) * time.Millisecond
}
