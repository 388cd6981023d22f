package spotifysim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is a request that is being answered.
type call struct {
	*Spotify
	r          *http.Request
	query      url.Values // the parameters of the URL, of the form for a POST
	now        time.Time
	skew       time.Duration
	starts     bool  // recently-played has the starts of plays
	user       *User // whose access token it is
	complaints []string
}

// queryOf returns the parameters, each of which must be there once.
func queryOf(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return url.Values{}, err
	}
	query := r.Form
	if r.Method == http.MethodPost {
		query = r.PostForm
	}
	for name, values := range query {
		if len(values) > 1 {
			return query, fmt.Errorf("parameter %s is there %d times", name, len(values))
		}
	}
	return query, nil
}

func (c *call) complain(format string, args ...any) {
	c.complaints = append(c.complaints, fmt.Sprintf(format, args...))
}

// badManners answers what Spotify should not have been asked.
func (c *call) badManners(format string, args ...any) answer {
	message := fmt.Sprintf(format, args...)
	c.complain("%s %s: %s", c.r.Method, c.r.URL.Path, message)
	return apiError(http.StatusBadRequest, message, "")
}

func (c *call) answer() answer {
	switch path := c.r.URL.Path; {
	case path == "/accounts/authorize":
		return c.authorize()
	case path == "/accounts/api/token":
		return c.tokenRequest()
	case strings.HasPrefix(path, "/v1/"):
		return c.webAPI(strings.TrimPrefix(path, "/v1/"))
	default:
		return c.badManners("no such path: the accounts service is under /accounts/, the Web API under /v1/")
	}
}

// webAPI answers a request to the Web API and keeps account of it.
func (c *call) webAPI(path string) answer {
	endpoint, id := route(path)
	early := c.now.UnixMilli() < c.retryAfter
	a := c.guarded(endpoint, id, early)

	if wait := a.header.Get("Retry-After"); wait != "" && !early {
		seconds, err := strconv.ParseInt(wait, 10, 64)
		if err != nil {
			panic(err)
		}
		c.retryAfter = c.now.UnixMilli() + 1000*seconds
	}
	c.requests = append(c.requests, request{c.now.UnixMilli(), endpoint, c.user, int16(a.status), early})
	c.forgetRequests(c.now.UnixMilli())
	return a
}

// route returns which endpoint a path below /v1/ is, and the id in it.
func route(path string) (endpoint, id string) {
	switch path {
	case "me":
		return EndpointMe, ""
	case "me/player":
		return EndpointPlayer, ""
	case "me/player/currently-playing":
		return EndpointCurrentlyPlaying, ""
	case "me/player/recently-played":
		return EndpointRecentlyPlayed, ""
	}
	if sort, id, _ := strings.Cut(path, "/"); id != "" && !strings.Contains(id, "/") {
		switch sort {
		case "tracks":
			return EndpointTrack, id
		case "episodes":
			return EndpointEpisode, id
		}
	}
	return EndpointOther, ""
}

// removed says whether a path was an endpoint until February 2026.
func removed(path string) bool {
	first, rest, _ := strings.Cut(path, "/")
	switch first {
	case "browse", "markets", "users", "recommendations", "audio-features", "audio-analysis":
		return true
	case "tracks", "episodes", "artists", "albums", "shows", "audiobooks", "chapters":
		return rest == "" || strings.HasSuffix(rest, "/top-tracks") || strings.HasSuffix(rest, "/related-artists")
	}
	return false
}

// guarded answers with all that can come in the way of the right answer.
func (c *call) guarded(endpoint, id string, early bool) answer {
	authorization, bearer := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	token := c.access[authorization]
	if token != nil {
		c.user = token.grant.user
	}
	if early {
		left := time.Duration(c.retryAfter-c.now.UnixMilli()) * time.Millisecond
		c.complain("%s %s: a request %v before Retry-After is over", c.r.Method, c.r.URL.Path, left)
		a := apiError(http.StatusTooManyRequests, "API rate limit exceeded", "")
		a.retryAfter(left)
		return a
	}
	if agent := c.r.Header.Get("User-Agent"); agent == "" || strings.HasPrefix(agent, "Go-http-client/") {
		return c.badManners("a User-Agent of one's own is missing")
	}
	if !bearer {
		return c.badManners("Authorization: Bearer … is missing")
	}
	if endpoint == EndpointOther {
		path := strings.TrimPrefix(c.r.URL.Path, "/v1/")
		if removed(path) {
			c.complain("%s %s: removed in February 2026", c.r.Method, c.r.URL.Path)
			return apiError(http.StatusForbidden, "Forbidden", "")
		}
		return c.badManners("no such endpoint in here")
	}
	if c.r.Method != http.MethodGet {
		return c.badManners("only GET is served")
	}
	if wait, quota, over := c.overLimit(c.now.UnixMilli()); over {
		a := apiError(http.StatusTooManyRequests, "API rate limit exceeded", "")
		if quota {
			a = quotaExceeded()
		}
		a.retryAfter(wait)
		return a
	}

	fault := c.fault(endpoint, c.user, c.now)
	asOf := c.now
	if fault != nil {
		if a, instead := fault.answer(); instead {
			return a
		}
		switch fault.Kind {
		case Skewed:
			c.skew = fault.Skew
		case ListsStarts:
			c.starts = true
		case Stale:
			asOf = fault.From
		}
	}
	switch {
	case token == nil:
		return apiError(http.StatusUnauthorized, "Invalid access token", "")
	case !token.alive(c.now):
		return apiError(http.StatusUnauthorized, "The access token expired", "")
	case !c.premium:
		return textAnswer(http.StatusForbidden, premiumText)
	case !c.user.registered:
		return textAnswer(http.StatusForbidden, notRegisteredText)
	case !token.grant.allows(endpoint):
		return apiError(http.StatusForbidden, "Insufficient client scope", "")
	}
	a := c.right(endpoint, id, asOf)
	if recorded, ok := c.verbatim[endpoint]; ok && len(c.complaints) == 0 {
		a = encodedAnswer(recorded.status, slices.Clone(recorded.body))
	}
	if fault != nil {
		fault.spoil(&a)
	}
	return a
}

