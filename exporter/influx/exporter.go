// Package influx drains the journal's outbox into InfluxDB: one point per play,
// written, overwritten or deleted until InfluxDB holds what the journal says.
package influx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/api"
	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"github.com/influxdata/influxdb-client-go/v2/api/write"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

const (
	// defaultBatch is the most lines in a request: InfluxDB takes them fastest so.
	defaultBatch = 5000
	// maxRequest is the most bytes in a request, before compression.
	maxRequest = 5 << 20
	// minRequest is how far a server that takes less (413) can bring that down for
	// good; below it, batches are halved each time.
	minRequest = 256 << 10
	// attemptTimeout is how long one request may take.
	attemptTimeout = 30 * time.Second
	// lookInterval is how often the outbox is looked at without a wake-up: other
	// processes (import, replay) fill it too.
	lookInterval = 5 * time.Second
	// lastTry is how long Run may take to send the rest once it has been told to end.
	lastTry = 5 * time.Second
	// logInterval is how often an error that stays is repeated in the log.
	logInterval = 30 * time.Second
)

// Options are what an Exporter is made of.
type Options struct {
	// URL is the server's address with scheme (INFLUX_URL), Org, Bucket and Token
	// where and as whom to write. On InfluxDB 1.8 Bucket is "database/policy", Token
	// "user:password", Org anything.
	URL, Org, Bucket, Token string
	// ReadToken reads the token again from where Token is from; nil: it cannot change. It is called whenever InfluxDB
	// refuses the token (401, 403): setup may have made another one, or somebody may have made the bucket anew.
	ReadToken func() (string, error)

	// Zone gives an account's time zone; nil: UTC.
	Zone func(account string) *time.Location
	// Name gives an account's display name; nil: its alias.
	Name func(account string) string
	// CountedFrom is how long a play must have lasted to count; 0: 30 s.
	CountedFrom time.Duration

	Journal *journal.Journal
	Clock   clock.Clock
	// Base makes the requests; nil: http.DefaultTransport. It gets one request at a
	// time and no redirects to follow.
	Base      http.RoundTripper
	UserAgent string
	Log       *slog.Logger // nil: discard
	// BatchSize is the most lines in a request; 0: 5,000.
	BatchSize int
}

// State is what an Exporter knows about itself at one moment, for metrics and
// the landing page. A State is a copy.
type State struct {
	// Up tells whether InfluxDB answered the last request as it should; nil before
	// the first one. While there is nothing to write, an empty write asks every
	// minute.
	Up *bool
	// LastSuccess is when InfluxDB last took a write (an empty one too) or a delete;
	// zero: not yet.
	LastSuccess time.Time

	PointsWritten  uint64            // lines in writes that InfluxDB took; a resend counts again
	PointsDeleted  uint64            // points deleted; the credits of one play count as one
	PointsRejected uint64            // lines of entries that InfluxDB never takes; the journal keeps them
	WriteRetries   uint64            // requests that have to be made again
	WriteFailures  map[Reason]uint64 // requests that were not taken; all reasons are present

	// Paused says what somebody has to do before InfluxDB takes anything; "" if
	// nothing. Everything is kept until then, and tried every few minutes.
	Paused string
	// BucketWarning says what is wrong with the bucket and how to put it right; "" if
	// nothing is or it cannot be known.
	BucketWarning string
	// HeldRatio is the share of the plays of Spotify's last page that a query finds
	// in InfluxDB, by account. One that cannot be known (a token that may not read,
	// nothing played) is absent.
	HeldRatio map[string]float64
}

// Exporter sends the outbox of a journal to InfluxDB. One goroutine runs it (Run
// or Step); State may be called from any.
type Exporter struct {
	options Options
	log     *slog.Logger
	server  *server
	writer  api.WriteAPIBlocking
	query   api.QueryAPI
	encoder encoder

	prepared   bool            // settings and bucket have been looked at since start or the last pause
	settingsAt time.Time       // when the settings are looked at next while nothing is sent
	bucketAt   time.Time       // when the bucket's settings are looked at again; zero: they are right
	failures   int             // temporary ones in a row
	pauses     int             // answers in a row that need somebody
	contact    time.Time       // last request that InfluxDB took
	maxRequest int             // bytes; falls when a server takes less
	influxQL   bool            // deletes go to /query: the server is a 1.8
	ahead      []journal.Entry // taken while those before them were sent
	arrived    []journal.Entry // in InfluxDB, and still in the outbox
	held       map[string]*heldPage
	heldAt     time.Time // when all pages were asked for last
	sent       bool      // something, since the pages were looked at
	auditAt    time.Time // when what InfluxDB shows is counted next
	retryAt    time.Time // when what InfluxDB has refused is tried again; zero: now
	forgets    bool      // the bucket does not keep points for ever
	rejections throttle

	mu    sync.Mutex
	state State
}

