package grafana

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options are what a Publisher is made of.
type Options struct {
	// URL is Grafana's address with scheme (GRAFANA_URL), PublicURL the one that
	// visitors see; "": the same.
	URL, PublicURL string
	// Token is of a service account with the role Editor. ReadToken reads it from where it is from; nil: it cannot change.
	// It is called while there is no token, and when Grafana refuses the one that there is: setup makes it when Grafana
	// runs.
	Token     string
	ReadToken func() (string, error)
	// Dashboard is the uid of the board (SNAPSHOT_DASHBOARD).
	Dashboard string
	// Account is whose listening is published (SNAPSHOT_ACCOUNT), the value of the board's
	// variable "account"; "": the only one's.
	Account string
	// Delay is how much of the last hours is left out (SNAPSHOT_DELAY), Interval how
	// often Run publishes; 0: never.
	Delay, Interval time.Duration
	// Force publishes although Grafana lacks a security fix, for which it is refused
	// otherwise.
	Force bool
	// Dir is the folder for the keys, which has to be there.
	Dir string
	// Location is where days begin on a board that has no time zone.
	Location *time.Location
	// Private returns what must not be published; it is asked before each snapshot.
	Private func(context.Context) (Private, error)

	Base      http.RoundTripper // makes the requests; nil: http.DefaultTransport
	UserAgent string
	Log       *slog.Logger // nil: discard
}

// State is what a Publisher knows about itself at one moment, for metrics. A State
// is a copy.
type State struct {
	// Published is the last success, also of another process; nil: there was none.
	Published *Published
	Failures  map[Reason]uint64 // all reasons are present
}

// Publisher keeps one snapshot of one board fresh, under a link that stays.
type Publisher struct {
	options Options
	client  *client
	public  *client // as visitors come
	log     *slog.Logger

	mu    sync.Mutex
	state State
}

// New checks the options and returns a Publisher that has done nothing yet.
func New(options Options) (*Publisher, error) {
	base, err := serverURL("GRAFANA_URL", options.URL)
	if err != nil {
		return nil, err
	}
	public, err := serverURL("GRAFANA_PUBLIC_URL", cmp.Or(options.PublicURL, options.URL))
	if err != nil {
		return nil, err
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Private == nil {
		options.Private = func(context.Context) (Private, error) { return Private{}, nil }
	}
	if options.Location == nil {
		options.Location = time.UTC
	}
	p := &Publisher{
		options: options,
		client:  newClient(base, options.Token, options.UserAgent, options.Base),
		public:  newClient(public, "", options.UserAgent, options.Base),
		log:     options.Log,
		state:   State{Failures: make(map[Reason]uint64)},
	}
	p.client.readToken = options.ReadToken
	for _, reason := range Reasons {
		p.state.Failures[reason] = 0
	}
	return p, nil
}

func serverURL(name, text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("%s: must be an address such as http://grafana:3000", name)
	}
	return &url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.JoinPath("/").Path}, nil
}

// State returns what the publisher knows about itself now.
func (p *Publisher) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	state := p.state
	state.Failures = maps.Clone(state.Failures)
	return state
}

// Link is the address of the snapshot for visitors. It makes the keys if there are
// none yet, and never changes after that.
func (p *Publisher) Link() (string, error) {
	k, err := loadKeys(p.options.Dir)
	if err != nil {
		return "", err
	}
	return p.public.base.JoinPath("dashboard/snapshot", k.Key).String(), nil
}

// Embedding is a link that shows nothing of Grafana but the panels, and an iframe
// with it.
func (p *Publisher) Embedding() (kiosk, iframe string, err error) {
	link, err := p.Link()
	if err != nil {
		return "", "", err
	}
	kiosk = link + "?kiosk"
	return kiosk, fmt.Sprintf(`<iframe src="%s" width="100%%" height="1200" frameborder="0" loading="lazy" title="Spotify listening"></iframe>`, html.EscapeString(kiosk)), nil
}

// PanelSummary is what of one panel a Draft has.
type PanelSummary struct {
	Title, Type string
	Rows        int
	Fields      []string // "artist", "hours", each once
}

// Draft is a snapshot that has been computed and not been sent.
type Draft struct {
	Title      string // of the board
	Panels     []PanelSummary
	Violations []Violation // for any of these it is never sent
	Masked     int         // titles in which something was masked

	body    body
	version string // of the board
	rows    []int  // by panel, as sent
}