// right is the answer of a Spotify at which all is well.
func (c *call) right(endpoint, id string, asOf time.Time) answer {
	var known []string
	switch endpoint {
	case EndpointPlayer, EndpointCurrentlyPlaying:
		known = []string{"additional_types", "market"}
	case EndpointRecentlyPlayed:
		known = []string{"limit", "after", "before"}
	case EndpointTrack, EndpointEpisode:
		known = []string{"market"}
	}
	for name := range c.query {
		if !slices.Contains(known, name) {
			return c.badManners("unknown parameter %s", name)
		}
	}
	switch endpoint {
	case EndpointMe:
		return jsonAnswer(http.StatusOK, c.profile())
	case EndpointPlayer, EndpointCurrentlyPlaying:
		return c.player(endpoint, asOf)
	case EndpointRecentlyPlayed:
		return c.recentlyPlayed(asOf)
	default:
		if e := c.items[id]; e != nil && (e.Kind == Track) == (endpoint == EndpointTrack) {
			return encodedAnswer(http.StatusOK, slices.Clone(e.encoded))
		}
		return apiError(http.StatusNotFound, "Resource not found", "")
	}
}

type profile struct {
	AccountID       string           `json:"account_id,omitempty"`
	Country         string           `json:"country,omitempty"`
	DisplayName     string           `json:"display_name"`
	ExplicitContent *explicitContent `json:"explicit_content,omitempty"`
	externalProfile
	Followers *followers `json:"followers,omitempty"`
	Images    []Image    `json:"images"`
	Product   string     `json:"product,omitempty"`
}

type explicitContent struct {
	FilterEnabled bool `json:"filter_enabled"`
	FilterLocked  bool `json:"filter_locked"`
}

type followers struct {
	Href  *string `json:"href"`
	Total int     `json:"total"`
}

type externalProfile struct {
	ExternalURLs externalURLs `json:"external_urls"`
	Href         string       `json:"href"`
	ID           string       `json:"id"`
	Type         string       `json:"type"`
	URI          string       `json:"uri"`
}

func (c *call) profile() profile {
	u := c.user
	p := profile{
		DisplayName: u.name,
		externalProfile: externalProfile{
			ExternalURLs: externalURLs{"https://open.spotify.com/user/" + u.id},
			Href:         "https://api.spotify.com/v1/users/" + u.id,
			ID:           u.id, Type: "user", URI: "spotify:user:" + u.id,
		},
		Images: []Image{},
	}
	if c.options.LegacyShapes {
		p.Country, p.Product, p.ExplicitContent, p.Followers = "NL", "premium", &explicitContent{}, &followers{}
	} else {
		p.AccountID = u.AccountID()
	}
	return p
}

// playback is the answer of /me/player; /me/player/currently-playing leaves the
// pointers out.
type playback struct {
	Device               *deviceObject   `json:"device,omitempty"`
	ShuffleState         *bool           `json:"shuffle_state,omitempty"`
	SmartShuffle         *bool           `json:"smart_shuffle,omitempty"`
	RepeatState          *string         `json:"repeat_state,omitempty"`
	Timestamp            int64           `json:"timestamp"`
	Context              *contextObject  `json:"context"`
	ProgressMS           *int64          `json:"progress_ms"`
	Item                 json.RawMessage `json:"item"`
	CurrentlyPlayingType string          `json:"currently_playing_type"`
	Actions              actions         `json:"actions"`
	IsPlaying            bool            `json:"is_playing"`
}

type actions struct {
	Disallows disallows `json:"disallows"`
}

// disallows holds only what is true.
type disallows struct {
	Pausing      bool `json:"pausing,omitempty"`
	Resuming     bool `json:"resuming,omitempty"`
	SkippingNext bool `json:"skipping_next,omitempty"`
	SkippingPrev bool `json:"skipping_prev,omitempty"`
}

