package spotify_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// accounts is the part of Spotify that a login meets: it hands CODE-0001 out
// for the challenge that it was shown and takes it back with the verifier.
type accounts struct {
	requests
	me    handler // answer of GET /me
	token handler // nil: a good one

	mu        sync.Mutex
	challenge string
	redirect  string
}

// authorize is what the person's browser shows Spotify; it returns where it is
// sent next.
func (s *accounts) authorize(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for key, want := range map[string]string{
		"response_type": "code", "client_id": "client", "code_challenge_method": "S256", "show_dialog": "true",
		"scope": "user-read-currently-playing user-read-playback-state user-read-recently-played",
	} {
		if q.Get(key) != want {
			t.Errorf("authorize: %s is %q", key, q.Get(key))
		}
	}
	if u.Path != "/authorize" || len(q.Get("state")) < 20 || q.Has("client_secret") {
		t.Errorf("authorize: %s", address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.challenge, s.redirect = q.Get("code_challenge"), q.Get("redirect_uri")
	back, err := url.Parse(s.redirect)
	if err != nil {
		t.Fatal(err)
	}
	back.RawQuery = url.Values{"code": {"CODE-0001"}, "state": {q.Get("state")}}.Encode()
	return back
}

func (s *accounts) RoundTrip(r *http.Request) (*http.Response, error) {
	s.add(r)
	return handler(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/api/token":
			s.me(w, r)
		case s.token != nil:
			s.token(w, r)
		default:
			s.mu.Lock()
			defer s.mu.Unlock()
			form, _ := io.ReadAll(r.Body)
			values, _ := url.ParseQuery(string(form))
			sum := sha256.Sum256([]byte(values.Get("code_verifier")))
			if values.Get("code") != "CODE-0001" || values.Get("redirect_uri") != s.redirect || base64.RawURLEncoding.EncodeToString(sum[:]) != s.challenge {
				reply(400, `{"error":"invalid_grant","error_description":"Invalid authorization code"}`)(w, r)
				return
			}
			io.WriteString(w, `{"access_token":"ACCESS","token_type":"Bearer","expires_in":3600,"refresh_token":"REFRESH","scope":"b a"}`)
		}
	}).RoundTrip(r)
}

