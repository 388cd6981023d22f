package spotify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"sync"
	"time"

	zmb3 "github.com/zmb3/spotify/v2"
	"golang.org/x/oauth2"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/secret"
)

// client is the Web API with the access tokens of somebody.
type client struct {
	app *App

	// accessToken returns a token to try. One that Spotify has rejected must
	// not come again.
	accessToken func(ctx context.Context, rejected Secret) (Secret, error)

	// login is the command that mends ReasonAuth.
	login string

	scopes scopeRefusals
}

// scopeRefusals counts, by endpoint, the answers in a row that said that the token lacks
// a scope. Spotify gives one now and then to a token that is fine, and takes the same
// token at the next try: only believedRefusals of them are believed.
type scopeRefusals struct {
	mu    sync.Mutex
	inRow map[string]int
}

const believedRefusals = 3

// weigh takes in what a request came to, and makes a refusal that is not believed yet a
// failure of Spotify's servers.
func (s *scopeRefusals) weigh(endpoint string, err error) {
	e, failed := errors.AsType[*Error](err)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		delete(s.inRow, endpoint)
	case failed && e.code == codeScope:
		if s.inRow == nil {
			s.inRow = map[string]int{}
		}
		if s.inRow[endpoint]++; s.inRow[endpoint] < believedRefusals {
			e.Reason = ReasonServer
			e.Message = clean.Short(fmt.Sprintf("%s (refusal %d; it is believed after %d in a row)", e.Message, s.inRow[endpoint], believedRefusals), maxMessage)
		}
	}
}

// send sends req with a token, and once more with another if the first turns
// out dead before its time.
func (c *client) send(req *http.Request) (answer, error) {
	ctx := req.Context()
	var rejected Secret
	for {
		token, err := c.accessToken(ctx, rejected)
		if err != nil {
			return answer{}, err
		}
		if ctx.Err() != nil { // a refresh outlives it
			return answer{}, context.Cause(ctx)
		}
		if c.app.before != nil {
			if err := c.app.before(ctx, EndpointFromContext(ctx)); err != nil {
				return answer{}, err
			}
		}
		req := req.Clone(ctx)
		req.Header.Set("Authorization", "Bearer "+string(token))
		a, err := c.app.send(req)
		e, failed := errors.AsType[*Error](err)
		if failed && e.Status == http.StatusUnauthorized && rejected == "" {
			rejected = token
			continue
		}
		c.scopes.weigh(EndpointFromContext(ctx), err)
		if failed && e.Reason == ReasonAuth {
			e.Message = clean.Short(e.Message+", run "+c.login, maxMessage)
		}
		return a, err
	}
}

// get sends a GET and has read decode the answer, which is gone afterwards.
// path is below the API's base URL.
func (c *client) get(ctx context.Context, endpoint, path string, read func(answer) error) error {
	req, err := http.NewRequestWithContext(withEndpoint(ctx, endpoint), http.MethodGet, c.app.api+path, nil)
	if err != nil {
		return fmt.Errorf("spotify %s: %w", endpoint, err)
	}
	a, err := c.send(req)
	if err != nil {
		return err
	}
	defer c.app.reuse(a)
	if err := read(a); err != nil {
		return a.decodeError(endpoint, err)
	}
	return nil
}

// decodeError is the error of a success that cannot be read.
func (a *answer) decodeError(endpoint string, err error) *Error {
	return &Error{Endpoint: endpoint, Status: a.status, Reason: ReasonDecode, Message: clean.Short(secret.Mask(err.Error(), a.secrets...), maxMessage)}
}

// me asks for the person whose tokens these are: GET /me.
func (c *client) me(ctx context.Context) (p Profile, err error) {
	err = c.get(ctx, endpointMe, "me", func(a answer) error {
		var me struct {
			zmb3.PrivateUser
			AccountID string `json:"account_id"` // newer than zmb3
		}
		if err := decode(a.body.Bytes(), &me); err != nil {
			return err
		}
		p = Profile{AccountID: me.AccountID, UserID: me.ID, DisplayName: me.DisplayName}
		if !p.known() {
			return errors.New("neither account_id nor id")
		}
		return nil
	})
	return p, err
}

