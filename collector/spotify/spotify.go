// Package spotify is the Web API as this project uses it: who is logged in,
// what plays now, what was played last, told with errors that say what to do.
//
// x/oauth2 speaks to the accounts service. zmb3/spotify gives the scopes, the
// profile and the call for a single track. The two calls that carry listens
// are decoded here, because zmb3 does not show a 204, drops the fields that
// tell an episode, an ad or a private session, and gives up a whole page for
// one odd field.
package spotify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	spotifyauth "github.com/zmb3/spotify/v2/auth"
	"golang.org/x/oauth2"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// Options are what an App is made of. Only ClientID is required.
type Options struct {
	ClientID     string
	ClientSecret Secret // empty: PKCE alone, which is used in either case

	APIURL      string // default https://api.spotify.com/v1/
	AccountsURL string // default https://accounts.spotify.com/
	UserAgent   string // default spotify-exporter

	Base    http.RoundTripper // default NewTransport()
	Timeout time.Duration     // of one request with its body, in real time; default 15 s
	Clock   clock.Clock

	// Before is asked right before every request to the Web API, and before
	// a token is renewed for one, with its endpoint (see
	// EndpointFromContext). It is not asked for the code of a login, which
	// would not live any longer. Its error refuses the request and is
	// returned as it is. Nil lets everything pass.
	Before func(ctx context.Context, endpoint string) error

	Log *slog.Logger // nil discards
}

// App is a Spotify app, as registered at developer.spotify.com: its client id
// and the way to Spotify's servers. One App serves all accounts of a process.
type App struct {
	api       string
	accounts  string
	oauth     oauth2.Config // without RedirectURL, which is known at login only
	userAgent string
	base      http.RoundTripper
	timeout   time.Duration
	clock     clock.Clock
	before    func(ctx context.Context, endpoint string) error
	log       *slog.Logger
	seed      maphash.Seed // of the digests of pages
	spare     atomic.Pointer[bytes.Buffer]
}

// New checks o and fills in its defaults. It sends nothing.
func New(o Options) (*App, error) {
	api, apiErr := baseURL("API URL", o.APIURL, "https://api.spotify.com/v1/")
	accounts, accountsErr := baseURL("accounts URL", o.AccountsURL, "https://accounts.spotify.com/")
	var idErr error
	if o.ClientID == "" {
		idErr = errors.New("client id: required; create an app at https://developer.spotify.com/dashboard and copy it from there")
	}
	if err := errors.Join(idErr, apiErr, accountsErr); err != nil {
		return nil, err
	}

	// Left at auto-detect, oauth2 sends every failing token request twice and
	// can burn a code with the first.
	style := oauth2.AuthStyleInParams
	if o.ClientSecret != "" {
		style = oauth2.AuthStyleInHeader
	}
	a := &App{
		api:      api,
		accounts: accounts,
		oauth: oauth2.Config{
			ClientID:     o.ClientID,
			ClientSecret: string(o.ClientSecret),
			Scopes:       Scopes(),
			Endpoint: oauth2.Endpoint{
				AuthURL:   accounts + "authorize",
				TokenURL:  accounts + "api/token",
				AuthStyle: style,
			},
		},
		userAgent: o.UserAgent,
		base:      o.Base,
		timeout:   o.Timeout,
		clock:     o.Clock,
		before:    o.Before,
		log:       o.Log,
		seed:      maphash.MakeSeed(),
	}
	if a.userAgent == "" {
		a.userAgent = "spotify-exporter"
	}
	if a.base == nil {
		a.base = NewTransport()
	}
	if a.timeout <= 0 {
		a.timeout = 15 * time.Second
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	return a, nil
}

// Scopes returns what a login asks for: the three that read the player, and
// nothing more.
func Scopes() []string {
	return []string{
		spotifyauth.ScopeUserReadCurrentlyPlaying,
		spotifyauth.ScopeUserReadPlaybackState,
		spotifyauth.ScopeUserReadRecentlyPlayed,
	}
}

// baseURL returns given, or fallback if it is empty, with a slash at its end.
func baseURL(name, given, fallback string) (string, error) {
	if given == "" {
		return fallback, nil
	}
	u, err := url.Parse(given)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s: must be http(s)://host/path, like %s (got %q)", name, fallback, given)
	}
	return strings.TrimSuffix(given, "/") + "/", nil
}
