package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// simulate serves a Spotify over HTTP and configures the program for it. The
// Spotify fails the test for every bad manner.
func simulate(t testing.TB, clk clock.Clock, vars map[string]string) *spotifysim.Spotify {
	t.Helper()
	return serveSpotify(t, spotifysim.Options{Clock: clk, Fail: t.Errorf}, vars)
}

func serveSpotify(t testing.TB, options spotifysim.Options, vars map[string]string) *spotifysim.Spotify {
	t.Helper()
	options.ClientID = "client"
	sim := spotifysim.New(options)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	setEnvironment(t, vars)
	api, accounts := spotifysim.URLs(server.URL)
	t.Setenv("SPOTIFY_CLIENT_ID", options.ClientID)
	t.Setenv("SPOTIFY_API_URL", api)
	t.Setenv("SPOTIFY_ACCOUNTS_URL", accounts)
	return sim
}

// logIn gives the program the login of a simulated listener.
func logIn(t testing.TB, alias string, listener *spotifysim.User) {
	t.Helper()
	c, err := loadConfig(needsClient)
	if err != nil {
		t.Fatal(err)
	}
	if err := simulateLogin(&c, alias, listener); err != nil {
		t.Fatal(err)
	}
}

var printedURL = regexp.MustCompile(`http://\S+/authorize\?\S+`)

// freeAddress returns an address of this machine that was free a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// startLogin runs login until it has printed where to log in, which it returns
// with the way to paste and the wait for its end.
func startLogin(t *testing.T, clk clock.Clock, exit int, args ...string) (address string, paste io.Writer, wait func() string) {
	t.Helper()
	t.Setenv("LOGIN_ADDRESS", freeAddress(t))
	in, paste := io.Pipe()
	var out, errs output
	ended := make(chan int, 1)
	p := &program{stdin: in, stdout: &out, stderr: &errs, clock: clk}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); in.Close() })
	go func() { ended <- p.run(ctx, append([]string{"login"}, args...)) }()
	eventually(t, 10*time.Second, "the address to log in at", func() bool {
		address = printedURL.FindString(errs.String())
		return address != "" || len(ended) > 0
	})
	return address, paste, func() string {
		t.Helper()
		select {
		case got := <-ended:
			if got != exit {
				t.Errorf("login: exit code %d, want %d: %s", got, exit, errs.String())
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("login does not end: %s", errs.String())
		}
		if out.String() != "" {
			t.Errorf("login writes to standard output: %s", out.String())
		}
		return errs.String()
	}
}

func TestLoginByBrowser(t *testing.T) {
	sim := simulate(t, clock.Clock{}, nil)
	sim.AddUser("anna-id", "Anna Example")
	address, _, wait := startLogin(t, clock.Clock{}, exitDone, "--account", "anna")
	response, err := http.Get(address) // agrees, and follows to the callback
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || !strings.Contains(string(page), "Logged in") {
		t.Errorf("last page: %s (%v)", page, err)
	}
	if told := wait(); !strings.Contains(told, `Anna Example is logged in as "anna" until `) {
		t.Errorf("login says: %s", told)
	}
	if me := sim.Requests().ByEndpoint()[spotifysim.EndpointMe]; me != 1 {
		t.Errorf("%d requests for /me, want 1", me)
	}
	info, err := os.Stat(os.Getenv("DATA_DIR") + "/tokens/anna.json")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("token file: %v, %v", info, err)
	}
	// The request of the login counts in the budget of all.
	out, _ := command(t, exitDone, "check")
	if !strings.Contains(out, "requests: 2 in the last 24 hours of 1,000") {
		t.Errorf("check after login:\n%s", out)
	}
}

