package spotifysim

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// codeLife is how long an authorization code can be exchanged.
const codeLife = 10 * time.Minute

// code is an authorization code.
type code struct {
	user      *User
	scope     string
	redirect  string
	challenge string
	issued    time.Time
	used      bool
}

// grant is what one authorization by a user allows, for six months.
type grant struct {
	user         *User
	scope        string // space separated
	authorizedAt time.Time
	refresh      string // the refresh token that is alive
	access       []string
	revoked      bool
}

// expired says whether the six (calendar) months are over. Refreshing does not
// prolong them.
func (g *grant) expired(now time.Time) bool { return !now.Before(g.authorizedAt.AddDate(0, 6, 0)) }

// allows says whether the scopes suffice for an endpoint.
func (g *grant) allows(endpoint string) bool {
	needed := ""
	switch endpoint {
	case EndpointPlayer:
		needed = "user-read-playback-state"
	case EndpointCurrentlyPlaying:
		needed = "user-read-currently-playing"
	case EndpointRecentlyPlayed:
		needed = "user-read-recently-played"
	}
	return needed == "" || slices.Contains(strings.Fields(g.scope), needed)
}

// access is an access token.
type access struct {
	grant  *grant
	expiry time.Time
}

func (a *access) alive(now time.Time) bool { return now.Before(a.expiry) && !a.grant.revoked }

// defaultScopes is the minimum for what this project asks of the player.
const defaultScopes = "user-read-currently-playing user-read-playback-state user-read-recently-played"

// Token authorizes the app now, without a browser, and returns the refresh
// token and the time of the authorization. No scopes: the three read scopes of
// the player.
func (u *User) Token(scopes ...string) (refresh string, authorizedAt time.Time) {
	s := u.spotify
	s.mu.Lock()
	defer s.mu.Unlock()
	scope := strings.Join(scopes, " ")
	if scope == "" {
		scope = defaultScopes
	}
	g := s.grant(u, scope, s.now())
	return g.refresh, g.authorizedAt
}

// AccessToken authorizes the app as Token does and returns an access token.
func (u *User) AccessToken(scopes ...string) string {
	refresh, _ := u.Token(scopes...)
	u.spotify.mu.Lock()
	defer u.spotify.mu.Unlock()
	return u.spotify.accessToken(u.spotify.grants[refresh], u.spotify.now())
}

// Revoke takes back all that u allowed so far: refresh tokens are refused from
// now on, access tokens too.
func (u *User) Revoke() {
	u.spotify.mu.Lock()
	defer u.spotify.mu.Unlock()
	for _, g := range u.grants {
		g.revoked = true
	}
}

func (s *Spotify) grant(u *User, scope string, now time.Time) *grant {
	g := &grant{user: u, scope: scope, authorizedAt: now, refresh: s.secret("Refresh")}
	u.grants = append(u.grants, g)
	s.grants[g.refresh] = g
	return g
}

func (s *Spotify) accessToken(g *grant, now time.Time) string {
	// Long expired ones are forgotten: a year of refreshes has thousands.
	g.access = slices.DeleteFunc(g.access, func(token string) bool {
		old := now.After(s.access[token].expiry.Add(24 * time.Hour))
		if old {
			delete(s.access, token)
		}
		return old
	})
	token := s.secret("Access")
	g.access = append(g.access, token)
	s.access[token] = &access{g, now.Add(s.options.AccessTokenLife)}
	return token
}

// authorize is the page at which a person would log in and agree.
func (c *call) authorize() answer {
	if c.r.Method != http.MethodGet {
		return c.badManners("only GET is served")
	}
	get := c.query.Get
	for name := range c.query {
		if !slices.Contains([]string{"client_id", "response_type", "redirect_uri", "code_challenge", "code_challenge_method", "state", "scope", "show_dialog"}, name) {
			return c.badManners("unknown parameter %s", name)
		}
	}
	if get("client_id") != c.options.ClientID {
		return c.refusePage("INVALID_CLIENT: Invalid client")
	}
	redirect, err := url.Parse(get("redirect_uri"))
	if err != nil || !redirectable(redirect) {
		return c.refusePage("INVALID_CLIENT: Invalid redirect URI")
	}
	switch {
	case get("response_type") != "code":
		return c.refusePage("response_type must be code")
	case get("state") == "":
		return c.refusePage("state is missing")
	case get("code_challenge_method") != "S256" || len(get("code_challenge")) != 43:
		return c.refusePage("code_challenge_method must be S256")
	}

	back := url.Values{"state": {get("state")}}
	if c.login == nil {
		back.Set("error", "access_denied")
	} else {
		token := c.secret("Code")
		c.codes[token] = &code{
			user: c.login, scope: sortedScopes(get("scope")), redirect: get("redirect_uri"),
			challenge: get("code_challenge"), issued: c.now,
		}
		back.Set("code", token)
	}
	redirect.RawQuery = back.Encode()
	return answer{status: http.StatusFound, header: http.Header{"Location": {redirect.String()}}}
}

func (c *call) refusePage(message string) answer {
	c.complain("%s %s: %s", c.r.Method, c.r.URL.Path, message)
	return textAnswer(http.StatusBadRequest, message)
}

