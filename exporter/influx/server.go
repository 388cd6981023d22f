package influx

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/secret"
)

// Reason is why InfluxDB did not take something: a small closed set, for a label.
type Reason string

// The reasons. What follows from each is written at Exporter.Step.
const (
	Network       Reason = "network"       // no answer, or not within the time
	Failed        Reason = "server"        // 408 and 5xx
	RateLimited   Reason = "rate_limited"  // 429
	Unauthorized  Reason = "unauthorized"  // 401
	Forbidden     Reason = "forbidden"     // 403
	NotFound      Reason = "not_found"     // 404, and every answer that is not InfluxDB's
	TooLarge      Reason = "too_large"     // 413
	Invalid       Reason = "invalid"       // 400
	Unprocessable Reason = "unprocessable" // 422
)

// Reasons are all of them.
var Reasons = [...]Reason{Network, Failed, RateLimited, Unauthorized, Forbidden, NotFound, TooLarge, Invalid, Unprocessable}

// Error is an answer of InfluxDB that is not "done", or its absence.
type Error struct {
	Reason     Reason
	Status     int           // HTTP status; 0: there was no answer
	Message    string        // the server's words, one line of at most 512 bytes
	RetryAfter time.Duration // how long the server asks to be left alone; 0: it does not say
	Err        error         // of the transport
}

func (e *Error) Error() string {
	if e.Err != nil {
		return "InfluxDB did not answer: " + e.Err.Error()
	}
	return fmt.Sprintf("InfluxDB answered %d: %s", e.Status, e.Message)
}

func (e *Error) Unwrap() error { return e.Err }

// retention tells whether the error is about points older than the bucket keeps
// them, in the words of 2.x and of 1.8. The good points of that write are stored.
func (e *Error) retention() bool {
	return strings.Contains(e.Message, "outside retention policy") || strings.Contains(e.Message, "beyond retention policy")
}

// aboutPoint reports whether InfluxDB itself has looked at a point and refused it, in words that no proxy uses.
func (e *Error) aboutPoint() bool {
	return e.retention() || strings.Contains(e.Message, "field type conflict")
}

// temporary tells whether the same request may work later without anybody's help.
func (e *Error) temporary() bool {
	return e.Reason == Network || e.Reason == Failed || e.Reason == RateLimited
}

const (
	// maxAnswer is how much is read of an answer that is an error.
	maxAnswer = 64 << 10
	// maxRetryAfter is how long a server can silence us at a time.
	maxRetryAfter = time.Hour
)

// server speaks to one InfluxDB. It is the client library's Doer, below which
// everything that is not a success becomes an *Error: the library itself would
// lose the status of some answers (empty or HTML bodies said to be JSON), read
// bodies of any size, and ignore a Retry-After that is a date.
type server struct {
	base      *url.URL // ends in "/"
	token     string
	readToken func() (string, error) // reads the token again; nil: it cannot change
	userAgent string
	client    *http.Client
}

// Do sends a request and returns its answer if that is a success, and an *Error
// otherwise.
func (s *server) Do(req *http.Request) (*http.Response, error) {
	if s.userAgent != "" {
		req.Header.Set("User-Agent", s.userAgent)
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Token "+s.token)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		// A *url.Error repeats the method and the whole URL.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return nil, &Error{Reason: Network, Err: err}
	}
	secrets := secret.OfRequest(req) // a proxy or a debugging server may repeat them
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	// A page is from a proxy that wants a login, whatever its status.
	if resp.StatusCode/100 == 2 && kind != "text/html" {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil { // the answer was cut: its status may be that of something between us and InfluxDB
		return nil, &Error{Reason: Network, Err: err}
	}
	if s.readToken != nil && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden) {
		if token, err := s.readToken(); err == nil { // else the token stays as it is
			s.token = token
		}
	}
	failure := &Error{
		Reason:     reasonOf(resp.StatusCode),
		Status:     resp.StatusCode,
		Message:    message(kind, body, secrets),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
	switch {
	case resp.StatusCode/100 == 3:
		failure.Message = "redirect to " + secret.Mask(withoutQuery(resp.Header.Get("Location")), secrets...)
	case failure.Message == "":
		failure.Message = cmp.Or(http.StatusText(resp.StatusCode), "no words")
	}
	return nil, failure
}

// reasonOf is the reason in a status that is not a success. What InfluxDB never
// says is said by something else that answers in its place.
func reasonOf(status int) Reason {
	switch {
	case status == http.StatusBadRequest:
		return Invalid
	case status == http.StatusUnauthorized:
		return Unauthorized
	case status == http.StatusForbidden:
		return Forbidden
	case status == http.StatusRequestEntityTooLarge:
		return TooLarge
	case status == http.StatusUnprocessableEntity:
		return Unprocessable
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status == http.StatusRequestTimeout, status >= 500:
		return Failed
	default:
		return NotFound
	}
}

// message is the server's words in a body: "message" of 2.x, "error" of 1.8, or
// the body itself, without the secrets.
func message(kind string, body []byte, secrets []string) string {
	var words struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	text := string(body)
	if kind == "application/json" && json.Unmarshal(body, &words) == nil {
		text = cmp.Or(words.Message, words.Error, text)
	}
	return clean.Short(secret.Mask(text, secrets...), 512)
}

// retryAfter reads the header's two forms, seconds and date (RFC 9110, 10.2.3), up to maxRetryAfter. What is neither, or
// over, is 0.
func retryAfter(header string, now time.Time) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) { // of a number that is larger it returns the largest
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// withoutQuery strips what may be secret from an address.
func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// call sends a request with a JSON body (nil: none) and decodes the JSON answer
// into out (nil: not looked at). It takes no longer than attemptTimeout.
func (s *server) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	target := s.base.JoinPath(path)
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return &Error{Reason: Network, Err: err}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &Error{Reason: NotFound, Status: resp.StatusCode, Message: "not the JSON that InfluxDB answers"}
	}
	return nil
}

// near tells whether a host is this machine, its network or its compose project.
// Compressing for it costs more time than it saves: half the speed on loopback.
func near(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback() || address.IsPrivate() || address.IsLinkLocalUnicast()
	}
	host = strings.TrimSuffix(host, ".")
	return !strings.Contains(host, ".") ||
		strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal")
}