// Account is the Web API for one account, with the token from its file. A
// newer file, of a login or of another process, is picked up before the next
// request. An Account may be used by many goroutines.
type Account struct {
	client
	tokens Tokens
	alias  string

	// turn is held by the goroutine that looks after what follows. It is a
	// channel so that waiting for it can be left, and so that virtual time
	// goes on meanwhile.
	turn    chan struct{}
	auth    Authorization
	file    fs.FileInfo // which auth is from; nil before the first
	refused *Error      // invalid_grant for auth: not to be asked again
	unsaved bool        // auth is newer than file, which could not be written
}

// Account returns the account that tokens has under alias, or will have.
func (a *App) Account(tokens Tokens, alias string) *Account {
	c := &Account{tokens: tokens, alias: alias, turn: make(chan struct{}, 1)}
	c.app, c.accessToken, c.login = a, c.currentToken, loginCommand(alias)
	return c
}

// Me asks who logged in: GET /me.
func (c *Account) Me(ctx context.Context) (Profile, error) { return c.me(ctx) }

// Player asks what plays: GET /me/player, episodes included.
func (c *Account) Player(ctx context.Context) (p Player, err error) {
	err = c.get(ctx, endpointPlayer, "me/player?additional_types=track,episode", func(a answer) error {
		if a.status != http.StatusNoContent {
			var err error
			if p, err = decodePlayer(a.body.Bytes()); err != nil {
				return err
			}
		}
		p.ReceivedAt, p.RoundTrip = a.receivedAt, a.roundTrip
		return nil
	})
	return p, err
}

// RecentlyPlayed asks for the last fifty plays, always all of them: plays of
// an offline device appear behind a cursor. A body with the known digest is
// not read again.
//
// Rows that cannot be read are left out and named in Page.Unreadable.
func (c *Account) RecentlyPlayed(ctx context.Context, known Digest) (p Page, err error) {
	err = c.get(ctx, endpointRecentlyPlayed, "me/player/recently-played?limit=50", func(a answer) error {
		digest := c.app.digest(a.body.Bytes())
		if digest == known {
			p.Unchanged = true
		} else {
			var err error
			if p, err = c.app.decodeRecentlyPlayed(a.body.Bytes()); err != nil {
				return err
			}
			for i := range p.Unreadable {
				p.Unreadable[i].Why = clean.Short(secret.Mask(p.Unreadable[i].Why, a.secrets...), maxMessage)
			}
		}
		p.Digest, p.ReceivedAt = digest, a.receivedAt
		return nil
	})
	return p, err
}

// Track asks for one track of the catalogue.
func (c *Account) Track(ctx context.Context, id string) (Item, error) {
	if ok, _ := regexp.MatchString(`^[0-9A-Za-z]+$`, id); !ok {
		return Item{}, fmt.Errorf("track id: must be letters and digits (got %q)", id)
	}
	var last answer // zmb3 does not tell its status
	send := func(req *http.Request) (a answer, err error) {
		last, err = c.send(req)
		return last, err
	}
	web := zmb3.New(&http.Client{Transport: sender(send)}, zmb3.WithBaseURL(c.app.api))
	track, err := web.GetTrack(withEndpoint(ctx, endpointTrack), zmb3.ID(id))
	if err, ok := errors.AsType[*url.Error](err); ok {
		return Item{}, err.Err // ours, from send
	}
	if err != nil {
		return Item{}, last.decodeError(endpointTrack, err)
	}
	item, ok := fullTrack(track)
	if !ok {
		return Item{}, last.decodeError(endpointTrack, errors.New("neither uri nor name"))
	}
	return item, nil
}

// Authorization returns what the token file says, for its owner, its date and
// its scopes. It sends nothing.
func (c *Account) Authorization(ctx context.Context) (Authorization, error) {
	if err := c.take(ctx); err != nil {
		return Authorization{}, err
	}
	defer c.release()
	if err := c.reload(); err != nil {
		return Authorization{}, err
	}
	return c.auth, nil
}

func (c *Account) take(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Account) release() { <-c.turn }

// currentToken returns the access token of the file if it is good, else a new
// one. Goroutines that come meanwhile wait, and share the answer.
func (c *Account) currentToken(ctx context.Context, rejected Secret) (Secret, error) {
	if err := c.take(ctx); err != nil {
		return "", err
	}
	defer c.release()
	if token, err := c.goodToken(rejected); token != "" || err != nil {
		return token, err
	}

	waiting, cancel := context.WithTimeoutCause(ctx, 3*c.app.timeout, errors.New("another process keeps it locked"))
	defer cancel()
	unlock, err := c.tokens.lock(waiting, c.alias)
	if err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", tokenFileError(err)
	}
	defer unlock()
	// Another process may have been faster.
	if token, err := c.goodToken(rejected); token != "" || err != nil {
		return token, err
	}
	// From here on nobody may leave early: a refresh token that was rotated
	// and not stored is a lost login.
	return c.renew(context.WithoutCancel(ctx))
}

