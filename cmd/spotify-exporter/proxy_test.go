package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// snapshotKey is one as the publisher makes it.
const snapshotKey = "5f1c09a7be3d42688e90d4b7a61f2c3e"

// grafanaPolicy is how the policy begins that Grafana sends with
// content_security_policy = true.
const grafanaPolicy = "script-src 'self' 'unsafe-eval' 'unsafe-inline' 'strict-dynamic' 'nonce-dGVzdA==';object-src 'none';base-uri 'self'"

// visitorsHeaders are headers by which somebody could be taken for somebody else,
// and some of an ordinary browser. None may reach Grafana.
var visitorsHeaders = http.Header{
	"Cookie": {"grafana_session=mine"}, "Authorization": {"Bearer mine"}, "Proxy-Authorization": {"Basic mine"},
	"X-Webauth-User": {"admin"}, "X-Jwt-Assertion": {"mine"}, "X-Grafana-Org-Id": {"1"}, "X-Dashboard-Uid": {"x"},
	"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-User": {"admin"}, "X-Real-Ip": {"127.0.0.1"}, "X-Auth-Request-Email": {"admin@localhost"},
	"Remote-User": {"admin"}, "Remote-Groups": {"admins"}, "Remote-Email": {"admin@localhost"}, "Remote-Name": {"admin"},
	"Forwarded": {"for=127.0.0.1;host=localhost"}, "Cf-Access-Jwt-Assertion": {"mine"}, "Cf-Connecting-Ip": {"127.0.0.1"},
	"Cf-Access-Authenticated-User-Email": {"admin@localhost"}, "Tailscale-User-Login": {"admin@localhost"}, "Tailscale-User-Name": {"admin"},
	"True-Client-Ip": {"127.0.0.1"}, "Ssl-Client-Verify": {"SUCCESS"}, "Oidc_claim_sub": {"admin"}, "Referer": {"https://www.example.org/"},
	"User-Agent": {"a browser"}, "Accept-Language": {"en"}, "Some-Header-Of-Tomorrow": {"admin"},
}

// grafanaMayGet are the headers that Grafana may get: they say nothing of who the
// visitor is. User-Agent is that of the proxy.
var grafanaMayGet = []string{"Accept-Encoding", "Connection", "If-Modified-Since", "If-None-Match", "User-Agent", "Via"}

// grafanaDouble answers everything, and notes what it was asked.
type grafanaDouble struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
}

func newGrafanaDouble(t *testing.T) *grafanaDouble {
	g := &grafanaDouble{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.asked = append(g.asked, r)
		w.Header().Set("X-Frame-Options", "deny")
		w.Header().Set("Content-Security-Policy", grafanaPolicy)
		w.Header().Set("Set-Cookie", "grafana_session=secret")
		io.WriteString(w, strings.Repeat("from Grafana ", 100))
	}))
	t.Cleanup(g.Close)
	return g
}

// take returns what was asked since the last time.
func (g *grafanaDouble) take() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = nil
	return asked
}

// recipe returns a file of deploy/proxy as its reader would change it.
func recipe(t *testing.T, name string, replace ...string) string {
	t.Helper()
	text := readText(t, deploy("proxy", name))
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%s does not have %q", name, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return text
}

// startProxy runs a proxy until the test ends, and returns when it listens.
func startProxy(t *testing.T, address, name string, args ...string) {
	t.Helper()
	var out output
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+cmd.Dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	t.Cleanup(func() { <-ended }) // after t.Context has been cancelled
	eventually(t, 20*time.Second, name+" listens", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s: %s", name, out.String())
		default:
		}
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
		}
		return err == nil
	})
}

