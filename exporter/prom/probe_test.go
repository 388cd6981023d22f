package prom_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

func TestProbe(t *testing.T) {
	tlsConfig := certificate(t)
	for name, webConfig := range map[string]string{
		"plain":                  "",
		"TLS":                    write(t, tlsConfig),
		"password":               write(t, users(t)),
		"TLS and password":       write(t, tlsConfig+users(t)),
		"one request an hour":    write(t, "rate_limit: {burst: 1, interval: 1h}\n"),
		"certificates of people": write(t, tlsConfig+"  client_auth_type: RequireAnyClientCert\n"),
	} {
		t.Run(name, func(t *testing.T) {
			address := start(t, webConfig)
			if err := prom.Probe(t.Context(), address); err != nil {
				t.Error(err)
			}
			_, port, _ := net.SplitHostPort(address)
			for _, all := range []string{":" + port, "0.0.0.0:" + port} {
				if err := prom.Probe(t.Context(), all); err != nil {
					t.Errorf("%s means loopback too: %v", all, err)
				}
			}
		})
	}
}

func TestProbeThatFails(t *testing.T) {
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	gone, err := prom.Listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	silent, err := prom.Listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	for _, test := range []struct {
		name    string
		ctx     context.Context
		address string
	}{
		{"another program", t.Context(), stranger.Listener.Addr().String()},
		{"nobody", t.Context(), gone.Addr().String()},
		{"no answer in time", ended, silent.Addr().String()},
		{"no address", t.Context(), "10178"},
	} {
		if err := prom.Probe(test.ctx, test.address); err == nil {
			t.Errorf("%s: healthy", test.name)
		}
	}
}