// terminal is what the person sees; address waits for the line to open.
type terminal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *terminal) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *terminal) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *terminal) address(t *testing.T) string {
	t.Helper()
	for t.Context().Err() == nil {
		if _, rest, ok := strings.Cut(o.String(), "\n  https://accounts.spotify.com/authorize"); ok {
			if rest, _, ok := strings.Cut(rest, "\n"); ok {
				return "https://accounts.spotify.com/authorize" + rest
			}
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no address was shown")
	return ""
}

// loggingIn is a login under way.
type loggingIn struct {
	*accounts
	tokens spotify.Tokens
	out    *terminal
	paste  io.WriteCloser
	done   chan error
	auth   spotify.Authorization // once done
}

const ada = `{"account_id":"account-1","id":"user-1","display_name":"Ada <b>"}`

func startLogin(t *testing.T, s *accounts, tokens spotify.Tokens, change ...func(*spotify.LoginOptions)) *loggingIn {
	t.Helper()
	in, paste := io.Pipe()
	l := &loggingIn{accounts: s, tokens: tokens, out: &terminal{}, paste: paste, done: make(chan error, 1)}
	o := spotify.LoginOptions{ListenAddress: "127.0.0.1:0", In: in, Out: l.out}
	for _, c := range change {
		c(&o)
	}
	epoch := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	app := newApp(t, s, func(o *spotify.Options) { o.Clock = clock.New(epoch, 1) })
	go func() {
		var err error
		l.auth, err = app.Login(t.Context(), tokens, o)
		l.done <- err
	}()
	t.Cleanup(func() { paste.Close() })
	return l
}

// get opens an address of the callback and returns what the browser shows.
func get(t *testing.T, u *url.URL) string {
	t.Helper()
	resp, err := http.Get(u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	// Its address holds the code: nothing else may be loaded or run there.
	_, style, _ := strings.Cut(string(page), "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	hash := sha256.Sum256([]byte(style))
	policy := resp.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"';") || strings.Contains(policy, "unsafe") {
		t.Errorf("Content-Security-Policy %q", policy)
	}
	if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", resp.Header)
	}
	return string(page)
}

func newcomer(t *testing.T) spotify.Tokens { return spotify.Tokens{Dir: t.TempDir() + "/tokens"} }

func TestLoginThroughTheBrowser(t *testing.T) {
	s := &accounts{me: reply(200, ada)}
	l := startLogin(t, s, newcomer(t))
	back := s.authorize(t, l.out.address(t))
	if back.Path != "/callback" || back.Hostname() != "127.0.0.1" || back.Port() == "0" {
		t.Errorf("redirect URI %s", back)
	}

	// Somebody else's answer does not end it, and gets no code exchanged.
	forged := *back
	forged.RawQuery = "code=EVIL-0001&state=forged"
	if page := get(t, &forged); !strings.Contains(page, "another login") {
		t.Errorf("forged: %s", page)
	}
	if len(s.all) != 0 {
		t.Errorf("forged: %q", s.all)
	}

	page := get(t, back)
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page, "<h1>Logged in</h1>") || !strings.Contains(page, "Ada &lt;b&gt;") || strings.Contains(page, "<b>") {
		t.Errorf("page: %s", page)
	}
	stored, err := l.tokens.Load("me")
	if err != nil {
		t.Fatal(err)
	}
	if stored.Profile != (spotify.Profile{AccountID: "account-1", UserID: "user-1", DisplayName: "Ada <b>"}) || stored.ClientID != "client" ||
		stored.Token.AccessToken != "ACCESS" || stored.Token.RefreshToken != "REFRESH" || fmt.Sprint(stored.Scopes) != "[b a]" {
		t.Errorf("stored %+v", stored)
	}
	if got := stored.AuthorizedAt.Format("2006-01-02 15:04"); got != "2026-11-22 10:00" || !stored.Token.Expiry.After(stored.AuthorizedAt.Add(59*time.Minute)) {
		t.Errorf("authorized at %v, expires %v", stored.AuthorizedAt, stored.Token.Expiry)
	}
	if dir, err := os.Stat(l.tokens.Dir); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", dir.Mode(), err)
	}
	if n := s.count("GET /v1/me"); n != 1 || len(s.all) != 2 {
		t.Errorf("requests: %q", s.all)
	}
	if l.auth.UserID != "user-1" {
		t.Errorf("returned %+v", l.auth)
	}
}

func TestLoginByPasting(t *testing.T) {
	tests := map[string]func(back *url.URL) string{
		"the address":            func(back *url.URL) string { return back.String() },
		"the address, decorated": func(back *url.URL) string { return "  <" + back.String() + "#_=_>\r" },
		"the code":               func(back *url.URL) string { return back.Query().Get("code") },
		"without the page":       func(back *url.URL) string { return back.RawQuery },
		"escaped by a shell": func(back *url.URL) string {
			return strings.NewReplacer("?", `\?`, "&", `\&`, "=", `\=`).Replace(back.String())
		},
		"escaped, without the page": func(back *url.URL) string { return strings.ReplaceAll(back.RawQuery, "&", `\&`) },
		"with blanks inside":        func(back *url.URL) string { return strings.Replace(back.String(), "CODE-", "CO  DE-\t", 1) },
	}
	for name, line := range tests {
		t.Run(name, func(t *testing.T) {
			s := &accounts{me: reply(200, ada)}
			// Nobody listens: this is a machine without a browser, or a busy port.
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			l := startLogin(t, s, newcomer(t), func(o *spotify.LoginOptions) { o.ListenAddress = taken.Addr().String() })
			address := l.out.address(t)
			back := s.authorize(t, address)
			if back.Host != taken.Addr().String() {
				t.Errorf("redirect URI %s", back)
			}
			// Everybody pastes the wrong thing once.
			callback := back.Scheme + "://" + back.Host + "/callback?"
			for _, wrong := range []string{
				"yes please", address, callback + "code=CODE-0001&state=old", "",
				callback + "code=CODE-0001", "state=" + back.Query().Get("state"), "CODE 0001 5", // the halves of an address
				callback + back.RawQuery + "&" + back.RawQuery,
				callback + "code=CODE%E2%80%930001&state=" + back.Query().Get("state"), // an en dash for a hyphen
				strings.Repeat("x", 70_000), strings.Repeat("code=", 500_000),
			} {
				fmt.Fprintln(l.paste, wrong)
			}
			fmt.Fprintln(l.paste, line(back))
			if err := <-l.done; err != nil {
				t.Fatal(err)
			}
			if _, err := l.tokens.Load("me"); err != nil {
				t.Error(err)
			}
			for want, times := range map[string]int{
				"address already in use": 1, "neither the address": 2, "an earlier page": 2, "another login": 1,
				"the end of this address is missing": 1, "two addresses in one": 1, "a character that no code has": 1, "this line has 65536 characters or more": 2,
			} {
				if strings.Count(l.out.String(), want) != times {
					t.Errorf("%q is not there %d times:\n%s", want, times, l.out)
				}
			}
			if len(s.all) != 2 {
				t.Errorf("requests: %q", s.all)
			}
		})
	}
}

