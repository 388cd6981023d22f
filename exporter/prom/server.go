package prom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// DefaultListenAddress is where the exporter listens unless told otherwise. The
// list of Prometheus' default port allocations had all of 9100 to 9999 taken in
// June 2023 and had come to 10019 a year later; 10178 is well above where that
// pace leads, and no port of IANA, Zabbix (10050) or Kubernetes (10248-10259).
// It is for this machine alone: /metrics and the status page tell what plays.
const DefaultListenAddress = "127.0.0.1:10178"

// shutdownTimeout is how long a scrape in progress may take after the end.
const shutdownTimeout = 3 * time.Second

// Server is a bound address that is not served yet.
type Server struct {
	listener      net.Listener
	webConfigFile string
}

// Listen binds address ("host:port" or ":port", port 0 for any free one) and
// checks webConfigFile, the exporter toolkit's file for TLS and basic auth; ""
// for neither. From then on clients can connect; Serve answers them.
func Listen(address, webConfigFile string) (*Server, error) {
	if err := web.Validate(webConfigFile); err != nil {
		return nil, fmt.Errorf("WEB_CONFIG_FILE: %s: %w", webConfigFile, err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("WEB_LISTEN_ADDRESS: must be host:port or :port, like %s (got %q)", DefaultListenAddress, address)
	}
	listener, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("WEB_LISTEN_ADDRESS: port %s is in use by another program (got %q); stop that one or choose another port: %w", port, address, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("WEB_LISTEN_ADDRESS: port %s needs privileges (got %q); choose one above 1023: %w", port, address, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("WEB_LISTEN_ADDRESS: this machine does not have the address now (got %q); see whether its network is up, or leave the host out to listen on all: %w", address, err)
	case err != nil:
		return nil, fmt.Errorf("WEB_LISTEN_ADDRESS: cannot listen on %q: %w", address, err)
	}
	return &Server{listener: listener, webConfigFile: webConfigFile}, nil
}

// Addr returns the address that is bound.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// OnLoopback reports whether only this machine can reach the address.
func (s *Server) OnLoopback() bool {
	address, ok := s.listener.Addr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}

// Serve serves handler until ctx ends, then lets requests in progress finish and
// returns nil. It can be called once. log (nil discards) gets what the toolkit
// tells and, at debug level, what clients do wrong.
func (s *Server) Serve(ctx context.Context, handler http.Handler, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      scrapeTimeout + 20*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() {
		served <- web.Serve(s.listener, server, &web.FlagConfig{WebConfigFile: &s.webConfigFile}, log)
	}()
	select {
	case err := <-served:
		_ = s.listener.Close() // the toolkit leaves it open when the file has become invalid
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close() // of the clients that would not end
	}
	<-served
	return nil
}

// Close gives the address back without having served.
func (s *Server) Close() error { return s.listener.Close() }