func (c *call) player(endpoint string, asOf time.Time) answer {
	episodes := false
	for sort := range strings.SplitSeq(c.query.Get("additional_types"), ",") {
		switch sort {
		case "episode":
			episodes = true
		case "", "track":
		default:
			return c.badManners("additional_types %q", sort)
		}
	}
	s := c.user.timeline.at(asOf.UnixMilli())
	if !s.active || s.item == nil {
		return answer{status: http.StatusNoContent, header: http.Header{"Cache-Control": {"private, max-age=0"}}}
	}
	p := playback{
		Timestamp:            s.at + c.skew.Milliseconds(),
		Context:              s.context.object(),
		ProgressMS:           &s.progress,
		Item:                 s.item.encoded,
		CurrentlyPlayingType: "track",
		Actions:              actions{disallows{Resuming: s.playing, Pausing: !s.playing}},
		IsPlaying:            s.playing,
	}
	switch s.item.Kind {
	case Episode, Chapter:
		p.CurrentlyPlayingType = "episode"
		if !episodes {
			p.Item, p.Context = json.RawMessage("null"), nil
		}
	case Ad:
		p.CurrentlyPlayingType, p.Context = "ad", nil
		p.Actions.Disallows = disallows{SkippingNext: true, SkippingPrev: true}
	case Unknown:
		p.CurrentlyPlayingType, p.Context, p.ProgressMS = "unknown", nil, nil
		p.Actions.Disallows = disallows{}
	}
	if endpoint == EndpointPlayer {
		p.Device, p.ShuffleState, p.SmartShuffle, p.RepeatState = s.device.object(s.private), &s.shuffle, new(bool), &s.repeat
	}
	return jsonAnswer(http.StatusOK, p)
}

type cursors struct {
	After  string `json:"after"`
	Before string `json:"before"`
}

// page is what follows the items of recently-played.
type page struct {
	Next    *string  `json:"next"`
	Cursors *cursors `json:"cursors"`
	Limit   int      `json:"limit"`
	Href    string   `json:"href"`
}

func (c *call) recentlyPlayed(asOf time.Time) answer {
	limit := 20
	after, before := int64(-1), int64(never)
	for name := range c.query {
		n, err := strconv.ParseInt(c.query.Get(name), 10, 64)
		if err != nil {
			return c.badManners("%s is no number", name)
		}
		switch name {
		case "limit":
			if n < 1 || n > 50 {
				return c.badManners("Invalid limit")
			}
			limit = int(n)
		default:
			// Spotify silently takes seconds for a time in 1970.
			if n >= 1e9 && n < 1e11 {
				return c.badManners("%s is in seconds, not in milliseconds", name)
			}
			if name == "after" {
				after = n
			} else {
				before = n
			}
		}
	}
	if c.query.Has("after") && c.query.Has("before") {
		return c.badManners("both after and before")
	}
	at := func(p *play) int64 {
		if c.starts {
			return p.start + c.skew.Milliseconds()
		}
		return p.end + c.skew.Milliseconds()
	}
	plays := slices.DeleteFunc(c.user.timeline.recentlyPlayed(asOf.UnixMilli()), func(p *play) bool {
		return at(p) <= after || at(p) >= before
	})
	more := len(plays) > limit
	if more && c.query.Has("after") {
		plays = plays[len(plays)-limit:] // the ones that follow the cursor
	} else if more {
		plays = plays[:limit]
	}

	self := url.URL{Scheme: "https", Host: "api.spotify.com", Path: c.r.URL.Path, RawQuery: c.r.URL.RawQuery}
	rest := page{Limit: limit, Href: self.String()}
	if len(plays) > 0 {
		rest.Cursors = &cursors{millis(at(plays[0])), millis(at(plays[len(plays)-1]))}
		// A full page names a next one, even if that will be empty.
		if len(plays) == limit {
			cursor := "before=" + rest.Cursors.Before
			if c.query.Has("after") {
				cursor = "after=" + rest.Cursors.After
			}
			self.RawQuery = cursor + "&limit=" + strconv.Itoa(limit)
			rest.Next = new(self.String())
		}
	}

	// Put together by hand, from items that were encoded once.
	var b bytes.Buffer
	b.Grow(len(plays)*1536 + 512)
	b.WriteString(`{"items":[`)
	for i, p := range plays {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"track":`)
		b.Write(p.item.encoded)
		b.WriteString(`,"played_at":"`)
		b.Write(utc(at(p)).AppendFormat(b.AvailableBuffer(), "2006-01-02T15:04:05.000Z"))
		b.WriteString(`","context":`)
		b.Write(encode(p.context.object()))
		b.WriteByte('}')
	}
	b.WriteString(`],`)
	b.Write(encode(rest)[1:])
	return encodedAnswer(http.StatusOK, b.Bytes())
}
