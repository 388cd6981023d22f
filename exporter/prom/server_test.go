package prom_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

// start serves on a free port until the test ends, and returns the address.
func start(t *testing.T, webConfigFile string) string {
	t.Helper()
	server, err := prom.Listen("127.0.0.1:0", webConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, prom.New(options()).Handler(), nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("the end of the context is no error, but got: %v", err)
		}
		if _, err := net.Dial("tcp", server.Addr().String()); err == nil {
			t.Error("the port is still open")
		}
	})
	return server.Addr().String()
}

func TestServe(t *testing.T) {
	address := start(t, "")
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(body), "\nspotify_up{") {
		t.Errorf("%v: %.200s", err, body)
	}
	for _, own := range []string{"\ngo_goroutines ", "\nprocess_", "\npromhttp_metric_handler_requests_total{"} {
		if !strings.Contains(string(body), own) {
			t.Errorf("no%s", own)
		}
	}
}

// TestServeFinishesWhatItHasBegun ends the server during a scrape.
func TestServeFinishesWhatItHasBegun(t *testing.T) {
	server, err := prom.Listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	begun, goOn := make(chan struct{}), make(chan struct{})
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-goOn
			_, _ = io.WriteString(w, "all of it")
		}), nil)
	}()
	go func() {
		<-begun
		cancel()
		for { // until the end has begun
			connection, err := net.Dial("tcp", server.Addr().String())
			if err != nil {
				break
			}
			_ = connection.Close()
		}
		close(goOn)
	}()
	response, err := http.Get("http://" + server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "all of it" {
		t.Errorf("got %q, %v", body, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	taken := start(t, "")
	_, port, _ := net.SplitHostPort(taken)
	dir := t.TempDir()
	for _, test := range []struct {
		name, address, webConfig string
		want                     []string
	}{
		{"port in use", taken, "", []string{"WEB_LISTEN_ADDRESS", "port " + port + " is in use", "choose another"}},
		{"no port", "localhost", "", []string{"WEB_LISTEN_ADDRESS", `got "localhost"`, prom.DefaultListenAddress}},
		{"no such address", "192.0.2.1:0", "", []string{"WEB_LISTEN_ADDRESS", "192.0.2.1:0"}},
		{"port out of range", ":99999", "", []string{"WEB_LISTEN_ADDRESS", ":99999"}},
		{"web config missing", "127.0.0.1:0", filepath.Join(dir, "none.yml"), []string{"WEB_CONFIG_FILE", "none.yml"}},
		{"web config with a typo", "127.0.0.1:0", write(t, "tls_config: {}\n"), []string{"WEB_CONFIG_FILE", "tls_config"}},
		{"web config without a certificate", "127.0.0.1:0", write(t, "tls_server_config: {cert_file: nowhere.pem, key_file: nowhere.pem}\n"), []string{"WEB_CONFIG_FILE", "nowhere.pem"}},
	} {
		server, err := prom.Listen(test.address, test.webConfig)
		if err == nil {
			_ = server.Close()
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in: %v", test.name, want, err)
			}
		}
	}
}

func write(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// certificate returns lines of a web config file with a new certificate.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"music.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "tls_server_config:\n  cert_file: " + certFile + "\n  key_file: " + keyFile + "\n"
}

func users(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("swordfish"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "basic_auth_users:\n  prometheus: " + string(hash) + "\n"
}

func TestTLSAndPassword(t *testing.T) {
	address := start(t, write(t, certificate(t)+users(t)))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for password, want := range map[string]int{"swordfish": 200, "tuna": 401, "": 401} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			request.SetBasicAuth("prometheus", password)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("password %q: %d, want %d", password, response.StatusCode, want)
		}
	}
}
