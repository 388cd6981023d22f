package grafana

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/secret"
)

// Reason is why a snapshot was not published: a small closed set, for a label.
type Reason string

// The reasons.
const (
	Network      Reason = "network"      // no answer, or not within the time
	Failed       Reason = "server"       // 429 and 5xx
	Unauthorized Reason = "unauthorized" // 401
	Forbidden    Reason = "forbidden"    // 403: no right, or snapshots are disabled
	NotFound     Reason = "not_found"    // 404 and every answer that is not Grafana's: the board, or the API
	Refused      Reason = "refused"      // 400, 413 and other answers that stay
	TooOld       Reason = "too_old"      // Grafana lacks a security fix
	Unsupported  Reason = "board"        // the board has what a snapshot cannot show
	QueryFailed  Reason = "query"        // a query of a panel or a variable
	Privacy      Reason = "privacy"      // something private would have been published
	Unseen       Reason = "check"        // visitors do not get what was posted
	Local        Reason = "data_dir"     // the keys or the body cannot be kept
)

// Reasons are all of them.
var Reasons = [...]Reason{Network, Failed, Unauthorized, Forbidden, NotFound, Refused, TooOld, Unsupported, QueryFailed, Privacy, Unseen, Local}

// Error is why a snapshot was not published.
type Error struct {
	Reason Reason
	Text   string // what is wrong and what to do, one line
	Err    error  // of the transport or the file system, if that is it

	status int               // of Grafana's answer
	failed map[string]string // why single queries failed, by refId, in an answer of /api/ds/query
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Text + ": " + e.Err.Error()
	}
	return e.Text
}

func (e *Error) Unwrap() error { return e.Err }

