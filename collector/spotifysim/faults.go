package spotifysim

import (
	"fmt"
	"net/http"
	"time"
)

// FaultKind is a way to fail.
type FaultKind int

// The faults. The bodies are those that were seen, to the letter.
const (
	Unauthorized     FaultKind = iota + 1 // 401 "The access token expired", whatever its age
	PremiumRequired                       // 403 in plain text
	NotRegistered                         // 403 in plain text
	Forbidden                             // 403 JSON, as of a removed endpoint
	RateLimited                           // 429 JSON "API rate limit exceeded"
	TooManyRequests                       // 429 in plain text
	QuotaExceeded                         // 429 JSON with the reason QUOTA_EXCEEDED
	ServerError                           // 502 (or Fault.Status) JSON
	ServerErrorHTML                       // the same with a page for humans
	ServerErrorEmpty                      // the same without a body
	HTML                                  // 200 with a page for humans, as of a captive portal
	Truncated                             // the first half of the right body, as if it were all
	Aborted                               // the connection breaks in the middle of the right body
	Reset                                 // the connection breaks before any answer
	Slow                                  // the right body trickles in over Fault.Delay
	Hang                                  // no answer until the client gives up
	Stale                                 // the right answer as of Fault.From (of a player that is cached, of a recently-played that is hours behind)
	ListsStarts                           // played_at is the start of a play, as it was for some time (spotify/web-api#613, #1083)
	Skewed                                // Spotify's clock is off by Fault.Skew: Date, timestamp and played_at
)

// Fault is something that goes wrong on demand.
type Fault struct {
	Kind     FaultKind
	Endpoint string // one of the Endpoint constants; "": every one of the Web API
	User     *User  // nil: everybody's requests

	From, Until time.Time // zero: without bound; Until is excluded
	Count       int       // how often at most; 0: always

	RetryAfter time.Duration // of the 429s and of ServerErrors, in whole seconds; 0: no such header
	Status     int           // of the ServerErrors
	Delay      time.Duration // of Slow
	Skew       time.Duration // of Skewed, above 0 if Spotify's clock is ahead
}

// Fault makes something go wrong. Of several faults that fit a request the one
// that was added first happens. A Retry-After that a Web API answer carries
// binds every request of the client id.
func (s *Spotify) Fault(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault)
}

// ClearFaults ends all faults. A Retry-After that was sent still holds.
func (s *Spotify) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault returns the fault that happens to a request, nil if none does.
func (s *Spotify) fault(endpoint string, user *User, now time.Time) *Fault {
	for i, f := range s.faults {
		switch {
		case f.Endpoint != endpoint && (f.Endpoint != "" || endpoint == EndpointToken):
		case f.User != nil && f.User != user:
		case now.Before(f.From), !f.Until.IsZero() && !now.Before(f.Until):
		default:
			if f.Count > 0 {
				if f.Count--; f.Count == 0 {
					s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
				}
			}
			return f
		}
	}
	return nil
}

// answer returns the answer that a fault gives in place of the right one; false
// if it only changes how the right one comes.
func (f *Fault) answer() (answer, bool) {
	status := f.Status
	if status == 0 {
		status = http.StatusBadGateway
	}
	var a answer
	switch f.Kind {
	case Unauthorized:
		a = apiError(http.StatusUnauthorized, "The access token expired", "")
	case PremiumRequired:
		return textAnswer(http.StatusForbidden, premiumText), true
	case NotRegistered:
		return textAnswer(http.StatusForbidden, notRegisteredText), true
	case Forbidden:
		return apiError(http.StatusForbidden, "Forbidden", ""), true
	case RateLimited:
		a = apiError(http.StatusTooManyRequests, "API rate limit exceeded", "")
	case TooManyRequests:
		a = textAnswer(http.StatusTooManyRequests, "Too many requests")
	case QuotaExceeded:
		a = quotaExceeded()
	case ServerError:
		a = apiError(status, "Backend respond with 500", "")
	case ServerErrorHTML:
		a = htmlAnswer(status)
	case ServerErrorEmpty:
		a = answer{status: status, header: http.Header{}}
	case HTML:
		return htmlAnswer(http.StatusOK), true
	case Reset:
		return answer{reset: true, header: http.Header{}}, true
	case Hang:
		return answer{hang: true, header: http.Header{}}, true
	default:
		return answer{}, false
	}
	if f.RetryAfter > 0 {
		a.retryAfter(f.RetryAfter)
	}
	return a, true
}

// spoil changes how the right answer comes.
func (f *Fault) spoil(a *answer) {
	switch f.Kind {
	case Truncated:
		a.body = a.body[:len(a.body)/2]
	case Aborted:
		a.abort = true
	case Slow:
		a.delay = f.Delay
	}
}

// verbatim is an answer that was recorded.
type verbatim struct {
	status int
	body   []byte
}

// Verbatim lets an endpoint answer well-formed requests of a valid token with a
// recorded body, until it is called again with status 0.
func (s *Spotify) Verbatim(endpoint string, body []byte, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status == 0 {
		delete(s.verbatim, endpoint)
		return
	}
	s.verbatim[endpoint] = verbatim{status, body}
}

// What Spotify says in plain text, where everything else is JSON.
const (
	premiumText       = "Active premium subscription required for the owner of the app. When the subscription status changes, it can take a few hours before requests are allowed again."
	notRegisteredText = "Check settings on developer.spotify.com/dashboard, the user may not be registered."
)

func quotaExceeded() answer {
	return apiError(http.StatusTooManyRequests, "Too many requests", "QUOTA_EXCEEDED")
}

// apiError is the regular form of an error of the Web API.
func apiError(status int, message, reason string) answer {
	type details struct {
		Status  int    `json:"status"`
		Message string `json:"message"`
		Reason  string `json:"reason,omitempty"`
	}
	return jsonAnswer(status, struct {
		Error details `json:"error"`
	}{details{status, message, reason}})
}

func jsonAnswer(status int, v any) answer { return encodedAnswer(status, encode(v)) }

func encodedAnswer(status int, body []byte) answer {
	return answer{status: status, body: body, header: http.Header{
		"Content-Type":  {"application/json; charset=utf-8"},
		"Cache-Control": {"private, max-age=0"},
	}}
}

func textAnswer(status int, text string) answer {
	return answer{status: status, body: []byte(text), header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}}
}

func htmlAnswer(status int) answer {
	page := fmt.Sprintf("<!DOCTYPE html>\n<html><head><title>%d</title></head><body><h1>%[1]d %s</h1></body></html>\n", status, http.StatusText(status))
	return answer{status: status, body: []byte(page), header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
}