// redirectable says whether Spotify accepts a redirect URI: HTTPS, or HTTP to a
// loopback address literal; hyphens in the path were refused.
func redirectable(u *url.URL) bool {
	loopback := u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	return (u.Scheme == "https" && u.Hostname() != "" || u.Scheme == "http" && loopback && !strings.Contains(u.Path, "-")) &&
		u.Fragment == ""
}

func sortedScopes(scope string) string {
	scopes := strings.Fields(scope)
	slices.Sort(scopes)
	return strings.Join(scopes, " ")
}

type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// tokenError is the error form of the token endpoint (RFC 6749, 5.2).
func tokenError(status int, code, description string) answer {
	return jsonAnswer(status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
	}{code, description})
}

// badTokenRequest answers what no correct client sends.
func (c *call) badTokenRequest(code, format string, args ...any) answer {
	message := fmt.Sprintf(format, args...)
	c.complain("%s %s: %s", c.r.Method, c.r.URL.Path, message)
	return tokenError(http.StatusBadRequest, code, message)
}

// tokenRequest is POST /api/token.
func (c *call) tokenRequest() answer {
	c.tokens++
	fault := c.fault(EndpointToken, nil, c.now)
	if fault != nil {
		if a, instead := fault.answer(); instead {
			return a
		}
	}
	a := c.token()
	if fault != nil {
		fault.spoil(&a)
	}
	return a
}

func (c *call) token() answer {
	get := c.query.Get
	if c.r.Method != http.MethodPost {
		return c.badTokenRequest("invalid_request", "only POST is served")
	}
	known := map[string][]string{
		"authorization_code": {"grant_type", "code", "redirect_uri", "code_verifier", "client_id"},
		"refresh_token":      {"grant_type", "refresh_token", "client_id"},
	}[get("grant_type")]
	if known == nil {
		return c.badTokenRequest("unsupported_grant_type", "grant_type %q", get("grant_type"))
	}
	for name := range c.query {
		if !slices.Contains(known, name) {
			return c.badTokenRequest("invalid_request", "unknown parameter %s", name)
		}
	}
	if a, ok := c.authenticate(); !ok {
		return a
	}
	if get("grant_type") == "refresh_token" {
		return c.refresh(get("refresh_token"))
	}
	return c.exchange()
}

// authenticate wants exactly one of Basic auth (with a secret) and a client_id
// in the body (PKCE without one).
func (c *call) authenticate() (answer, bool) {
	id, secret, basic := c.r.BasicAuth()
	inBody := c.query.Has("client_id")
	switch {
	case basic && inBody:
		return c.badTokenRequest("invalid_client", "both an Authorization header and client_id in the body"), false
	case !basic && !inBody:
		return c.badTokenRequest("invalid_client", "neither an Authorization header nor client_id in the body"), false
	case basic != (c.options.ClientSecret != ""):
		return c.badTokenRequest("invalid_client", "Basic auth goes with a client secret, client_id in the body without one"), false
	}
	if basic && id == url.QueryEscape(c.options.ClientID) && secret == url.QueryEscape(c.options.ClientSecret) ||
		inBody && c.query.Get("client_id") == c.options.ClientID {
		return answer{}, true
	}
	if basic { // a person may have mistyped it: no bad manners
		return tokenError(http.StatusBadRequest, "invalid_client", "Invalid client secret"), false
	}
	return tokenError(http.StatusBadRequest, "invalid_client", "Invalid client"), false
}

// exchange is the authorization_code grant.
func (c *call) exchange() answer {
	authorization := c.codes[c.query.Get("code")]
	switch {
	case authorization == nil || authorization.used:
		return tokenError(http.StatusBadRequest, "invalid_grant", "Invalid authorization code")
	case c.now.Sub(authorization.issued) >= codeLife:
		return tokenError(http.StatusBadRequest, "invalid_grant", "Authorization code expired")
	}
	authorization.used = true
	if c.query.Get("redirect_uri") != authorization.redirect {
		return c.badTokenRequest("invalid_grant", "Invalid redirect URI")
	}
	sum := sha256.Sum256([]byte(c.query.Get("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != authorization.challenge {
		return c.badTokenRequest("invalid_grant", "code_verifier was incorrect")
	}
	g := c.grant(authorization.user, authorization.scope, c.now)
	return c.tokens200(g, g.refresh)
}

// refresh is the refresh_token grant.
func (c *call) refresh(token string) answer {
	g := c.grants[token]
	switch {
	case g == nil:
		return tokenError(http.StatusBadRequest, "invalid_grant", "Invalid refresh token")
	case g.revoked || g.refresh != token: // rotated away
		return tokenError(http.StatusBadRequest, "invalid_grant", "Refresh token revoked")
	case g.expired(c.now):
		return tokenError(http.StatusBadRequest, "invalid_grant", "Refresh token expired")
	}
	if !c.options.RotateRefreshTokens {
		return c.tokens200(g, "")
	}
	g.refresh = c.secret("Refresh")
	c.grants[g.refresh] = g
	return c.tokens200(g, g.refresh)
}

func (c *call) tokens200(g *grant, refresh string) answer {
	return jsonAnswer(http.StatusOK, tokenAnswer{
		AccessToken:  c.accessToken(g, c.now),
		TokenType:    "Bearer",
		Scope:        g.scope,
		ExpiresIn:    int64(c.options.AccessTokenLife / time.Second),
		RefreshToken: refresh,
	})
}
