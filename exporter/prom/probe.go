package prom

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// probeTimeout is shorter than the 30 s after which Docker gives up.
const probeTimeout = 5 * time.Second

// Probe asks /-/healthy of the exporter that listens on address, for containers
// that have no shell and no curl. As for net.Dial, no host and 0.0.0.0 mean this
// machine. It needs no web config file: whether there is TLS shows at the first
// try, and a server that asks for a password, a client's certificate or patience
// serves.
func Probe(ctx context.Context, address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("WEB_LISTEN_ADDRESS: must be host:port or :port, like %s (got %q)", DefaultListenAddress, address)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		// This machine asks itself, by an address that no certificate names.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	status, err := probe(ctx, client, "http://"+address)
	if status == http.StatusBadRequest { // Go's answer to plain HTTP on a TLS port
		status, err = probe(ctx, client, "https://"+address)
	}
	switch {
	case demandsCertificate(err):
		return nil
	case err != nil:
		return fmt.Errorf("ask %s for its health: %w", address, err)
	case status == http.StatusOK, status == http.StatusUnauthorized, status == http.StatusTooManyRequests:
		return nil
	}
	return fmt.Errorf("ask %s for its health: %d %s", address, status, http.StatusText(status))
}

func probe(ctx context.Context, client *http.Client, base string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/-/healthy", nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 4096))
	return response.StatusCode, err
}

// demandsCertificate tells whether err is the server's alert for a client
// without a certificate.
func demandsCertificate(err error) bool {
	alert, ok := errors.AsType[*net.OpError](err)
	return ok && alert.Op == "remote error"
}