// goodToken returns the access token of the file if it can be used, "" if it
// must be renewed, or why it cannot.
func (c *Account) goodToken(rejected Secret) (Secret, error) {
	if err := c.reload(); err != nil {
		return "", err
	}
	if c.refused != nil {
		return "", c.refused
	}
	const early = 30 * time.Second // so that it lives when it arrives
	token := c.auth.Token
	if c.unsaved || token.AccessToken == rejected || !c.app.clock.Now().Add(early).Before(token.Expiry) {
		return "", nil
	}
	return token.AccessToken, nil
}

// reload reads the token file if it is not the one that was read last.
func (c *Account) reload() error {
	info, err := os.Stat(c.tokens.Path(c.alias))
	if err == nil && c.file != nil && os.SameFile(info, c.file) &&
		info.ModTime().Equal(c.file.ModTime()) && info.Size() == c.file.Size() && info.Mode() == c.file.Mode() {
		return nil
	}
	auth, info, err := c.tokens.load(c.alias)
	if err == nil && auth.ClientID != c.app.oauth.ClientID {
		err = fmt.Errorf("token file %s: is of the client id %q, not of %q, run %s",
			c.tokens.Path(c.alias), auth.ClientID, c.app.oauth.ClientID, c.login)
	}
	if err != nil {
		return tokenFileError(err)
	}
	c.auth, c.file, c.refused, c.unsaved = auth, info, nil, false
	return nil
}

func tokenFileError(err error) *Error {
	return &Error{Endpoint: endpointToken, Reason: ReasonAuth, Message: err.Error(), err: err}
}

// renew asks for a new access token and stores it, with the new refresh token
// if there is one, before anybody uses it. The caller holds the lock.
func (c *Account) renew(ctx context.Context) (Secret, error) {
	if !c.unsaved {
		if c.app.before != nil {
			if err := c.app.before(ctx, endpointToken); err != nil {
				return "", err
			}
		}
		source := c.app.oauth.TokenSource(c.app.tokenContext(ctx), &oauth2.Token{RefreshToken: string(c.auth.Token.RefreshToken)})
		fresh, err := source.Token()
		if err != nil {
			return "", c.renewError(err)
		}
		c.auth.Token = c.app.token(fresh) // with the old refresh token if none came
	}
	// After a failure the next call tries again to write, and does not ask.
	c.unsaved = true
	info, err := c.tokens.save(c.alias, c.auth)
	if err != nil {
		return "", tokenFileError(err)
	}
	c.file, c.unsaved = info, false
	c.app.log.Debug("access token renewed", "account", c.alias, "expiry", c.auth.Token.Expiry)
	return c.auth.Token.AccessToken, nil
}

// renewError notes an invalid_grant: by Spotify's rule it is not to be tried
// again (developer.spotify.com, tutorials/refreshing-tokens). All else passes.
func (c *Account) renewError(err error) error {
	err = tokenError(err)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.code != "invalid_grant" {
		return err
	}
	e.Message += ", run " + c.login
	e.err = ErrLoggedOut
	c.refused = e
	return e
}

// tokenContext returns ctx for requests of oauth2 to the accounts service.
func (a *App) tokenContext(ctx context.Context) context.Context {
	ctx = withEndpoint(ctx, endpointToken)
	return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: sender(a.sendForToken)})
}

// token is t with its expiry by the App's clock.
func (a *App) token(t *oauth2.Token) Token {
	lifetime := time.Duration(t.ExpiresIn) * time.Second
	if lifetime <= 0 {
		lifetime = time.Hour // as documented
	}
	return Token{
		AccessToken:  Secret(t.AccessToken),
		RefreshToken: Secret(t.RefreshToken),
		TokenType:    t.Type(),
		Expiry:       a.clock.Now().Add(lifetime).Round(0),
	}
}

// tokenError is what oauth2 returned as an error of ours. oauth2's own text may hold the
// whole answer, so it is not passed on.
func tokenError(err error) error {
	if err, ok := errors.AsType[*url.Error](err); ok {
		return err.Err // from sendForToken
	}
	return &Error{Endpoint: endpointToken, Reason: ReasonDecode, Message: "the accounts service sent no token"}
}