func failure(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// temporary tells whether the same request may work later without anybody's help.
func (e *Error) temporary() bool { return e.Reason == Network || e.Reason == Failed }

const (
	// requestTimeout is how long one request may take; a panel's queries are one.
	requestTimeout = 2 * time.Minute
	// maxAnswer is the most bytes that are read of an answer.
	maxAnswer = 64 << 20
	// maxMessage is the most bytes of Grafana's words in an error.
	maxMessage = 300
)

// client speaks to one Grafana.
type client struct {
	base      *url.URL
	token     string                 // "": as a visitor
	readToken func() (string, error) // reads the token from where it is from; nil: it cannot change
	userAgent string
	http      *http.Client
}

func newClient(base *url.URL, token, userAgent string, transport http.RoundTripper) *client {
	return &client{base: base, token: token, userAgent: userAgent, http: &http.Client{
		Transport: transport,
		Timeout:   requestTimeout,
		// A proxy that wants a login redirects there: that is no answer of Grafana.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// visitor is the same Grafana for somebody who has not logged in.
func (c *client) visitor() *client {
	visitor := *c
	visitor.token, visitor.readToken = "", nil
	return &visitor
}

// call sends a request with a JSON body (nil: none) and decodes the JSON answer
// into out (nil: not looked at). Its error is an *Error, or that of ctx.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	if c.token == "" && c.readToken != nil {
		if err := c.renewToken(); err != nil {
			return &Error{Reason: Unauthorized, Text: "GRAFANA_TOKEN_FILE: setup --grafana leaves the token there", Err: err}
		}
	}
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("User-Agent", c.userAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unanswered(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return c.unanswered(ctx, err)
	}
	if len(answer) > maxAnswer {
		return failure(Refused, "Grafana's answer is larger than %d MiB", maxAnswer>>20)
	}
	if c.readToken != nil && (resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden) {
		_ = c.renewToken() // for the next try; if there is none this one stays
	}
	if resp.StatusCode/100 != 2 {
		return c.answered(resp, []byte(secret.Mask(string(answer), secret.OfRequest(req)...))) // it may repeat the request
	}
	if out == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber() // as it is written: a point's time does not fit in a float64
	if err := decoder.Decode(out); err != nil {
		return failure(NotFound, "%s does not answer as Grafana does: is GRAFANA_URL right, and does no proxy ask for a login?", c.base)
	}
	return nil
}

// renewToken reads the token again.
func (c *client) renewToken() error {
	token, err := c.readToken()
	if err == nil {
		c.token = token
	}
	return err
}

// unanswered is the error of a request without an answer.
func (c *client) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // it repeats method and URL, which may hold the delete key
	}
	return &Error{Reason: Network, Text: "Grafana did not answer", Err: err}
}

// answered is the error of an answer that is no success.
func (c *client) answered(resp *http.Response, body []byte) error {
	var words struct {
		Message string `json:"message"`
		Error   string `json:"error"`
		Results map[string]struct {
			Error string `json:"error"`
		} `json:"results"`
	}
	if json.Unmarshal(body, &words) != nil {
		words.Message = "not in Grafana's words: see that GRAFANA_URL is its address"
	}
	failed := make(map[string]string)
	for refID, result := range words.Results {
		failed[refID] = result.Error
	}
	message := clean.Short(cmp.Or(words.Message, words.Error, http.StatusText(resp.StatusCode)), maxMessage)
	code := resp.StatusCode
	says := func(reason Reason, hint string) error {
		err := failure(reason, "Grafana answered %d (%s)%s", code, message, hint)
		err.status, err.failed = code, failed
		return err
	}
	switch {
	case c.token == "" && (code == http.StatusUnauthorized || code == http.StatusForbidden) && !strings.Contains(message, "napshots are disabled"):
		return says(Unseen, ": visitors are not let through to /api/snapshots; see the proxy before it")
	case code == http.StatusUnauthorized:
		return says(Unauthorized, ": GRAFANA_TOKEN is not one of its tokens, or has expired; make one under Administration › Users and access › Service accounts")
	case code == http.StatusForbidden && strings.Contains(message, "napshots are disabled"):
		return says(Forbidden, ": set [snapshots] enabled = true (GF_SNAPSHOTS_ENABLED) in Grafana")
	case code == http.StatusForbidden:
		return says(Forbidden, ": GRAFANA_TOKEN may not; its service account needs the role Editor")
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code/100 == 3:
		return says(NotFound, "")
	case code == http.StatusTooManyRequests, code >= 500:
		return says(Failed, "")
	default:
		return says(Refused, "")
	}
}

// statusOf is the HTTP status of an error of call; 0: there was no answer.
func statusOf(err error) int {
	if answered, ok := errors.AsType[*Error](err); ok {
		return answered.status
	}
	return 0
}

// errNoAPI is what /api/snapshots answering like an unknown path means.
var errNoAPI = failure(NotFound, "this Grafana has no /api/snapshots any more: only /apis/dashboard.grafana.app/…/snapshots is left, which this version of spotify-exporter cannot use; look for a newer one")

// body is what is posted to /api/snapshots.
type body struct {
	Dashboard map[string]any `json:"dashboard"`
	Name      string         `json:"name"`
	Expires   int            `json:"expires"` // seconds; 0: 50 years
	External  bool           `json:"external"`
	Key       string         `json:"key,omitempty"`
	DeleteKey string         `json:"deleteKey,omitempty"`
}

// board returns a dashboard by its uid and what its "version" is.
func (c *client) board(ctx context.Context, uid string) (map[string]any, error) {
	var answer struct {
		Dashboard map[string]any `json:"dashboard"`
	}
	err := c.call(ctx, http.MethodGet, "/api/dashboards/uid/"+url.PathEscape(uid), nil, &answer)
	switch {
	case statusOf(err) == http.StatusNotFound:
		return nil, failure(NotFound, "Grafana has no board with the uid %q: see SNAPSHOT_DASHBOARD, and whether the boards are provisioned", uid)
	case statusOf(err) == http.StatusForbidden:
		return nil, failure(Forbidden, "GRAFANA_TOKEN may not read the board %q: its service account needs the role Editor, also in the board's folder", uid)
	case err != nil:
		return nil, err
	case answer.Dashboard == nil:
		return nil, failure(NotFound, "%s does not answer as Grafana does: is GRAFANA_URL right?", c.base)
	case answer.Dashboard["panels"] == nil:
		return nil, failure(Unsupported, "the board %q is not of the classic model (it has no panels): export it as classic JSON", uid)
	}
	return answer.Dashboard, nil
}

// snapshot returns what is published under a key; nil if nothing is.
func (c *client) snapshot(ctx context.Context, key string) (map[string]any, error) {
	var answer struct {
		Dashboard map[string]any `json:"dashboard"`
	}
	err := c.call(ctx, http.MethodGet, "/api/snapshots/"+key, nil, &answer)
	if isMissing(err) {
		return nil, nil
	}
	return answer.Dashboard, err
}

// isMissing tells whether an error means that there is no snapshot of that name. Where
// Grafana answers 500 to that, as it did before 12, it is with these words.
func isMissing(err error) bool {
	return statusOf(err) == http.StatusNotFound ||
		statusOf(err) == http.StatusInternalServerError && strings.Contains(err.Error(), "Failed to get dashboard snapshot")
}

// remove deletes what is published under a key, if anything is. What another service
// account published may be denied to an editor, who can still do it by the delete
// key. So could a viewer, who could not post the new one afterwards.
func (c *client) remove(ctx context.Context, k keys) error {
	err := c.call(ctx, http.MethodDelete, "/api/snapshots/"+k.Key, nil, nil)
	switch {
	case isMissing(err):
		return nil
	case statusOf(err) == http.StatusForbidden && c.mayPublish(ctx) == nil:
		return c.call(ctx, http.MethodGet, "/api/snapshots-delete/"+k.DeleteKey, nil, nil)
	}
	return err
}

// mayPublish tells whether the token is an editor's, without changing anything: who
// may delete snapshots may make them, and there is none of this name.
func (c *client) mayPublish(ctx context.Context) error {
	err := c.call(ctx, http.MethodDelete, "/api/snapshots/"+random(), nil, nil)
	if isMissing(err) {
		return nil
	}
	return err
}

// post publishes a body.
func (c *client) post(ctx context.Context, b body) error {
	err := c.call(ctx, http.MethodPost, "/api/snapshots", b, nil)
	switch statusOf(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return errNoAPI
	case http.StatusRequestEntityTooLarge:
		return failure(Refused, "the snapshot is too large for Grafana or a proxy before it (413): raise the proxy's limit for bodies, or take panels or rows off the board")
	}
	return err
}

// version returns Grafana's version; "" if it does not tell.
func (c *client) version(ctx context.Context) (string, error) {
	var health struct {
		Version string `json:"version"`
	}
	err := c.call(ctx, http.MethodGet, "/api/health", nil, &health)
	return health.Version, err
}

// query runs the queries of one panel and returns each one's frames by refId.
func (c *client) query(ctx context.Context, r Range, queries []map[string]any) (map[string][]frame, error) {
	request := map[string]any{
		"from":    fmt.Sprint(r.From.UnixMilli()),
		"to":      fmt.Sprint(r.To.UnixMilli()),
		"queries": queries,
	}
	var answer struct {
		Results map[string]struct {
			Error  string  `json:"error"`
			Frames []frame `json:"frames"`
		} `json:"results"`
	}
	err := c.call(ctx, http.MethodPost, "/api/ds/query", request, &answer)
	if answered, ok := errors.AsType[*Error](err); ok {
		for _, refID := range slices.Sorted(maps.Keys(answered.failed)) {
			return nil, queryFailed(refID, answered.failed[refID])
		}
		if answered.status == http.StatusBadRequest || answered.status == http.StatusNotFound {
			return nil, failure(QueryFailed, "%v", err) // such as an unknown data source
		}
	}
	if err != nil {
		return nil, err
	}
	frames := make(map[string][]frame)
	for _, query := range queries {
		refID, _ := query["refId"].(string)
		result, ok := answer.Results[refID]
		switch {
		case !ok:
			return nil, failure(QueryFailed, "query %s was not answered", refID)
		case result.Error != "":
			return nil, queryFailed(refID, result.Error)
		}
		frames[refID] = result.Frames
	}
	return frames, nil
}

func queryFailed(refID, text string) error {
	return failure(QueryFailed, "query %s: %s", refID, clean.Short(text, maxMessage))
}
