// Package spotifysim is a Spotify of our own: an accounts service and a Web API
// that show what scripted listeners play, for tests, the demo and benchmarks.
//
// It starts no goroutine and holds no timer: every answer is a function of what
// was played and of what the clock shows now. So it runs in virtual time inside
// a testing/synctest bubble (use Transport) as well as over real HTTP (it is an
// http.Handler). Times are kept in whole milliseconds, as Spotify gives them.
//
// It is strict: a bad manner that Spotify would punish later, or only for
// others, is reported through Options.Fail at once.
package spotifysim

import (
	"cmp"
	"fmt"
	"sync"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// Options say which Spotify to play. The zero value of a field is its default.
type Options struct {
	Clock clock.Clock

	ClientID     string // default "client"
	ClientSecret string // "": PKCE only, no Authorization at the token endpoint

	// Fail is told of every bad manner: a request before Retry-After is over, a
	// missing header, an unknown path, method or parameter. Tests pass
	// t.Errorf. If it is nil the request is only answered with an error.
	Fail func(format string, args ...any)

	AccessTokenLife     time.Duration // default 1 h
	RotateRefreshTokens bool          // every refresh brings a new refresh token and kills the old one, as PKCE did until mid-2026
	LegacyShapes        bool          // answers as before February 2026: available_markets, popularity, country, …

	RecentlyPlayedDelay   time.Duration // from the end of a play until recently-played shows it; default 5 s
	RecentlyPlayedMinimum time.Duration // plays that sounded for less are never shown there; default 30 s
	Inactivity            time.Duration // from a pause until the player is gone (204); default 10 min, as the logout rows of real exports show

	// RequestsKept is for how long Requests knows of a request, a day or more; 0: for
	// ever, which takes memory without end.
	RequestsKept time.Duration

	RateLimit  int // Web API calls per rolling 30 s, then 429; 0: no limit
	DailyQuota int // Web API calls per rolling 24 h, then 429 QUOTA_EXCEEDED; 0: no limit
}

// Spotify is the service. Its methods may be called at the same time.
type Spotify struct {
	options Options

	mu       sync.Mutex
	users    []*User
	login    *User // who signs in at the authorize page; nil: denies
	premium  bool
	items    map[string]*entry // by the id of a track or episode
	codes    map[string]*code
	grants   map[string]*grant  // by every refresh token ever given
	access   map[string]*access // by access token
	issued   int                // tokens and codes so far, which makes them distinct
	faults   []*Fault
	verbatim map[string]verbatim

	retryAfter int64 // no Web API request before this time, in ms; one for the client id
	requests   []request
	tokens     int // requests to the token endpoint
	window30s  int // first of requests that the rate limit still counts
	window24h  int // first of requests that the quota still counts
}

// New returns a Spotify without users.
func New(options Options) *Spotify {
	options.ClientID = cmp.Or(options.ClientID, "client")
	options.AccessTokenLife = cmp.Or(options.AccessTokenLife, time.Hour)
	options.RecentlyPlayedDelay = cmp.Or(options.RecentlyPlayedDelay, 5*time.Second)
	options.RecentlyPlayedMinimum = cmp.Or(options.RecentlyPlayedMinimum, 30*time.Second)
	options.Inactivity = cmp.Or(options.Inactivity, 10*time.Minute)
	return &Spotify{
		options:  options,
		premium:  true,
		items:    map[string]*entry{},
		codes:    map[string]*code{},
		grants:   map[string]*grant{},
		access:   map[string]*access{},
		verbatim: map[string]verbatim{},
	}
}

// URLs returns the base URLs of the Web API and of the accounts service, each
// ending in "/", for a Spotify that is reached at base ("http://127.0.0.1:1234").
func URLs(base string) (api, accounts string) {
	return base + "/v1/", base + "/accounts/"
}

// User is a person with a Spotify account, and what that person plays.
type User struct {
	spotify    *Spotify
	id, name   string
	registered bool
	grants     []*grant
	timeline   timeline
	next       func() []Given // what is played when all that was told is nearly over; may be nil
}

// AddUser adds a person with a Spotify id and a display name. The first one
// signs in at the authorize page until LogIn or Deny says otherwise.
func (s *Spotify) AddUser(id, name string) *User {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := &User{spotify: s, id: id, name: name, registered: true}
	u.timeline = newTimeline(s.options)
	s.users = append(s.users, u)
	if len(s.users) == 1 {
		s.login = u
	}
	return u
}

// ID returns the Spotify id.
func (u *User) ID() string { return u.id }

// AccountID returns what /me calls account_id: it never changes.
func (u *User) AccountID() string { return base62("account", u.id) }

// LogIn makes u the person who signs in at the authorize page from now on.
func (s *Spotify) LogIn(u *User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login = u
}

// Deny makes the authorize page refuse from now on: error=access_denied.
func (s *Spotify) Deny() { s.LogIn(nil) }

// SetPremium lets the Premium of the app's owner lapse (false) or come back.
// Without it every Web API call is a 403 in plain text, for every user.
func (s *Spotify) SetPremium(premium bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.premium = premium
}

// SetRegistered takes u off the app's list of users (false), or puts u on it.
// Login still works then, every Web API call is a 403 in plain text.
func (u *User) SetRegistered(registered bool) {
	u.spotify.mu.Lock()
	defer u.spotify.mu.Unlock()
	u.registered = registered
}

func (s *Spotify) now() time.Time { return s.options.Clock.Now() }

// fail reports bad manners. It must be called without holding the mutex.
func (s *Spotify) fail(complaints []string) {
	if s.options.Fail == nil {
		return
	}
	for _, complaint := range complaints {
		s.options.Fail("spotifysim: %s", complaint)
	}
}

// secret returns a new token or code of that sort.
func (s *Spotify) secret(sort string) string {
	s.issued++
	return fmt.Sprintf("sim%s%d%s", sort, s.issued, base62(sort, s.options.ClientID, fmt.Sprint(s.issued)))
}
