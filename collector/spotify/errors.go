package spotify

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/secret"
)

// Reason is why a request failed, as the metrics count it and as a caller
// decides when to ask again.
type Reason string

// The reasons of this package.
const (
	ReasonAuth          Reason = "auth"           // only a login helps
	ReasonClient        Reason = "client"         // Spotify does not know this client id, or not with this secret
	ReasonPremium       Reason = "premium"        // the app's owner has no Premium; heals hours after it is back
	ReasonNotRegistered Reason = "not_registered" // the account is not on the app's list of people
	ReasonRateLimited   Reason = "rate_limited"   // too many requests in 30 s, whole app
	ReasonQuota         Reason = "quota"          // too many requests in about a day, whole developer account
	ReasonNetwork       Reason = "network"        // no answer, or half of one
	ReasonServer        Reason = "server"         // any other status that is no success
	ReasonDecode        Reason = "decode"         // a success that cannot be read
)

// ErrLoggedOut is in the chain of every error that says: there is no token for
// this account, or Spotify does not take it any more. Nothing was sent if the
// same was true before.
var ErrLoggedOut = errors.New("logged out")

// Error is a request that failed. Its text never holds a token, a code or a
// query.
type Error struct {
	Endpoint string // see EndpointFromContext
	Status   int    // of the answer; 0 without one
	Reason   Reason
	Message  string // one short line: Spotify's words, or ours if it had none

	RetryAfter    time.Duration // from now; >= 0, and LongestRetryAfter at most
	HasRetryAfter bool          // whether the answer had a Retry-After that can be read
	// RetryAfterAsked is what the answer had in Retry-After if that was longer than
	// LongestRetryAfter, else "".
	RetryAfterAsked string

	code string // "error" of an answer of the accounts service, RFC 6749 section 5.2; or codeScope
	err  error
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("spotify " + e.Endpoint)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	switch {
	case e.RetryAfterAsked != "":
		fmt.Fprintf(&b, " (Retry-After %q, which counts as %v)", e.RetryAfterAsked, e.RetryAfter)
	case e.HasRetryAfter:
		fmt.Fprintf(&b, " (Retry-After %v)", e.RetryAfter)
	}
	return b.String()
}

// Unwrap returns the cause of an error without a status.
func (e *Error) Unwrap() error { return e.err }

// codeScope is the code of a 403 that says that the token lacks a scope.
const codeScope = "insufficient_scope"

// ReasonOf returns the reason of what a call of this package returned. It is ""
// for nil, for an ended context and for what is not of this package, such as
// an error of Options.Before.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// statusError reads an answer that is no success.
//
// Spotify marks a QUOTA_EXCEEDED by "reason", but the three kinds of 403 only
// by their words, which come as JSON or as plain text: a lapsed Premium of the
// app's owner (zmb3/spotify#301), an account that is not on the app's list
// (sigma67/spotify_to_ytmusic#122), a missing scope. Anything else that is
// forbidden is an endpoint that Spotify has closed.
//
// secrets are those of the request, which the answer may repeat.
func statusError(endpoint string, resp *http.Response, body []byte, now time.Time, secrets []string) *Error {
	e := &Error{Endpoint: endpoint, Status: resp.StatusCode, Reason: ReasonServer}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = date // a Retry-After date is by the server's clock
	}
	asked := resp.Header.Get("Retry-After")
	e.RetryAfter, e.HasRetryAfter = parseRetryAfter(asked, now)
	if e.RetryAfter > LongestRetryAfter {
		e.RetryAfter, e.RetryAfterAsked = LongestRetryAfter, clean.Short(secret.Mask(asked, secrets...), maxMessage)
	}

	message, marker := errorBody(body)
	e.Message = clean.Short(secret.Mask(message, secrets...), maxMessage)
	text := strings.ToLower(message)
	switch {
	case endpoint == endpointToken:
		e.code = marker
		switch marker {
		case "invalid_grant":
			e.Reason = ReasonAuth
		case "invalid_client", "unauthorized_client":
			e.Reason = ReasonClient
			e.Message = clean.Short(e.Message+": the app was deleted, or its secret is another one now; compare the client id and secret that are configured with https://developer.spotify.com/dashboard", maxMessage)
		}
		if resp.StatusCode == http.StatusTooManyRequests {
			e.Reason = ReasonRateLimited
		}
	case resp.StatusCode == http.StatusUnauthorized:
		e.Reason = ReasonAuth
	case resp.StatusCode == http.StatusTooManyRequests && marker == "QUOTA_EXCEEDED":
		e.Reason = ReasonQuota
	case resp.StatusCode == http.StatusTooManyRequests:
		e.Reason = ReasonRateLimited
	case resp.StatusCode != http.StatusForbidden:
	case strings.Contains(text, "premium"):
		e.Reason = ReasonPremium
	case strings.Contains(text, "not registered"), strings.Contains(text, "not be registered"):
		e.Reason = ReasonNotRegistered
	case strings.Contains(text, "scope"):
		e.Reason, e.code = ReasonAuth, codeScope
	}
	return e
}

// errorBody returns what the body of a failure says for people and, if there
// is one, its word for programs: "reason" of the Web API or "error" of the
// accounts service. A page of HTML says nothing.
func errorBody(body []byte) (message, marker string) {
	var v struct {
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	if decode(body, &v) == nil {
		switch e := v.Error.(type) {
		case string:
			return strings.TrimPrefix(e+": "+v.Description, ": "), e
		case map[string]any:
			message, _ = e["message"].(string)
			marker, _ = e["reason"].(string)
			return message, marker
		}
		return "", ""
	}
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(text, "<") || strings.HasPrefix(text, "{") {
		return "", ""
	}
	return text, ""
}

// LongestRetryAfter is the longest that a Retry-After is believed: twice the longest
// lock-out that was reported (24 h, see spotify/web-api and home-assistant#53776). A
// mistake in one header must not end the recording for years.
const LongestRetryAfter = 48 * time.Hour

// parseRetryAfter reads both forms of RFC 9110 section 10.2.3, seconds and date. A
// time in the past, or a negative one, is 0; what is no number and no date is none.
// What no Duration can hold is the longest one.
func parseRetryAfter(value string, now time.Time) (after time.Duration, ok bool) {
	value = strings.TrimSpace(value)
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0), true // Sub stops at the longest Duration
	}
	digits := strings.TrimPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	if digits != value {
		return 0, true
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || seconds > int64(math.MaxInt64/time.Second) {
		return math.MaxInt64, true // digits only, so it can but be out of range
	}
	return time.Duration(seconds) * time.Second, true
}

// maxMessage is the most bytes of a server's words in an error.
const maxMessage = 200

// decode is json.Unmarshal without its objection to a value of the wrong type:
// such a value is left out, all others are read. Spotify has sent floats for
// integers and null for almost anything.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil
	}
	return err
}

// wholeMilliseconds reads a number of milliseconds that may be a float; ok is
// false for what is none.
func wholeMilliseconds(v any) (ms int64, ok bool) {
	f, ok := v.(float64)
	if !ok || f < 0 || f > 1e12 { // a year has 3e10
		return 0, false
	}
	return int64(math.Round(f)), true
}
