package spotify

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
)

// LoginOptions say how a person logs in.
type LoginOptions struct {
	Alias string // of the account; default me

	// ListenAddress is where the browser comes back to, default
	// 127.0.0.1:8888. http://ADDRESS/callback must be a redirect URI of the
	// app.
	ListenAddress string

	In    io.Reader // lines that a person pastes; nil: none
	Out   io.Writer // what the person reads; nil: nobody
	Force bool      // put another person under a known alias

	// Away says where this program runs, such as "in a container", if the browser
	// cannot come back to it from there; "" if that is not known.
	Away string

	// Answered is told what GET /me returned, nil included: a Retry-After binds
	// also if the login is stored all the same. Nil: nobody is told.
	Answered func(error)
}

// Login leads a person through the authorization of this app (Authorization
// Code with PKCE) and stores the outcome in tokens. It waits until the browser
// comes back, or the address that it was sent to is pasted, or ctx ends. A
// goroutine that reads o.In may outlive it until the next line.
//
// The person is asked for by one GET /me. If another one is known under the
// alias, nothing is stored unless o.Force is set.
func (a *App) Login(ctx context.Context, tokens Tokens, o LoginOptions) (Authorization, error) {
	o.Alias = cmp.Or(o.Alias, "me")
	if err := CheckAlias(o.Alias); err != nil {
		return Authorization{}, err
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	listener, redirectURI, err := listenForRedirect(ctx, cmp.Or(o.ListenAddress, "127.0.0.1:8888"))
	if redirectURI == "" {
		return Authorization{}, err
	}
	if listener == nil && o.In == nil {
		return Authorization{}, fmt.Errorf("login: free the port or choose another (the redirect URI of the app must have the same): %w", err)
	}
	l := login{app: a, tokens: tokens, options: o, oauth: a.oauth}
	l.oauth.RedirectURL = redirectURI
	l.state, l.verifier = oauth2.GenerateVerifier(), oauth2.GenerateVerifier()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var pages chan browserVisit
	if listener != nil {
		pages = make(chan browserVisit)
		server := &http.Server{Handler: callbackHandler(ctx, pages), ReadHeaderTimeout: 5 * time.Second}
		go server.Serve(listener) // ends with Shutdown, by an error that says so
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			server.Shutdown(ctx) // lets the last page arrive
		}()
	}
	var lines chan string
	if o.In != nil {
		lines = make(chan string)
		go readLines(ctx, o.In, lines)
	}

	writeGuide(o.Out, o.Alias, redirectURI, l.oauth.AuthCodeURL(l.state,
		oauth2.S256ChallengeOption(l.verifier),
		// Without it Spotify sends a browser that has agreed before straight
		// back, and nobody sees whose account was taken.
		oauth2.SetAuthURLParam("show_dialog", "true")), o.Away)
	if listener == nil {
		fmt.Fprintf(o.Out, "Note: %v. So the last page cannot load here: paste its address.\n\n", err)
	}
	return l.wait(ctx, pages, lines)
}