// JSON is the body as it would be posted, but for the keys, indented for reading.
func (d *Draft) JSON() ([]byte, error) {
	encoded, err := json.MarshalIndent(d.body, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	return append(encoded, '\n'), nil
}

// Draft reads the board and computes its snapshot, and changes nothing.
func (p *Publisher) Draft(ctx context.Context) (*Draft, error) {
	board, err := p.client.board(ctx, p.options.Dashboard)
	if err != nil {
		return nil, err
	}
	private, err := p.options.Private(ctx)
	if err != nil {
		return nil, &Error{Reason: Local, Text: "find out what is private", Err: err}
	}
	private.Secrets = append(private.Secrets, p.client.token)
	b, err := open(ctx, p.client, board, &p.options, time.Now())
	if err != nil {
		return nil, err
	}
	computed, err := b.panels(ctx, board["panels"])
	if err != nil {
		return nil, err
	}
	g, err := newGate(private, b.scope.Range.Location)
	if err != nil {
		return nil, err
	}
	g.check(every(computed))
	dashboard, err := b.freeze(board, computed)
	if err != nil {
		return nil, err
	}
	g.snapshot(dashboard)

	d := &Draft{Violations: g.violations, Masked: g.masked, version: fmt.Sprint(board["version"])}
	d.Title, _ = dashboard["title"].(string)
	d.body = body{Dashboard: dashboard, Name: d.Title}
	for _, p := range every(computed) {
		if len(p.frames) > 0 {
			d.Panels = append(d.Panels, summary(p))
			d.rows = append(d.rows, d.Panels[len(d.Panels)-1].Rows)
		}
	}
	return d, nil
}

func summary(p *panel) PanelSummary {
	s := PanelSummary{Title: p.name(), Type: p.kind}
	seen := make(map[string]bool)
	for i := range p.frames {
		s.Rows += p.frames[i].rows()
		for _, f := range p.frames[i].Schema.Fields {
			if !seen[f.Name] {
				seen[f.Name] = true
				s.Fields = append(s.Fields, f.Name)
			}
		}
	}
	return s
}

const (
	// postTimeout is how long it may take, stopping the program included, until
	// visitors get something again.
	postTimeout = time.Minute
	// postTries is how often a body is posted before that is given up for now.
	postTries = 6
	// edits is how often a board that changes under our hands is read again.
	edits = 3
)

// Publish refreshes the snapshot: all is computed and found good before the old one
// is deleted and the new one posted. If that fails, the old one is put back; if
// the process ends in between, the next Publish begins with putting up the new one.
// Its error is an *Error, or that of ctx.
func (p *Publisher) Publish(ctx context.Context) (*Published, error) {
	started := time.Now()
	unlock, err := lock(p.options.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	k, err := loadKeys(p.options.Dir)
	if err != nil {
		return nil, err
	}
	version, err := p.client.version(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.safe(version); err != nil {
		return nil, err
	}
	if err := p.resume(ctx, k); err != nil {
		return nil, err
	}
	draft, err := p.Draft(ctx)
	for range edits {
		if err != nil {
			return nil, err
		}
		board, again := p.client.board(ctx, p.options.Dashboard)
		if again != nil {
			return nil, again
		}
		if fmt.Sprint(board["version"]) == draft.version {
			break
		}
		draft, err = p.Draft(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(draft.Violations) > 0 {
		return nil, private(draft.Violations)
	}
	draft.body.Key, draft.body.DeleteKey = k.Key, k.DeleteKey
	encoded, err := json.Marshal(draft.body)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot: %w", err)
	}
	gap, err := p.replace(ctx, k, draft)
	if err != nil {
		return nil, err
	}
	k.Published = &Published{
		At: time.Now().UTC().Truncate(time.Millisecond), Duration: time.Since(started),
		Size: len(encoded), Panels: len(draft.Panels), Gap: gap,
	}
	return k.Published, k.save(p.options.Dir)
}

// errTooSlow is that Grafana did not get done with deleting and posting in time.
var errTooSlow = failure(Network, "Grafana did not take the snapshot within %s", postTimeout)

// private is the error of violations.
func private(violations []Violation) error {
	const most = 5
	var texts []string
	for _, v := range violations[:min(most, len(violations))] {
		texts = append(texts, v.String())
	}
	if more := len(violations) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more, see spotify-exporter snapshot --dry-run", more))
	}
	return failure(Privacy, "nothing was published, to keep private: %s", strings.Join(texts, "; "))
}

// replace puts a draft where the old snapshot is, and returns for how long visitors
// got nothing. The body is kept in a file in the meantime.
func (p *Publisher) replace(ctx context.Context, k keys, draft *Draft) (gap time.Duration, err error) {
	old, err := p.client.visitor().snapshot(ctx, k.Key)
	if err != nil {
		return 0, err
	}
	if err := writeFile(p.options.Dir, nextName, draft.body); err != nil {
		return 0, &Error{Reason: Local, Text: "keep the snapshot while it is published", Err: err}
	}
	// Whoever stops the program now must not leave visitors with nothing.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), postTimeout, errTooSlow)
	defer cancel()
	deleted := time.Now()
	if err := p.client.remove(ctx, k); err != nil {
		if !temporary(err) {
			return 0, errors.Join(err, removeNext(p.options.Dir)) // nothing has happened
		}
		return 0, err
	}
	err = p.put(ctx, k, draft.body)
	gap = time.Since(deleted)
	if err == nil {
		err = p.verify(ctx, k, draft)
	}
	if err == nil {
		return gap, removeNext(p.options.Dir)
	}
	if temporary(err) {
		return 0, err // the file stays: the next try begins with it
	}
	if old == nil {
		return 0, errors.Join(err, removeNext(p.options.Dir))
	}
	delete(old, "snapshot") // Grafana adds where it is from
	if restored := p.restore(ctx, k, body{Dashboard: old, Name: draft.body.Name, Key: k.Key, DeleteKey: k.DeleteKey}); restored != nil {
		p.log.Error("the old snapshot cannot be put back, visitors get nothing", "err", restored)
	}
	return 0, err
}

// restore puts a body in the place of one that was not taken, or not seen as it was
// posted. If that does not work now, the next try begins with it.
func (p *Publisher) restore(ctx context.Context, k keys, old body) error {
	if err := writeFile(p.options.Dir, nextName, old); err != nil {
		return err
	}
	if err := p.client.remove(ctx, k); err != nil {
		return err
	}
	if err := p.put(ctx, k, old); err != nil {
		return err
	}
	return removeNext(p.options.Dir)
}

// put posts a body until Grafana has it, or says that it will not.
func (p *Publisher) put(ctx context.Context, k keys, b body) error {
	for try := 1; ; try++ {
		err := p.client.post(ctx, b)
		if err == nil || !temporary(err) || try == postTries {
			return err
		}
		select {
		case <-time.After(time.Second << (try - 1)):
		case <-ctx.Done():
			return err
		}
		// A post without an answer may have arrived. Then the same key again is an error of Grafana's database: 500.
		if there, err := p.client.visitor().snapshot(ctx, k.Key); err == nil && there != nil {
			return nil
		}
	}
}

// verify compares what a visitor gets with what was posted: panels and rows.
func (p *Publisher) verify(ctx context.Context, k keys, draft *Draft) error {
	dashboard, err := p.client.visitor().snapshot(ctx, k.Key)
	if err != nil {
		return err
	}
	if dashboard == nil {
		return failure(Unseen, "Grafana took the snapshot, but visitors do not get it")
	}
	var got struct {
		Panels []json.RawMessage `json:"panels"`
	}
	encoded, err := json.Marshal(dashboard)
	if err == nil {
		err = json.Unmarshal(encoded, &got)
	}
	var rows []int
	if err == nil {
		rows, err = rowsOf(got.Panels)
	}
	if err != nil || fmt.Sprint(rows) != fmt.Sprint(draft.rows) {
		return failure(Unseen, "visitors get another snapshot than was posted: %d panels with %v rows, and not %d with %v", len(rows), rows, len(draft.rows), draft.rows)
	}
	return nil
}

// rowsOf counts the rows of panels that have data, in their order.
func rowsOf(panels []json.RawMessage) ([]int, error) {
	var counts []int
	for _, encoded := range panels {
		var p struct {
			Panels  []json.RawMessage `json:"panels"`
			Targets []struct {
				Snapshot []frame `json:"snapshot"`
			} `json:"targets"`
		}
		if err := json.Unmarshal(encoded, &p); err != nil {
			return nil, err
		}
		for _, target := range p.Targets {
			rows := 0
			for i := range target.Snapshot {
				rows += target.Snapshot[i].rows()
			}
			if len(target.Snapshot) > 0 {
				counts = append(counts, rows)
			}
		}
		inside, err := rowsOf(p.Panels)
		if err != nil {
			return nil, err
		}
		counts = append(counts, inside...)
	}
	return counts, nil
}

// resume puts up the body that was about to be published when a process ended or
// Grafana went away, if visitors get nothing.
func (p *Publisher) resume(ctx context.Context, k keys) error {
	next, err := loadNext(p.options.Dir)
	if err != nil || next == nil {
		return err
	}
	there, err := p.client.visitor().snapshot(ctx, k.Key)
	if err != nil {
		return err
	}
	if there == nil {
		next.Key, next.DeleteKey = k.Key, k.DeleteKey
		switch err := p.put(ctx, k, *next); {
		case err == nil:
			p.log.Info("the snapshot that was about to be published is up")
		case temporary(err) || ctx.Err() != nil:
			return err
		default: // a fresh one may be taken
			p.log.Warn("the snapshot that was about to be published is not taken", "err", err)
		}
	}
	return removeNext(p.options.Dir)
}

// temporary tells whether the same may work later without anybody's help.
func temporary(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.temporary()
}

// Check tries what publishing needs, without publishing: the server and its version,
// the board, and whether the token may. It returns what is found in words.
func (p *Publisher) Check(ctx context.Context) (string, error) {
	version, err := p.client.version(ctx)
	if err != nil {
		return "", err
	}
	if err := p.safe(version); err != nil {
		return "", err
	}
	board, err := p.client.board(ctx, p.options.Dashboard)
	if err != nil {
		return "", err
	}
	if err := p.client.mayPublish(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("Grafana %s has the board %q and GRAFANA_TOKEN may publish it", cmp.Or(version, "(version hidden)"), board["title"]), nil
}

// Visible tells whether visitors get the snapshot at its public address.
func (p *Publisher) Visible(ctx context.Context) error {
	k, err := loadKeys(p.options.Dir)
	if err != nil {
		return err
	}
	dashboard, err := p.public.snapshot(ctx, k.Key)
	if err == nil && dashboard == nil {
		err = failure(Unseen, "%s has no such snapshot", p.public.base)
	}
	return err
}

const (
	// lookInterval is how often the keys are looked at: the snapshot command
	// publishes too.
	lookInterval = time.Minute
	// firstRetry doubles with every failure up to lastRetry.
	firstRetry = 30 * time.Second
	lastRetry  = 15 * time.Minute
)

// Run publishes every Interval, and at once if the last time is longer ago, until
// ctx ends. It returns nil: whatever fails is logged, counted and tried again.
func (p *Publisher) Run(ctx context.Context) error {
	if p.options.Interval == 0 {
		return nil
	}
	for failures := 0; ; {
		wait := min(p.untilDue(), lookInterval)
		if wait <= 0 {
			published, err := p.Publish(ctx)
			switch {
			case err == nil:
				failures, wait = 0, lookInterval
				p.succeeded(published)
				p.log.Info("snapshot published", "panels", published.Panels, "bytes", published.Size, "took", published.Duration, "gap", published.Gap)
				if err := p.Visible(ctx); err != nil && ctx.Err() == nil {
					p.log.Warn("the snapshot cannot be seen at its public address", "err", err, "hint", "see GRAFANA_PUBLIC_URL and the proxy there; some networks do not reach their own public address")
				}
			case ctx.Err() == nil:
				failures++
				wait = min(firstRetry<<min(failures-1, 10), lastRetry)
				p.failed(err)
				p.log.Warn("the snapshot was not published, the old one stays", "err", err, "failures", failures, "retry_in", wait)
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// untilDue is how long until the snapshot has to be refreshed, after a look at what
// other processes have done.
func (p *Publisher) untilDue() time.Duration {
	k, err := loadKeys(p.options.Dir)
	next, nextErr := loadNext(p.options.Dir)
	if err != nil || nextErr != nil || next != nil || k.Published == nil {
		return 0 // Publish says what is wrong
	}
	wait := time.Until(k.Published.At.Add(p.options.Interval))
	if wait > p.options.Interval {
		return 0 // that was a clock that went ahead
	}
	p.succeeded(k.Published)
	return wait
}

func (p *Publisher) succeeded(published *Published) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Published = published
}

func (p *Publisher) failed(err error) {
	reason := Local
	if failed, ok := errors.AsType[*Error](err); ok {
		reason = failed.Reason
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Failures[reason]++
}
