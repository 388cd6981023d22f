package spotifysim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// answer is what a request gets, and how it comes over the wire.
type answer struct {
	status int
	header http.Header
	body   []byte

	reset bool          // the connection breaks instead
	hang  bool          // nothing comes until the client gives up
	abort bool          // the connection breaks after half of the body
	delay time.Duration // the body takes that long, in pieces
}

// retryAfter adds the header, in whole seconds.
func (a *answer) retryAfter(wait time.Duration) {
	a.header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
}

// pieces returns what is sent of the body; a delay is spread over them.
func (a *answer) pieces() [][]byte {
	body := a.body
	if a.abort {
		body = body[:len(body)/2]
	}
	if a.delay == 0 || len(body) == 0 {
		return [][]byte{body}
	}
	var pieces [][]byte
	for size := (len(body) + 7) / 8; len(body) > 0; {
		n := min(size, len(body))
		pieces, body = append(pieces, body[:n]), body[n:]
	}
	return pieces
}

// answer answers a request to either service.
func (s *Spotify) answer(r *http.Request) answer {
	c := &call{Spotify: s, r: r}
	query, err := queryOf(r)
	if err != nil {
		c.complain("%s %s: %v", r.Method, r.URL.Path, err)
	}
	c.query = query

	s.mu.Lock()
	c.now = s.now()
	for _, u := range s.users {
		u.goOn(c.now.UnixMilli())
	}
	a := c.answer()
	s.mu.Unlock()

	s.fail(c.complaints)
	a.header.Set("Date", c.now.Add(c.skew).UTC().Format(http.TimeFormat))
	return a
}

// ServeHTTP serves the accounts service under /accounts/ and the Web API under /v1/.
func (s *Spotify) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	a := s.answer(r)
	switch {
	case a.hang:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case a.reset:
		reset(w)
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), a.header)
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	pieces := a.pieces()
	for _, piece := range pieces {
		if s.options.Clock.Sleep(r.Context(), a.delay/time.Duration(len(pieces))) != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(piece); err != nil {
			return // the client is gone, or the answer has no body
		}
		if len(pieces) > 1 || a.abort {
			http.NewResponseController(w).Flush()
		}
	}
	if a.abort {
		panic(http.ErrAbortHandler)
	}
}

// reset closes the connection so that the client gets a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // HTTP/2: aborting the stream is all there is
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// Transport returns a way to this Spotify without sockets, as a synctest bubble
// needs it: whatever the host is, the request is answered at once by this
// process, slow bodies and a hanging server by the clock.
func (s *Spotify) Transport() http.RoundTripper { return transport{s} }

type transport struct{ spotify *Spotify }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	served := r.WithContext(ctx) // a copy: parsing the form must not change the client's request
	if r.Body == nil {
		served.Body = http.NoBody
	}
	defer served.Body.Close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.URL.Hostname(), "spotify.com") {
		t.spotify.fail([]string{"a request went to " + r.URL.Hostname() + " instead of the simulator"})
		return nil, fmt.Errorf("no %s in here", r.URL.Hostname())
	}
	a := t.spotify.answer(served)
	switch {
	case a.hang:
		<-ctx.Done()
		return nil, ctx.Err()
	case a.reset:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	response := &http.Response{
		Status:        strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.header,
		ContentLength: int64(len(a.body)),
		Request:       r,
		Body:          http.NoBody,
	}
	if a.status != http.StatusNoContent {
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
		pieces := a.pieces()
		response.Body = &body{
			ctx: ctx, clock: t.spotify.options.Clock, abort: a.abort,
			pieces: pieces, pause: a.delay / time.Duration(len(pieces)),
		}
	}
	return response, nil
}

// body is a response body as it comes over a connection.
type body struct {
	ctx    context.Context
	clock  clock.Clock
	pieces [][]byte
	pause  time.Duration // before each piece
	piece  bytes.Reader
	abort  bool
	closed bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	for b.piece.Len() == 0 {
		if len(b.pieces) == 0 {
			if b.abort {
				return 0, io.ErrUnexpectedEOF
			}
			return 0, io.EOF
		}
		if b.clock.Sleep(b.ctx, b.pause) != nil {
			return 0, b.ctx.Err()
		}
		b.piece.Reset(b.pieces[0])
		b.pieces = b.pieces[1:]
	}
	return b.piece.Read(p)
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.closed = true
	return nil
}