func TestAwayFromBrowser(t *testing.T) {
	for _, test := range []struct {
		container bool
		ssh, want string
	}{
		{true, "", "in a container"},
		{true, "192.0.2.1 50000 192.0.2.2 22", "in a container"},
		{false, "192.0.2.1 50000 192.0.2.2 22", "on another machine, over SSH"},
		{false, "", ""},
	} {
		t.Setenv("SSH_CONNECTION", test.ssh)
		if got := awayFromBrowser(test.container); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	if !inContainer() {
		t.Error("a pod is taken for no container")
	}
}

func TestLoginByPaste(t *testing.T) {
	sim := simulate(t, clock.Clock{}, map[string]string{"SPOTIFY_ACCOUNTS": "anna"})
	sim.AddUser("me-id", "Me")
	address, paste, wait := startLogin(t, clock.Clock{}, exitDone)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	last, err := response.Location() // where it cannot get to
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(paste, "what?\n"+last.String()+"\n")
	told := wait()
	if !strings.Contains(told, `Me is logged in as "me"`) || !strings.Contains(told, `run will not record "me"`) {
		t.Errorf("login says: %s", told)
	}
}

func TestLoginOfAnotherPerson(t *testing.T) {
	sim := simulate(t, clock.Clock{}, nil)
	logIn(t, "me", sim.AddUser("me-id", "Me"))
	sim.LogIn(sim.AddUser("anna-id", "Anna"))
	follow := func(address string) {
		response, err := http.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	address, _, wait := startLogin(t, clock.Clock{}, exitFailed)
	follow(address)
	if told := wait(); !strings.Contains(told, "--force") {
		t.Errorf("login of another person: %s", told)
	}
	address, _, wait = startLogin(t, clock.Clock{}, exitDone, "--force")
	follow(address)
	wait()
}

func TestLoginWithoutLeave(t *testing.T) {
	sim := simulate(t, clock.Clock{}, nil)
	sim.AddUser("me-id", "Me")
	sim.Deny()
	address, _, wait := startLogin(t, clock.Clock{}, exitFailed)
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if told := wait(); !strings.Contains(told, "access_denied") {
		t.Errorf("login says: %s", told)
	}
	if _, errs := command(t, exitUsage, "login", "--account", "A b"); !strings.Contains(errs, "--account") {
		t.Errorf("odd alias: %s", errs)
	}
}

// findings are the lines of check: subject to what was found, with the level.
func findings(out string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(out) {
		level, rest, _ := strings.Cut(line, " ")
		subject, text, ok := strings.Cut(strings.TrimSpace(rest), ": ")
		if ok && level != "" {
			found[subject] = level + ": " + text
		}
	}
	return found
}

func TestCheck(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name    string
		vars    map[string]string
		arrange func(t *testing.T, sim *spotifysim.Spotify, me *spotifysim.User)
		exit    int
		want    map[string]string // the beginning of what is found
	}{
		{name: "all is well", want: map[string]string{
			"configuration": "ok", "time zone": "ok: Europe/Berlin, from TIMEZONE", "metrics": "ok", "data directory": "ok", "journal": "ok: 0 plays",
			"login, me": "ok: good for 18", "Spotify, me": "ok: answers", "requests": "ok: 1 in the last 24 hours of 1,000", "InfluxDB": "ok: not configured",
		}},
		{name: "nobody is logged in", arrange: func(t *testing.T, _ *spotifysim.Spotify, _ *spotifysim.User) {
			os.RemoveAll(os.Getenv("DATA_DIR") + "/tokens")
		}, exit: exitFailed, want: map[string]string{"login": "waits: nobody is logged in yet"}},
		{name: "an account without a login", vars: map[string]string{"SPOTIFY_ACCOUNTS": "me,anna"}, exit: exitFailed,
			want: map[string]string{"login, me": "ok", "login, anna": "waits: is not logged in yet"}},
		{name: "no data directory", vars: map[string]string{"DATA_DIR": "/proc/none"}, exit: exitFailed,
			want: map[string]string{"data directory": "failed: DATA_DIR: /proc/none is not there and cannot be made"}},
		{name: "loose permissions", arrange: func(t *testing.T, _ *spotifysim.Spotify, _ *spotifysim.User) {
			if err := os.Chmod(os.Getenv("DATA_DIR")+"/tokens/me.json", 0o644); err != nil {
				t.Fatal(err)
			}
		}, exit: exitFailed, want: map[string]string{"login, me": "failed: token file"}},
		{name: "broken token file", arrange: func(t *testing.T, _ *spotifysim.Spotify, _ *spotifysim.User) {
			if err := os.WriteFile(os.Getenv("DATA_DIR")+"/tokens/me.json", []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, exit: exitFailed, want: map[string]string{"login, me": "failed: token file"}},
		{name: "another file among the logins", arrange: func(t *testing.T, _ *spotifysim.Spotify, _ *spotifysim.User) {
			if err := os.WriteFile(os.Getenv("DATA_DIR")+"/tokens/me.old.json", []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, want: map[string]string{"login": "warning: token file", "login, me": "ok", "Spotify, me": "ok"}},
		{name: "revoked", arrange: func(t *testing.T, _ *spotifysim.Spotify, me *spotifysim.User) { me.Revoke() },
			exit: exitFailed, want: map[string]string{"login, me": "ok", "Spotify, me": "failed"}},
		{name: "another app", vars: map[string]string{"OTHER_CLIENT": "other"}, exit: exitFailed,
			want: map[string]string{"login, me": "failed: is for another app"}},
		{name: "not registered", arrange: func(t *testing.T, _ *spotifysim.Spotify, me *spotifysim.User) { me.SetRegistered(false) },
			exit: exitFailed, want: map[string]string{"Spotify, me": "failed"}},
		{name: "no Premium", arrange: func(t *testing.T, sim *spotifysim.Spotify, _ *spotifysim.User) { sim.SetPremium(false) },
			exit: exitFailed, want: map[string]string{"Spotify, me": "failed"}},
		{name: "locked out", arrange: func(t *testing.T, sim *spotifysim.Spotify, _ *spotifysim.User) {
			sim.Fault(spotifysim.Fault{Kind: spotifysim.QuotaExceeded, RetryAfter: 13 * time.Hour, Count: 1})
			out, _ := command(t, exitDone, "check") // the second one must ask nobody
			if got := findings(out)["Spotify, me"]; !strings.HasPrefix(got, "warning") {
				t.Errorf("a lock-out is %q", got)
			}
		}, want: map[string]string{"Spotify, me": "warning: not asked: locked out", "requests": "warning: 1 in the last 24 hours"}},
		{name: "no InfluxDB there", vars: map[string]string{"INFLUX_URL": "http://127.0.0.1:1", "INFLUX_ORG": "o", "INFLUX_BUCKET": "b", "INFLUX_TOKEN": "hidden"},
			exit: exitFailed, want: map[string]string{"InfluxDB server": "failed: http://127.0.0.1:1"}},
		{name: "port in use", arrange: func(t *testing.T, _ *spotifysim.Spotify, _ *spotifysim.User) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go http.Serve(listener, http.NotFoundHandler())
			t.Cleanup(func() { listener.Close() })
			t.Setenv("WEB_LISTEN_ADDRESS", listener.Addr().String())
		}, exit: exitFailed, want: map[string]string{"metrics": "failed: WEB_LISTEN_ADDRESS: port"}},
		{name: "a typo", vars: map[string]string{"SPOTIFY_BUDGET": "1"}, want: map[string]string{"configuration": "warning: SPOTIFY_BUDGET is set but has no meaning here"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sim := simulate(t, clock.New(now, 1), map[string]string{"TIMEZONE": "Europe/Berlin"})
			for name, value := range test.vars {
				t.Setenv(name, value)
			}
			me := sim.AddUser("me-id", "Me")
			if os.Getenv("DATA_DIR") != "/proc/none" {
				logIn(t, "me", me)
			}
			if other := os.Getenv("OTHER_CLIENT"); other != "" {
				t.Setenv("SPOTIFY_CLIENT_ID", other)
			}
			if test.arrange != nil {
				test.arrange(t, sim, me)
			}
			out, errs := command(t, test.exit, "check")
			found := findings(out)
			for subject, want := range test.want {
				if !strings.HasPrefix(found[subject], want) {
					t.Errorf("%s: %q, want %q in\n%s%s", subject, found[subject], want, out, errs)
				}
			}
			// What is at the end counts the lines.
			lines, failed, waits := 0, 0, 0
			for line := range strings.Lines(out) {
				switch level, _, _ := strings.Cut(line, " "); level {
				case "failed":
					lines, failed = lines+1, failed+1
				case "waits":
					lines, waits = lines+1, waits+1
				case "ok", "warning":
					lines++
				}
			}
			end := fmt.Sprintf("%d of %d checks failed", failed, lines)
			if !strings.Contains(out+errs, end) || failed+waits > 0 != (test.exit != exitDone) || (failed == 0 && waits > 0) != strings.Contains(errs, "run starts, and records nothing of whoever") {
				t.Errorf("does not end with %q:\n%s%s", end, out, errs)
			}
			if strings.Contains(out+errs, "hidden") {
				t.Errorf("a secret is printed:\n%s%s", out, errs)
			}
			// Whatever failed says what to do.
			said := strings.Split(out, "\n")
			for i, line := range said {
				advice := strings.Contains(said[min(i+1, len(said)-1)], "→") || strings.Contains(line, "run `spotify-exporter") || strings.Contains(line, "run chmod") || strings.Contains(line, "choose")
				if strings.HasPrefix(line, "failed") && !advice {
					t.Errorf("nothing says what to do: %s", line)
				}
			}
		})
	}
}

func TestCheckOfMistakes(t *testing.T) {
	setEnvironment(t, map[string]string{"LOG_LEVEL": "loud"})
	out, _ := command(t, exitConfig, "check")
	if strings.Count(out, "failed   configuration: ") != 2 {
		t.Errorf("check:\n%s", out)
	}
}

func TestCheckMakesNoDataDir(t *testing.T) {
	dir := t.TempDir() + "/data"
	simulate(t, clock.Clock{}, map[string]string{"DATA_DIR": dir})
	out, _ := command(t, exitFailed, "check")
	if _, err := os.Stat(dir); err == nil || !strings.HasPrefix(findings(out)["data directory"], "warning") {
		t.Errorf("check made %s, or said nothing of it:\n%s", dir, out)
	}
}

func TestUserinfoIsNeverPrinted(t *testing.T) {
	u := url.URL{Scheme: "http", Host: "x", User: url.UserPassword("u", "hidden")}
	setEnvironment(t, map[string]string{"SPOTIFY_API_URL": u.String()})
	if out, errs := command(t, exitConfig, "check"); strings.Contains(out+errs, "hidden") || cmp.Or(out, errs) == "" {
		t.Errorf("check: %s%s", out, errs)
	}
}