// listenForRedirect returns the redirect URI of address, "" if address cannot
// have one, and a listener behind it unless it is taken.
func listenForRedirect(ctx context.Context, address string) (net.Listener, string, error) {
	at, err := netip.ParseAddrPort(address)
	if ip := at.Addr().String(); err != nil || (ip != "127.0.0.1" && ip != "::1") {
		return nil, "", fmt.Errorf("login address: must be 127.0.0.1:PORT or [::1]:PORT (got %q); "+
			"Spotify takes http only with these, not with localhost nor with an address of the network. "+
			"Without a browser on this machine, paste the address of the last page", address)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if listener != nil {
		address = listener.Addr().String() // port 0 has become a real one
	}
	// No hyphen may be in the path: Spotify has refused those (n8n#25805).
	return listener, "http://" + address + "/callback", err
}

// writeGuide writes all that a newcomer has to know, one paragraph a line. away says
// where this program runs if the browser is surely elsewhere.
func writeGuide(w io.Writer, alias, redirectURI, address, away string) {
	fmt.Fprintf(w, `This logs in the Spotify account that will be called %q here.

Before the first time:
  1. The owner of the Spotify app needs Premium. Without it Spotify refuses every request.
  2. Create the app at https://developer.spotify.com/dashboard, for the Web API, and set SPOTIFY_CLIENT_ID to its client ID.
  3. Give the app this redirect URI, to the letter (127.0.0.1, not localhost; no slash at the end):

     %s

     "INVALID_CLIENT: Invalid redirect URI" in the browser means that it differs.
  4. Under "User Management" add everybody whose account is to be recorded, by the e-mail address of their Spotify account. Five people at most.
  5. Request your extended streaming history today, at https://www.spotify.com/account/privacy: it takes weeks to come. Then "spotify-exporter import" adds all the years before today.

`, alias, redirectURI)
	if away != "" {
		fmt.Fprintf(w, `This runs %s, so the last page of the login will not load in your browser. That is expected: its address is what this program needs.

`, away)
	}
	fmt.Fprintf(w, "Open this address in a browser and agree:\n\n  %s\n\n", address)
	if away == "" {
		fmt.Fprint(w, "No browser on this machine? Open it on any other. The last page then does not load, which is expected.\n")
	} else {
		fmt.Fprint(w, "Then the last page does not load.\n")
	}
	fmt.Fprintf(w, "Copy the address of that page, which begins with %s, paste it here and press Enter.\n\n", redirectURI)
}

// login is one login under way.
type login struct {
	app      *App
	tokens   Tokens
	options  LoginOptions
	oauth    oauth2.Config
	state    string
	verifier string
}

// wait takes what comes first. What is no answer to our question is said so
// and does not end the wait: anybody can call the callback, and everybody
// pastes the wrong thing once.
func (l *login) wait(ctx context.Context, visits <-chan browserVisit, lines <-chan string) (Authorization, error) {
	for {
		var query url.Values
		var err error
		show := func(title, text string) {}
		select {
		case <-ctx.Done():
			return Authorization{}, context.Cause(ctx)
		case visit := <-visits:
			query = visit.query
			show = func(title, text string) { visit.page <- page{title, text} }
		case line, open := <-lines:
			if !open && visits == nil {
				return Authorization{}, errors.New("login: the input has ended and nobody listens for the browser: run it on a terminal, or free the port")
			}
			if !open {
				lines = nil
				continue
			}
			query, err = pasted(line, l.state)
		}
		if err == nil && query.Get("state") != l.state {
			err = errors.New("this is the answer to another login (its state is not ours)")
		}
		if err != nil {
			show("Not this one", err.Error())
			fmt.Fprintf(l.options.Out, "%v. Still waiting.\n", err)
			continue
		}

		auth, err := l.finish(ctx, query)
		if err != nil {
			show("Not logged in", err.Error())
			return Authorization{}, err
		}
		show("Logged in", fmt.Sprintf("%s is logged in as %q. This page can be closed.", cmp.Or(auth.DisplayName, "The account"), l.options.Alias))
		return auth, nil
	}
}

// pasted reads a line that a person pasted: the address that the browser was sent to,
// what is behind its question mark, or the code alone. A bare code has no state; it is
// taken as the answer to this login, for it is of no use without our PKCE verifier.
//
// A shell or chat may have put backslashes into an address, and a narrow terminal
// blanks: neither is ever part of one.
func pasted(line, state string) (url.Values, error) {
	if len(line) >= longestLine {
		return nil, fmt.Errorf("this line has %d characters or more and is no address; copy the address of the last page", longestLine)
	}
	line = strings.Trim(line, " \t\r\n\"'<>")
	before, query, isAddress := strings.Cut(line, "?")
	switch {
	case isAddress:
		query, _, _ = strings.Cut(query, "#")
	case strings.HasPrefix(line, "code=") || strings.HasPrefix(line, "state=") || strings.HasPrefix(line, "error="):
		query = line
	case len(line) < 8 || strings.ContainsAny(line, " :/&=\\"):
		return nil, errors.New("this is neither the address of the last page nor the code in it")
	default:
		query = url.Values{"code": {line}, "state": {state}}.Encode()
	}
	query = strings.Map(func(r rune) rune {
		if r == '\\' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, query)
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("this address cannot be read; copy it whole")
	}
	code := values.Get("code")
	switch {
	case isAddress && strings.HasSuffix(before, "/authorize"), !values.Has("code") && !values.Has("error"):
		return nil, errors.New("this is the address of an earlier page; agree there and copy the address of the page after it")
	case !values.Has("state"):
		return nil, errors.New("the end of this address is missing (&state= and what follows); copy it whole")
	case len(values["code"]) > 1 || len(values["state"]) > 1:
		return nil, errors.New("these are two addresses in one; copy only the last page's")
	case strings.ContainsFunc(code, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("the code in this has a character that no code has; copy the address again")
	}
	return values, nil
}

// finish turns the answer of the authorize page into a stored authorization.
func (l *login) finish(ctx context.Context, query url.Values) (Authorization, error) {
	again := loginCommand(l.options.Alias)
	switch reason := query.Get("error"); reason {
	case "":
	case "access_denied":
		return Authorization{}, errors.New("login: the person did not agree (access_denied); nothing has changed")
	default:
		return Authorization{}, fmt.Errorf("login: Spotify refused: %s", clean.Short(reason, maxMessage))
	}
	token, err := l.oauth.Exchange(l.app.tokenContext(ctx), query.Get("code"), oauth2.VerifierOption(l.verifier))
	if err != nil {
		return Authorization{}, exchangeError(tokenError(err), again)
	}
	if token.RefreshToken == "" {
		return Authorization{}, fmt.Errorf("login: Spotify gave no refresh token, run %s again", again)
	}
	auth := Authorization{
		ClientID:     l.oauth.ClientID,
		Scopes:       l.oauth.Scopes,
		AuthorizedAt: l.app.clock.Now().Round(0),
		Token:        l.app.token(token),
	}
	if scope, ok := token.Extra("scope").(string); ok && scope != "" {
		auth.Scopes = strings.Fields(scope)
	}

	once := &client{app: l.app, login: again, accessToken: func(_ context.Context, rejected Secret) (Secret, error) {
		if rejected != "" {
			return "", &Error{Endpoint: endpointMe, Reason: ReasonAuth, Message: "Spotify refuses the token that it has just given"}
		}
		return auth.Token.AccessToken, nil
	}}
	profile, profileErr := once.me(ctx)
	if l.options.Answered != nil {
		l.options.Answered(profileErr)
	}
	if ctx.Err() != nil {
		return Authorization{}, context.Cause(ctx)
	}
	auth.Profile = profile
	if err := l.store(ctx, auth, profileErr); err != nil {
		return Authorization{}, err
	}
	return auth, nil
}

// store writes auth, unless another person is, or could be, known under the
// alias.
func (l *login) store(ctx context.Context, auth Authorization, profileErr error) error {
	alias, path := l.options.Alias, l.tokens.Path(l.options.Alias)
	unlock, err := l.tokens.lock(ctx, alias)
	if err != nil {
		return err
	}
	defer unlock()
	// A file that cannot be read protects nobody; it is replaced.
	known, _, _ := l.tokens.read(alias)
	switch {
	case l.options.Force || !known.known():
	case profileErr != nil:
		return fmt.Errorf("login: Spotify does not say who this is, so %q is left as it was (--force replaces it): %w", alias, profileErr)
	case !auth.same(known.Profile):
		return fmt.Errorf("login: account %q is %s, but %s has logged in. Their listens would mix under one name, in the journal, in InfluxDB and in every dashboard. "+
			"Use --account with another name; --force replaces the person under %[1]q and mixes", alias, known.describe(), auth.describe())
	}
	if _, err := l.tokens.save(alias, auth); err != nil {
		return err
	}
	if profileErr != nil {
		fmt.Fprintf(l.options.Out, "Stored in %s, but Spotify did not say who this is: %v\n", path, profileErr)
	}
	return nil
}

// describe names a person to people.
func (p Profile) describe() string {
	return fmt.Sprintf("%q (Spotify id %s)", p.DisplayName, cmp.Or(p.UserID, p.AccountID))
}

// exchangeError says what to do about a code that Spotify did not take.
func exchangeError(err error, again string) error {
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok && e.code == "invalid_grant":
		return fmt.Errorf("login: Spotify does not take this code; a code is good once, whole, for the login that asked for it, and for some minutes. Run %s again: %w", again, err)
	case ok && e.Reason == ReasonClient:
		return fmt.Errorf("login: check SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET (or leave the secret out): %w", err)
	}
	return fmt.Errorf("login: run %s again: %w", again, err)
}

// longestLine is how much of a line is read, in bytes.
const longestLine = 64 << 10

// readLines sends the lines of r until it ends, and then closes lines. Of a line that is
// longer than longestLine it sends the beginning, so that somebody is told.
func readLines(ctx context.Context, r io.Reader, lines chan<- string) {
	defer close(lines)
	for in := bufio.NewReaderSize(r, longestLine); ; {
		line, err := in.ReadSlice('\n')
		text := string(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if strings.TrimSpace(text) != "" {
			select {
			case lines <- text:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// browserVisit is a browser at the callback. It waits for one page.
type browserVisit struct {
	query url.Values
	page  chan<- page
}

type page struct{ Title, Text string }

// callbackHandler serves what Spotify sends the browser to.
func callbackHandler(ctx context.Context, visits chan<- browserVisit) http.Handler {
	const style = "body{font:1.1em/1.5 system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1em}"
	document := template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Title}} – spotify-exporter</title>
<style>` + style + `</style>
<h1>{{.Title}}</h1><p>{{.Text}}</p></html>
`))
	// The page loads and runs nothing: its address holds the code.
	hash := sha256.Sum256([]byte(style))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		pages := make(chan page, 1)
		shown := page{"Too late", "This login has ended."}
		select {
		case visits <- browserVisit{r.URL.Query(), pages}:
			select {
			case shown = <-pages:
			case <-r.Context().Done():
				return
			}
		case <-ctx.Done():
		}
		header := w.Header()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set("Referrer-Policy", "no-referrer") // the address holds the code
		document.Execute(w, shown)                   // fails only if the browser is gone
	})
	return mux
}