// TestLoginAwayFromTheBrowser reads what comes before the address that is opened.
func TestLoginAwayFromTheBrowser(t *testing.T) {
	for _, away := range []string{"", "in a container", "on another machine, over SSH"} {
		l := startLogin(t, &accounts{}, newcomer(t), func(o *spotify.LoginOptions) { o.Away = away })
		l.out.address(t)
		before, _, _ := strings.Cut(l.out.String(), "Open this address")
		if said := strings.Contains(before, "the last page of the login will not load"); said != (away != "") || !strings.Contains(before, away) {
			t.Errorf("%q: before the address it says: %s", away, before)
		}
	}
}

func TestLoginSaysWhatANewcomerNeeds(t *testing.T) {
	l := startLogin(t, &accounts{}, newcomer(t), func(o *spotify.LoginOptions) { o.Alias = "ada" })
	l.out.address(t)
	for _, want := range []string{
		`"ada"`, "Premium", "https://developer.spotify.com/dashboard", "SPOTIFY_CLIENT_ID", "/callback\n", "not localhost",
		"INVALID_CLIENT: Invalid redirect URI", "Five people", "extended streaming history today", "weeks", "The last page then does not load", "paste it here",
	} {
		if !strings.Contains(l.out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, l.out)
		}
	}
}

func TestLoginOfAnotherPerson(t *testing.T) {
	const grace = `{"account_id":"account-2","id":"user-2","display_name":"Grace"}`
	const adaBefore2026 = `{"id":"user-1","display_name":"Ada"}`
	tests := []struct {
		name  string
		me    handler
		force bool
		want  []string // in the error; none: logged in
	}{
		{"the same person", reply(200, ada), false, nil},
		{"the same person, without account_id", reply(200, adaBefore2026), false, nil},
		{"renamed, same account_id", reply(200, `{"account_id":"account-1","id":"user-9"}`), false, nil},
		{"another", reply(200, grace), false, []string{`"me" is "Ada" (Spotify id user-1)`, `"Grace" (Spotify id user-2)`, "mix", "--account", "--force"}},
		{"another, forced", reply(200, grace), true, nil},
		{"nobody knows who", reply(429, "", "Retry-After", "60"), false, []string{"does not say who", "--force", "429"}},
		{"nobody knows who, forced", reply(429, ""), true, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &accounts{me: test.me}
			tokens := newTokens(t, time.Hour)
			old := authorization(time.Hour)
			old.Token.RefreshToken = "OLD"
			writeToken(t, tokens, "me", old)
			l := startLogin(t, s, tokens, func(o *spotify.LoginOptions) { o.Force = test.force })
			fmt.Fprintln(l.paste, s.authorize(t, l.out.address(t)))
			err := <-l.done
			if (err == nil) != (test.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			stored, loadErr := tokens.Load("me")
			if loadErr != nil {
				t.Fatal(loadErr)
			}
			if kept := stored.Token.RefreshToken == "OLD"; kept != (err != nil) {
				t.Errorf("old token kept: %v", kept)
			}
		})
	}
}

func TestLoginWhileTheAppIsLocked(t *testing.T) {
	// Premium has lapsed, the person is not on the list yet, a Retry-After is
	// not over: all heal without another login.
	s := &accounts{me: reply(403, "Active premium subscription required for the owner of the app.")}
	var answer error
	l := startLogin(t, s, newcomer(t), func(o *spotify.LoginOptions) { o.Answered = func(err error) { answer = err } })
	fmt.Fprintln(l.paste, s.authorize(t, l.out.address(t)))
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	if spotify.ReasonOf(answer) != spotify.ReasonPremium {
		t.Errorf("whoever keeps the quota is told: %v", answer)
	}
	if _, err := l.tokens.Load("me"); err != nil {
		t.Error(err)
	}
	if !strings.Contains(l.out.String(), "did not say who this is: spotify me: 403 Forbidden: Active premium") {
		t.Errorf("nothing was said:\n%s", l.out)
	}
}

