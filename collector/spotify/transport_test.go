package spotify_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// Everything over real HTTP once, with the transport that an App makes itself.
func TestOwnTransport(t *testing.T) {
	var agents []string
	mux := http.NewServeMux()
	mux.HandleFunc("POST /accounts/api/token", func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"ACCESS2","token_type":"Bearer","expires_in":3600}`)
	})
	mux.HandleFunc("GET /v1/me/player", func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /v1/me/player/recently-played", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" || r.URL.RawQuery != "limit=50" {
			t.Errorf("%s, accepting %q", r.URL, r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		zip.Write(fullPage())
		zip.Close()
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	app := newApp(t, nil, func(o *spotify.Options) {
		o.APIURL, o.AccountsURL = server.URL+"/v1/", server.URL+"/accounts/"
		o.UserAgent = ""
	})
	account := app.Account(newTokens(t, -time.Hour), "me")
	if p, err := account.Player(t.Context()); err != nil || p.Active || p.RoundTrip <= 0 {
		t.Errorf("got %+v, %v", p, err)
	}
	page, err := account.RecentlyPlayed(t.Context(), 0)
	if err != nil || len(page.Plays) != 50 {
		t.Errorf("%d plays, %v", len(page.Plays), err)
	}
	if again, err := account.RecentlyPlayed(t.Context(), page.Digest); err != nil || !again.Unchanged {
		t.Errorf("got %+v, %v", again, err)
	}
	if len(agents) != 2 || agents[0] != "spotify-exporter" || agents[1] != "spotify-exporter" {
		t.Errorf("user agents %q", agents)
	}

	server.Close()
	if _, err := account.Player(t.Context()); spotify.ReasonOf(err) != spotify.ReasonNetwork {
		t.Errorf("a server that is gone: %v", err)
	}
}

// TestAConnectionThatHasDied: what is sent over it arrives nowhere, and nobody says
// so. It costs one request.
func TestAConnectionThatHasDied(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	listener := &mortalListener{Listener: server.Listener}
	server.Listener = listener
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()

	transport := spotify.NewTransport()
	defer transport.CloseIdleConnections()
	transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
	transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	app := newApp(t, transport, func(o *spotify.Options) { o.APIURL = server.URL + "/v1/" })
	account := app.Account(newTokens(t, time.Hour), "me")
	if _, err := account.Player(t.Context()); err != nil {
		t.Fatal(err)
	}
	listener.deaf.Store(listener.accepted.Load())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := account.Player(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the first request: %v", err)
	}
	if _, err := account.Player(t.Context()); err != nil {
		t.Errorf("the second request: %v", err)
	}
}

// mortalListener accepts connections the first of which can go deaf.
type mortalListener struct {
	net.Listener
	accepted, deaf atomic.Int32
}

func (l *mortalListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &mortalConn{conn, l, l.accepted.Add(1)}, err
}

type mortalConn struct {
	net.Conn
	listener *mortalListener
	number   int32
}

func (c *mortalConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || c.number > c.listener.deaf.Load() {
			return n, err
		}
	}
}
