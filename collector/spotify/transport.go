package spotify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/secret"
)

// NewTransport returns the http.Transport that an App uses when it is given
// none: the proxy of the environment, and a limit for every phase that the
// timeout of the whole request should not have to end.
//
// It speaks HTTP/1.1, where a request that times out takes its connection with
// it. One of HTTP/2 is used again, and a router that has forgotten it, or a new
// address, would fail every request until TCP gives up after a quarter of an
// hour. One request at a time has nothing to gain from HTTP/2.
func NewTransport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		Protocols:           &protocols,
		MaxIdleConns:        4,
		IdleConnTimeout:     90 * time.Second,
	}
}

// The endpoints, as metrics and errors call them.
const (
	endpointPlayer         = "player"
	endpointRecentlyPlayed = "recently_played"
	endpointMe             = "me"
	endpointTrack          = "track"
	endpointToken          = "token"
)

type endpointKey struct{}

func withEndpoint(ctx context.Context, endpoint string) context.Context {
	return context.WithValue(ctx, endpointKey{}, endpoint)
}

// EndpointFromContext returns which endpoint a request goes to, for a
// RoundTripper that is given as Options.Base: player, recently_played, me,
// track or token; "" if the request is none of ours.
func EndpointFromContext(ctx context.Context) string {
	endpoint, _ := ctx.Value(endpointKey{}).(string)
	return endpoint
}

const (
	maxBody      = 4 << 20  // of a success; the largest page recorded has 450 KB
	maxErrorBody = 64 << 10 // of a failure, of which 200 bytes are kept
)

// answer is a success, 204 included, with its body read.
type answer struct {
	status int
	header http.Header
	body   *bytes.Buffer // goes back with App.reuse

	// receivedAt is the middle between the request and the answer's head:
	// the best guess at when Spotify looked.
	receivedAt time.Time
	roundTrip  time.Duration

	secrets []string // that the request held: they are masked in what is told of the answer
}

// sender sends a request and reads its answer. It is also the RoundTripper
// under oauth2 and zmb3, so that these see successes only and hand our errors
// on unchanged.
type sender func(*http.Request) (answer, error)

// RoundTrip implements http.RoundTripper.
func (send sender) RoundTrip(req *http.Request) (*http.Response, error) {
	a, err := send(req)
	if err != nil {
		return nil, err
	}
	// These bodies are small and their readers keep them as long as they
	// like, so that the buffer is theirs.
	return &http.Response{
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		Body:          io.NopCloser(a.body),
		ContentLength: int64(a.body.Len()),
		Request:       req,
	}, nil
}

// send sends req and reads the answer within the timeout. Every status that is
// no success, redirects among them (an access token must not follow one), and
// every failure on the way is an *Error; if the request's own context has
// ended, the error is its cause.
func (a *App) send(req *http.Request) (answer, error) {
	endpoint := EndpointFromContext(req.Context())
	ctx, cancel := context.WithTimeoutCause(req.Context(), a.timeout, &Error{
		Endpoint: endpoint,
		Reason:   ReasonNetwork,
		Message:  "no answer within " + a.timeout.String(),
		err:      context.DeadlineExceeded,
	})
	defer cancel()
	req = req.Clone(ctx)
	req.Header.Set("User-Agent", a.userAgent)
	secrets, err := secretsOf(req)
	if err != nil {
		return answer{}, err
	}

	sent := a.clock.Now()
	resp, err := a.base.RoundTrip(req)
	if err != nil {
		return answer{}, sendError(ctx, endpoint, err, secrets)
	}
	defer resp.Body.Close()
	roundTrip := a.clock.Now().Sub(sent)

	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		// What cannot be read of it adds nothing: the status has decided.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		return answer{}, statusError(endpoint, resp, body, a.clock.Now(), secrets)
	}
	body := a.spare.Swap(nil)
	if body == nil {
		body = new(bytes.Buffer)
	}
	if _, err := body.ReadFrom(io.LimitReader(resp.Body, maxBody+1)); err != nil {
		return answer{}, sendError(ctx, endpoint, err, secrets)
	}
	if body.Len() > maxBody {
		return answer{}, &Error{Endpoint: endpoint, Status: resp.StatusCode, Reason: ReasonDecode, Message: "answer of more than 4 MiB"}
	}
	return answer{
		status:     resp.StatusCode,
		header:     resp.Header,
		body:       body,
		receivedAt: sent.Add(roundTrip / 2),
		roundTrip:  roundTrip,
		secrets:    secrets,
	}, nil
}

// sendError tells a failure on the way from an end that the caller wanted.
func sendError(ctx context.Context, endpoint string, err error, secrets []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// A transport quotes an answer that is no HTTP.
	return &Error{Endpoint: endpoint, Reason: ReasonNetwork, Message: clean.Short(secret.Mask(err.Error(), secrets...), maxMessage), err: err}
}

// secretsOf returns what is secret in a request: its headers, and in the form of one to
// the accounts service tokens, codes and the client secret.
func secretsOf(req *http.Request) ([]string, error) {
	secrets := secret.OfRequest(req)
	if req.Body == nil {
		return secrets, nil
	}
	body, err := io.ReadAll(req.Body)
	if err := errors.Join(err, req.Body.Close()); err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	for _, name := range []string{"client_secret", "refresh_token", "code", "code_verifier"} {
		secrets = append(secrets, form.Get(name))
	}
	return secrets, nil
}

// reuse keeps the buffer of an answer that has been read for the next one. A
// page takes up to 450 KB: to get and clear that for each costs more than to
// hash it.
func (a *App) reuse(answer answer) {
	answer.body.Reset()
	a.spare.Store(answer.body)
}