func TestNginxShowsNothingButTheSnapshot(t *testing.T) {
	needTool(t, "nginx", "apt-get install nginx")
	grafana, address, dir := newGrafanaDouble(t), freeAddress(t), t.TempDir()
	for name, content := range map[string]string{
		"site.conf": recipe(t, "nginx.conf", "SNAPSHOT_KEY", snapshotKey, "127.0.0.1:3000", grafana.Listener.Addr().String(), "listen 80", "listen "+address),
		"nginx.conf": "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}\n" +
			"http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi; include site.conf; }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	startProxy(t, address, "nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	showsNothingButTheSnapshot(t, address, grafana)
}

func TestCaddyShowsNothingButTheSnapshot(t *testing.T) {
	needTool(t, "caddy", "apt-get install caddy")
	grafana, address, file := newGrafanaDouble(t), freeAddress(t), filepath.Join(t.TempDir(), "Caddyfile")
	text := "{\n\tadmin off\n}\n" + recipe(t, "Caddyfile", "SNAPSHOT_KEY", snapshotKey, "127.0.0.1:3000", grafana.Listener.Addr().String(), "listening.example.org", "http://"+address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startProxy(t, address, "caddy", "run", "--config", file, "--adapter", "caddyfile")
	showsNothingButTheSnapshot(t, address, grafana)
	// Grafana does not learn what the visitor's browser can unpack: Caddy packs by itself.
	if response := askRaw(t, address, http.MethodGet, "/api/snapshots/"+snapshotKey); !response.Uncompressed {
		t.Errorf("not compressed: %v", response.Header)
	}
}

// askRaw makes a request whose path is sent as it is written.
func askRaw(t *testing.T, address, method, path string) *http.Response {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	request := (&http.Request{
		Method: method,
		URL:    &url.URL{Scheme: "http", Host: address, Opaque: path, RawQuery: query},
		Header: visitorsHeaders.Clone(),
	}).WithContext(t.Context())
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	response.Body.Close()
	return response
}

func showsNothingButTheSnapshot(t *testing.T, address string, grafana *grafanaDouble) {
	t.Helper()
	for _, path := range []string{
		"/dashboard/snapshot/" + snapshotKey, "/dashboard/snapshot/" + snapshotKey + "?kiosk&theme=light", "/api/snapshots/" + snapshotKey,
		"/public/build/runtime.d3b2e1c0a9.js", "/public/img/fav32.png", "/public/locales/en-US/grafana.json?v=1",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			response := askRaw(t, address, method, path)
			asked := grafana.take()
			if response.StatusCode != http.StatusOK || len(asked) != 1 || asked[0].RequestURI != path {
				t.Errorf("%s %s: %s, Grafana is asked for %v", method, path, response.Status, asked)
				continue
			}
			for name, values := range asked[0].Header {
				if !slices.Contains(grafanaMayGet, name) || slices.Equal(values, visitorsHeaders[name]) {
					t.Errorf("%s %s: Grafana gets the visitor's %s: %q", method, path, name, values)
				}
			}
			header := response.Header
			policies := header.Values("Content-Security-Policy")
			slices.Sort(policies) // browsers apply all of them, in whatever order
			if header.Get("X-Frame-Options") != "" || header.Get("Set-Cookie") != "" || !slices.Equal(policies, []string{"frame-ancestors 'none'", grafanaPolicy}) {
				t.Errorf("%s %s: headers %v", method, path, header)
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			if response := askRaw(t, address, method, path); response.StatusCode < 400 {
				t.Errorf("%s %s: %s", method, path, response.Status)
			}
		}
	}
	for _, path := range []string{
		"/login", "/logout", "/d/spotify-public", "/dashboards", "/explore", "/api/snapshots", "/api/snapshots/", "/api/snapshots/another",
		"/api/snapshots-delete/" + snapshotKey, "/api/snapshots/" + snapshotKey + "/", "/api/dashboard/snapshots", "/dashboard/snapshot/another",
		"/dashboard-solo/snapshot/" + snapshotKey, "/api/org", "/api/search", "/api/health", "/api/frontend/settings", "/api/ds/query", "/apis/dashboard.grafana.app/v0alpha1/",
		"/metrics", "/swagger", "/avatar/x", "/public-dashboards/x", "/public", "/publicity",
		"/public/../api/org", "/public/%2e%2e/api/org", "/public/..%2fapi/org", "/public/%2e%2e%2fapi%2forg", "/public/build/..%2f..%2fapi/org", "/%2fapi/org",
		"/api/snapshots/" + snapshotKey + "/../../org", "/api/snapshots/" + snapshotKey + "%2f..%2f..%2forg", "/public//../api/org", "/public/..;/api/org?x=/public/y",
	} {
		response := askRaw(t, address, http.MethodGet, path)
		for _, asked := range grafana.take() {
			t.Errorf("GET %s: %s, Grafana is asked for %s", path, response.Status, asked.RequestURI)
		}
		if response.StatusCode < 300 {
			t.Errorf("GET %s: %s", path, response.Status)
		}
	}
	response := askRaw(t, address, http.MethodGet, "/")
	if to := response.Header.Get("Location"); response.StatusCode != http.StatusFound || to != "/dashboard/snapshot/"+snapshotKey+"?kiosk" {
		t.Errorf("GET /: %s to %s", response.Status, to)
	}
	if asked := grafana.take(); len(asked) > 0 {
		t.Errorf("Grafana was asked for %v", asked)
	}
}