func TestLoginThatFails(t *testing.T) {
	answer := func(query string) func(*url.URL) string {
		return func(back *url.URL) string {
			return "http://x/callback?" + query + "&state=" + back.Query().Get("state")
		}
	}
	whole := func(back *url.URL) string { return back.String() }
	tests := []struct {
		name  string
		token handler
		paste func(back *url.URL) string
		want  []string
	}{
		{"not agreed", nil, answer("error=access_denied"), []string{"did not agree"}},
		{"refused", nil, answer("error=invalid_scope%0Aforged"), []string{"Spotify refused: invalid_scope forged"}},
		{"code too old", reply(400, `{"error":"invalid_grant","error_description":"Authorization code expired"}`), whole,
			[]string{"does not take this code", "login --account me", "Authorization code expired"}},
		{"wrong secret", reply(400, `{"error":"invalid_client","error_description":"Invalid client secret"}`), whole,
			[]string{"SPOTIFY_CLIENT_SECRET", "Invalid client secret"}},
		{"accounts service down", reply(503, ""), whole, []string{"503", "login --account me"}},
		{"no refresh token", reply(200, `{"access_token":"ACCESS","token_type":"Bearer"}`), whole, []string{"no refresh token"}},
		{"token dead at once", nil, whole, []string{"does not say who", "the token that it has just given"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &accounts{me: reply(401, ""), token: test.token}
			tokens := newTokens(t, time.Hour)
			l := startLogin(t, s, tokens)
			fmt.Fprintln(l.paste, test.paste(s.authorize(t, l.out.address(t))))
			err := <-l.done
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "CODE-0001") {
				t.Errorf("got %q", err)
			}
		})
	}
}

func TestLoginAddress(t *testing.T) {
	app := newApp(t, &accounts{})
	for _, address := range []string{"localhost:8888", "192.168.1.5:8888", "0.0.0.0:8888", ":8888", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:http"} {
		_, err := app.Login(t.Context(), newcomer(t), spotify.LoginOptions{ListenAddress: address, In: strings.NewReader("")})
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:PORT") || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	// Neither a browser nor a person can answer.
	for in, want := range map[io.Reader]string{nil: "free the port", strings.NewReader(""): "input has ended"} {
		_, err := app.Login(t.Context(), newcomer(t), spotify.LoginOptions{ListenAddress: taken.Addr().String(), In: in})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := app.Login(t.Context(), newcomer(t), spotify.LoginOptions{Alias: "../x"}); err == nil || !strings.Contains(err.Error(), "a-z") {
		t.Errorf("got %v", err)
	}
}

func TestLoginThatIsInterrupted(t *testing.T) {
	app := newApp(t, &accounts{})
	why := errors.New("interrupt")
	ctx, cancel := context.WithCancelCause(t.Context())
	out := &terminal{}
	done := make(chan error)
	go func() {
		_, err := app.Login(ctx, newcomer(t), spotify.LoginOptions{ListenAddress: "127.0.0.1:0", Out: out})
		done <- err
	}()
	out.address(t)
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// A login while the daemon renews the same account's token must win.
func TestLoginDuringARefresh(t *testing.T) {
	tokens := newTokens(t, -time.Hour)
	refreshing, proceed := make(chan struct{}), make(chan struct{})
	daemon := &server{rotate: true}
	daemon.token = func(w http.ResponseWriter, _ *http.Request) {
		close(refreshing)
		<-proceed
		daemon.issue(w)
	}
	polled := make(chan error, 1)
	go func() {
		_, err := newApp(t, daemon).Account(tokens, "me").Player(t.Context())
		polled <- err
	}()
	<-refreshing
	s := &accounts{me: reply(200, ada)}
	l := startLogin(t, s, tokens)
	fmt.Fprintln(l.paste, s.authorize(t, l.out.address(t)))
	for s.count("GET /v1/me") == 0 { // all that is left to do is to store
		time.Sleep(time.Millisecond)
	}
	close(proceed)
	if err := errors.Join(<-polled, <-l.done); err != nil {
		t.Fatal(err)
	}
	if stored, err := tokens.Load("me"); err != nil || stored.Token.RefreshToken != "REFRESH" {
		t.Errorf("the file has %q, %v", string(stored.Token.RefreshToken), err)
	}
}