// New checks the options and returns an Exporter that has done nothing yet.
// Requests are compressed for servers that are neither on this machine nor on
// its network (a private address, a name without dots as in a compose file).
func New(options Options) (*Exporter, error) {
	base, err := url.Parse(options.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, errors.New("INFLUX_URL: must be an address such as http://influxdb:8086")
	}
	if options.Bucket == "" {
		return nil, errors.New("INFLUX_BUCKET: required")
	}
	if options.BatchSize < 0 || options.CountedFrom < 0 {
		return nil, errors.New("batch size and counted time must not be negative")
	}
	options.BatchSize = cmp.Or(options.BatchSize, defaultBatch)
	options.CountedFrom = cmp.Or(options.CountedFrom, 30*time.Second)
	if options.Zone == nil {
		options.Zone = func(string) *time.Location { return time.UTC }
	}
	if options.Name == nil {
		options.Name = func(account string) string { return account }
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	base.Path = base.JoinPath("/").Path
	base.RawQuery, base.Fragment = "", ""
	s := &server{base: base, token: options.Token, readToken: options.ReadToken, userAgent: options.UserAgent, client: &http.Client{
		Transport: options.Base,
		// A redirected POST would arrive as a GET, and without its token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	service := influxhttp.NewService(base.String(), "", influxhttp.DefaultOptions().SetHTTPDoer(s))
	writing := write.DefaultOptions().SetPrecision(time.Nanosecond).SetUseGZip(!near(base.Hostname()))
	e := &Exporter{
		options:    options,
		log:        options.Log,
		server:     s,
		writer:     api.NewWriteAPIBlocking(options.Org, options.Bucket, service, writing),
		query:      api.NewQueryAPI(options.Org, service),
		maxRequest: maxRequest,
		held:       make(map[string]*heldPage),
		auditAt:    options.Clock.Now().Add(auditAfter),
		state:      State{WriteFailures: make(map[Reason]uint64), HeldRatio: make(map[string]float64)},
	}
	e.encoder = e.newEncoder()
	for _, reason := range Reasons {
		e.state.WriteFailures[reason] = 0
	}
	return e, nil
}

func (e *Exporter) newEncoder() encoder {
	return encoder{counted: e.options.CountedFrom.Milliseconds(), zone: e.options.Zone, name: e.options.Name}
}

// State returns what the exporter knows about itself now.
func (e *Exporter) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	state := e.state
	state.WriteFailures = maps.Clone(state.WriteFailures)
	state.HeldRatio = maps.Clone(state.HeldRatio)
	return state
}

// update changes the state.
func (e *Exporter) update(change func(*State)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.state)
}

// Run sends what comes into the outbox until ctx ends, then once more what is
// left, for at most five seconds. It returns nil: whatever InfluxDB does, Run
// waits for it to get better.
func (e *Exporter) Run(ctx context.Context) error {
	var failing throttle
	accepted := false
	for {
		wake := e.options.Journal.Wake() // before looking, so that nothing is missed
		wait, err := e.Step(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			wake = nil // new entries are no reason to try earlier
			if n, ok := failing.allow(time.Now()); ok {
				if _, ok := errors.AsType[*Error](err); ok {
					e.log.Warn("InfluxDB does not take the outbox; everything is kept", "err", err, "failures", n, "retry_in", wait, "hint", e.State().Paused)
				} else {
					e.log.Warn("the journal cannot be used, and so nothing is sent to InfluxDB; everything is kept", "err", err, "failures", n, "retry_in", wait)
				}
			}
		} else if n := failing.reset(); n > 0 {
			e.log.Info("the outbox is sent to InfluxDB again", "failures", n)
		}
		if !accepted && !e.State().LastSuccess.IsZero() {
			accepted = true
			e.log.Info("InfluxDB accepts the bucket", "bucket", e.options.Bucket)
		}
		timer := time.NewTimer(e.options.Clock.Real(wait))
		select {
		case <-timer.C:
		case <-wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			break
		}
	}
	if failing.count > 0 {
		return nil // nobody is served by one more failure; the next start sends it
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTry)
	defer cancel()
	if _, err := e.Step(last); err != nil {
		e.log.Info("end before everything was in InfluxDB; the next start sends the rest", "err", err)
	}
	return nil
}

// throttle lets the first of a row of events through and then one in logInterval.
type throttle struct {
	count int // events since the last reset
	last  time.Time
}

// allow counts an event and tells whether to log it, and which one of the row it is.
func (t *throttle) allow(now time.Time) (int, bool) {
	t.count++
	if t.count > 1 && now.Sub(t.last) < logInterval {
		return t.count, false
	}
	t.last = now
	return t.count, true
}

// reset ends the row and returns how long it was.
func (t *throttle) reset() int {
	n := t.count
	*t = throttle{}
	return n
}

// backoff is how long to wait after n failures in a row: 1 s doubling to 60 s,
// less up to a fifth so that several exporters do not come back as one.
func backoff(n int, random float64) time.Duration {
	wait := min(time.Second<<min(n-1, 6), time.Minute)
	return wait - time.Duration(random*float64(wait)/5)
}

// probe is how long to wait after n answers in a row that need somebody: minutes.
func probe(n int) time.Duration { return min(time.Duration(n)*time.Minute, 5*time.Minute) }

// hint says what somebody has to do about an answer, "" if waiting helps.
func (e *Exporter) hint(failure *Error) string {
	switch failure.Reason {
	case Unauthorized:
		const shown = "put one in that it shows under Load Data › API Tokens (it shows a token only when it makes it)"
		if e.options.ReadToken != nil {
			return "InfluxDB does not know the token in the file of INFLUX_TOKEN_FILE, which is read again at every try: run setup again, or " + shown
		}
		return "InfluxDB does not know INFLUX_TOKEN: " + shown
	case Forbidden:
		if e.options.ReadToken != nil {
			return fmt.Sprintf("the token in the file of INFLUX_TOKEN_FILE, which is read again at every try, may not write into bucket %q: run setup again, or put one in that may", e.options.Bucket)
		}
		return fmt.Sprintf("INFLUX_TOKEN may not write into bucket %q: make one that may", e.options.Bucket)
	case NotFound:
		return fmt.Sprintf("see that INFLUX_URL, INFLUX_ORG and INFLUX_BUCKET are right; a missing bucket is made by: %s", e.createCommand())
	case TooLarge, Invalid, Unprocessable:
		return "even a point that is known to be good is refused: see that INFLUX_URL (https or http, host, port, path) is the address of InfluxDB itself"
	default:
		return ""
	}
}
