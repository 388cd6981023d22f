package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// ask makes a request to InfluxDB as the owner of a token and returns the status.
func ask(t *testing.T, server *influxtest.Server, token, method, route, body string, into any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, server.URL+route, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Token "+token)
	if strings.HasPrefix(body, "{") {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil && response.StatusCode/100 == 2 {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s %s: %v: %s", method, route, err, answer)
		}
	}
	return response.StatusCode
}

// shardGroupWeeks returns how long the shard groups of a bucket are, in weeks.
func shardGroupWeeks(t *testing.T, server *influxtest.Server, bucket string) int64 {
	t.Helper()
	var found struct {
		Buckets []struct {
			RetentionRules []struct{ ShardGroupDurationSeconds int64 }
		}
	}
	ask(t, server, server.Token, http.MethodGet, "/api/v2/buckets?name="+url.QueryEscape(bucket), "", &found)
	if len(found.Buckets) != 1 || len(found.Buckets[0].RetentionRules) != 1 {
		t.Fatalf("bucket %s: %+v", bucket, found)
	}
	return found.Buckets[0].RetentionRules[0].ShardGroupDurationSeconds / (7 * 24 * 3600)
}

// content returns what is in a file of setup.
func content(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// setUp runs setup and returns what it has printed, which is never a secret.
func setUp(t *testing.T, exit int, dir string, args ...string) string {
	t.Helper()
	out, errs := command(t, exit, append([]string{"setup", "--to", dir}, args...)...)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if secret := content(t, dir, filepath.Base(path)); secret != "" && strings.Contains(out+errs, secret) {
			t.Errorf("what is in %s is printed:\n%s%s", path, out, errs)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return out + errs
}

func setupEnvironment(t *testing.T, server *influxtest.Server, bucket string) {
	t.Helper()
	setEnvironment(t, map[string]string{"INFLUX_URL": server.URL, "INFLUX_ORG": "home", "INFLUX_BUCKET": bucket})
}

func allContents(t *testing.T, dir string) map[string]string {
	t.Helper()
	contents := make(map[string]string)
	for _, name := range freshFiles {
		contents[name] = content(t, dir, name)
	}
	return contents
}

func TestSetupOfAFreshServer(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Fresh(t)
	setupEnvironment(t, server, "spotify")
	dir := t.TempDir()
	group := os.Getgid()
	if os.Getuid() == 0 {
		group = 472
	}
	flags := []string{"--grafana-group", "472"}
	if group != 472 {
		flags = nil // nobody but root gives a file to a group of others
	}

	// A start that broke off when the token of the operator was on disk, and nothing else.
	if err := os.WriteFile(filepath.Join(dir, influxOperatorFile), []byte("made-by-a-start-that-broke-off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	setUp(t, exitDone, dir, flags...)
	server.Org, server.Token = "home", content(t, dir, influxOperatorFile)
	if server.Token != "made-by-a-start-that-broke-off" {
		t.Errorf("operator's token is %q, not the one that was on disk", server.Token)
	}
	if weeks := shardGroupWeeks(t, server, "spotify"); weeks != 52 {
		t.Errorf("shard groups of %d weeks, want 52", weeks)
	}
	made := allContents(t, dir)
	for name, secret := range made {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		mode, gid := os.FileMode(0o600), os.Getgid()
		if group == 472 && strings.HasPrefix(name, "grafana-") {
			mode, gid = 0o640, group
		}
		if owner := info.Sys().(*syscall.Stat_t); info.Mode() != mode || int(owner.Uid) != os.Getuid() || int(owner.Gid) != gid {
			t.Errorf("%s: mode %v, group %d, want %v, %d", name, info.Mode(), owner.Gid, mode, gid)
		}
		if len(secret) < 25 {
			t.Errorf("%s: %d bytes", name, len(secret))
		}
	}

	t.Run("tokens", func(t *testing.T) { tokensAreEnoughAndNoMore(t, server, dir) })

	t.Run("again", func(t *testing.T) {
		out := setUp(t, exitDone, dir, flags...)
		for name, secret := range allContents(t, dir) {
			if secret != made[name] {
				t.Errorf("%s has changed", name)
			}
		}
		if strings.Contains(out, "new token") || strings.Contains(out, "warning") {
			t.Errorf("second setup: %s", out)
		}
	})

	// What is lost, or no longer good, is made anew, and the one before is good no more.
	t.Run("lost", func(t *testing.T) {
		for name, then := range map[string]string{influxTokenFile: "run takes the new one within minutes", grafanaInfluxTokenFile: "start Grafana again"} {
			before := content(t, dir, name)
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if out := setUp(t, exitDone, dir, flags...); strings.Count(out, "new token") != 1 || !strings.Contains(out, then) {
				t.Errorf("%s lost: %s", name, out)
			}
			if status := ask(t, server, before, http.MethodGet, "/api/v2/buckets", "", nil); status != http.StatusUnauthorized {
				t.Errorf("the lost token of %s still works: %d", name, status)
			}
		}
		tokensAreEnoughAndNoMore(t, server, dir)
		if err := os.WriteFile(filepath.Join(dir, influxTokenFile), []byte(content(t, dir, grafanaInfluxTokenFile)), 0o600); err != nil {
			t.Fatal(err)
		}
		setUp(t, exitDone, dir, flags...)
		tokensAreEnoughAndNoMore(t, server, dir)
	})

	// Between the making of a token and its file: one is there that nobody knows.
	t.Run("broken off", func(t *testing.T) {
		operator, err := influx.NewOperator(influx.Options{URL: server.URL, Org: "home", Bucket: "spotify", Token: server.Token})
		if err != nil {
			t.Fatal(err)
		}
		stray, err := operator.Issuer(influx.Read|influx.Write, "spotify-exporter: read and write bucket spotify").Issue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		setUp(t, exitDone, dir, flags...)
		if status := ask(t, server, stray, http.MethodGet, "/api/v2/buckets", "", nil); status != http.StatusUnauthorized {
			t.Errorf("the stray token still works: %d", status)
		}
		tokensAreEnoughAndNoMore(t, server, dir)
	})

	t.Run("bucket deleted", func(t *testing.T) {
		var found struct{ Buckets []struct{ ID string } }
		ask(t, server, server.Token, http.MethodGet, "/api/v2/buckets?name=spotify", "", &found)
		if status := ask(t, server, server.Token, http.MethodDelete, "/api/v2/buckets/"+found.Buckets[0].ID, "", nil); status != http.StatusNoContent {
			t.Fatal(status)
		}
		setUp(t, exitDone, dir, flags...)
		if weeks := shardGroupWeeks(t, server, "spotify"); weeks != 52 {
			t.Errorf("shard groups of %d weeks, want 52", weeks)
		}
		tokensAreEnoughAndNoMore(t, server, dir)
	})

	t.Run("operator token lost", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, influxOperatorFile)); err != nil {
			t.Fatal(err)
		}
		out := setUp(t, exitFailed, dir, flags...)
		if !strings.Contains(out, "has been set up already") || !strings.Contains(out, influxOperatorFile) || !strings.Contains(out, "influxd recovery auth create-operator") {
			t.Errorf("no operator token: %s", out)
		}
		if _, err := os.Stat(filepath.Join(dir, influxOperatorFile)); err == nil {
			t.Error("a token was written that no server knows")
		}
	})
}

// tokensAreEnoughAndNoMore holds both tokens of setup against what they are for.
func tokensAreEnoughAndNoMore(t *testing.T, server *influxtest.Server, dir string) {
	t.Helper()
	const another = "another"
	var orgs struct{ Orgs []struct{ ID string } }
	ask(t, server, server.Token, http.MethodGet, "/api/v2/orgs?org=home", "", &orgs)
	ask(t, server, server.Token, http.MethodPost, "/api/v2/buckets", `{"orgID":"`+orgs.Orgs[0].ID+`","name":"`+another+`"}`, nil)
	line := "listen,account=me plays=1i 1760000000000000000"
	query := func(bucket string) string {
		body, err := json.Marshal(map[string]string{"query": `from(bucket: "` + bucket + `") |> range(start: 0)`})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	const deletion = `{"start":"2025-01-01T00:00:00Z","stop":"2026-01-01T00:00:00Z"}`
	for _, test := range []struct {
		name, method, route, body string
		exporter, grafana         bool
	}{
		{"write", http.MethodPost, "/api/v2/write?org=home&bucket=spotify", line, true, false},
		{"read", http.MethodPost, "/api/v2/query?org=home", query("spotify"), true, true},
		{"delete", http.MethodPost, "/api/v2/delete?org=home&bucket=spotify", deletion, true, false},
		{"write elsewhere", http.MethodPost, "/api/v2/write?org=home&bucket=" + another, line, false, false},
		{"read elsewhere", http.MethodPost, "/api/v2/query?org=home", query(another), false, false},
		{"delete elsewhere", http.MethodPost, "/api/v2/delete?org=home&bucket=" + another, deletion, false, false},
		{"make a bucket", http.MethodPost, "/api/v2/buckets", `{"orgID":"` + orgs.Orgs[0].ID + `","name":"mine"}`, false, false},
		{"make a token", http.MethodPost, "/api/v2/authorizations", `{"orgID":"` + orgs.Orgs[0].ID + `","permissions":[{"action":"read","resource":{"type":"buckets"}}]}`, false, false},
		{"make a user", http.MethodPost, "/api/v2/users", `{"name":"mallory"}`, false, false},
		{"read the configuration", http.MethodGet, "/api/v2/config", "", false, false},
	} {
		for file, allowed := range map[string]bool{influxTokenFile: test.exporter, grafanaInfluxTokenFile: test.grafana} {
			if status := ask(t, server, content(t, dir, file), test.method, test.route, test.body, nil); status/100 == 2 != allowed {
				t.Errorf("%s with the token of %s: status %d, allowed %v", test.name, file, status, allowed)
			}
		}
	}
	var tokens struct {
		Authorizations []struct{ Description string }
	}
	ask(t, server, server.Token, http.MethodGet, "/api/v2/authorizations", "", &tokens)
	ours := 0
	for _, a := range tokens.Authorizations {
		if strings.HasSuffix(a.Description, "bucket spotify") {
			ours++
		}
	}
	if ours != 2 {
		t.Errorf("%d tokens of setup are on the server, want 2: %+v", ours, tokens)
	}
	// The exporter finds nothing to say.
	t.Setenv("INFLUX_TOKEN_FILE", filepath.Join(dir, influxTokenFile))
	t.Setenv("SPOTIFY_CLIENT_ID", "client")
	out, _ := command(t, exitFailed, "check") // nobody is logged in
	for line := range strings.Lines(out) {
		if strings.Contains(line, "InfluxDB") && !strings.HasPrefix(line, "ok ") {
			t.Errorf("check: %s", line)
		}
	}
	if !strings.Contains(out, "is InfluxDB 2.") || !strings.Contains(out, "shard group duration: 52w") {
		t.Errorf("check: %s", out)
	}
	t.Setenv("INFLUX_TOKEN_FILE", "")
}

func TestSetupOfAServerInUse(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	operator := func(t *testing.T, token string) (dir string) {
		dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, influxOperatorFile), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}

	t.Run("new bucket", func(t *testing.T) {
		bucket := server.Bucket(t) + "-of-setup"
		setupEnvironment(t, server, bucket)
		if out := setUp(t, exitDone, operator(t, server.Token)); strings.Contains(out, "warning") {
			t.Errorf("setup: %s", out)
		}
		if weeks := shardGroupWeeks(t, server, bucket); weeks != 52 {
			t.Errorf("shard groups of %d weeks, want 52", weeks)
		}
	})

	t.Run("empty bucket with 7-day shards", func(t *testing.T) {
		bucket := server.Bucket(t)
		setupEnvironment(t, server, bucket)
		if out := setUp(t, exitDone, operator(t, server.Token)); strings.Contains(out, "warning") {
			t.Errorf("setup: %s", out)
		}
		if weeks := shardGroupWeeks(t, server, bucket); weeks != 52 {
			t.Errorf("shard groups of %d weeks, want 52", weeks)
		}
	})

	t.Run("bucket with 7-day shards and points in it", func(t *testing.T) {
		bucket := server.Bucket(t)
		setupEnvironment(t, server, bucket)
		if status := ask(t, server, server.Token, http.MethodPost, "/api/v2/write?org=home&bucket="+bucket, "listen,account=me plays=1i 1400000000000000000", nil); status != http.StatusNoContent {
			t.Fatal(status)
		}
		out := setUp(t, exitDone, operator(t, server.Token))
		for _, want := range []string{"warning  InfluxDB: bucket", "points in shard groups of 1w already", "set INFLUX_BUCKET to a new name and run setup again"} {
			if !strings.Contains(out, want) {
				t.Errorf("setup does not say %q: %s", want, out)
			}
		}
		if weeks := shardGroupWeeks(t, server, bucket); weeks != 52 {
			t.Errorf("shard groups of %d weeks from now on, want 52", weeks)
		}
	})

	t.Run("bucket that forgets", func(t *testing.T) {
		bucket := server.Bucket(t)
		keepForAYear(t, server, bucket)
		setupEnvironment(t, server, bucket)
		if out := setUp(t, exitDone, operator(t, server.Token)); !strings.Contains(out, "forgets what is older than 365d") || !strings.Contains(out, "influx bucket update") {
			t.Errorf("setup: %s", out)
		}
	})

	bucket := server.Bucket(t)
	for name, test := range map[string]struct{ token, org, want string }{
		"wrong operator token": {"of-another-server", "home", "is not one of this server that may do everything"},
		"weak operator token":  {server.Grant(t, bucket, influxtest.Read|influxtest.Write), "home", "is not one of this server that may do everything"},
		"no operator token":    {"", "home", "has been set up already"},
		"unknown organization": {server.Token, "nobody", `INFLUX_ORG: must be an organization of the server that the operator token may see: home (got "nobody")`},
	} {
		t.Run(name, func(t *testing.T) {
			setupEnvironment(t, server, bucket)
			t.Setenv("INFLUX_ORG", test.org)
			dir := operator(t, test.token)
			if out := setUp(t, exitFailed, dir); !strings.Contains(out, test.want) {
				t.Errorf("setup does not say %q: %s", test.want, out)
			}
			if _, err := os.Stat(filepath.Join(dir, influxTokenFile)); err == nil {
				t.Error("there is a token file all the same")
			}
		})
	}
}

func TestSetupOfWhatIsNotInfluxDB2(t *testing.T) {
	old := httptest.NewServer(http.NotFoundHandler()) // as 1.8 and 3 answer
	defer old.Close()
	for address, want := range map[string]string{
		old.URL:                    "is not InfluxDB 2",
		"http://" + freeAddress(t): "InfluxDB did not answer",
	} {
		setEnvironment(t, map[string]string{"INFLUX_URL": address, "INFLUX_ORG": "home", "INFLUX_BUCKET": "spotify"})
		if out := setUp(t, exitFailed, t.TempDir()); !strings.Contains(out, want) {
			t.Errorf("setup does not say %q: %s", want, out)
		}
	}
}

func TestSetupUsage(t *testing.T) {
	setEnvironment(t, nil)
	_, errs := command(t, exitConfig, "setup", "--to", t.TempDir())
	for _, name := range []string{"INFLUX_URL: required", "INFLUX_ORG: required", "INFLUX_BUCKET: required"} {
		if !strings.Contains(errs, name) {
			t.Errorf("setup does not say %q: %s", name, errs)
		}
	}
	command(t, exitUsage, "setup")

	setEnvironment(t, map[string]string{"INFLUX_URL": "http://127.0.0.1:1", "INFLUX_ORG": "home", "INFLUX_BUCKET": "spotify"})
	for wrong, want := range map[string]string{
		"grafana:3000":                     "--grafana: must be http:// or https://",
		"http://admin:hidden@grafana:3000": "--grafana: must be without user and password",
	} {
		dir := filepath.Join(t.TempDir(), "tokens")
		_, errs := command(t, exitUsage, "setup", "--to", dir, "--grafana", wrong)
		if !strings.Contains(errs, want) || strings.Contains(errs, "hidden") {
			t.Errorf("--grafana %s: %s", wrong, errs)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("--grafana %s: setup has begun before it said so", wrong)
		}
	}
}

// Setup ends with the lines for .env, which Docker Compose and a shell read alike.
func TestSetupSaysWhatRunNeeds(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	double := grafanatest.New(t)
	dir := filepath.Join(t.TempDir(), `a $HOME of "Anna's" #1`)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, influxOperatorFile), []byte(server.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, grafanaPasswordFile), []byte("of-grafana-0815"), 0o600); err != nil {
		t.Fatal(err)
	}
	double.SetPassword("of-grafana-0815")
	bucket := server.Bucket(t)
	setupEnvironment(t, server, bucket)
	want := map[string]string{
		"INFLUX_URL": server.URL, "INFLUX_ORG": "home", "INFLUX_BUCKET": bucket, "INFLUX_TOKEN_FILE": filepath.Join(dir, influxTokenFile),
	}
	for range 2 {
		out, _ := command(t, exitDone, "setup", "--to", dir)
		_, lines, found := strings.Cut(out, "Put these lines into .env (docker-compose.yml sets them by itself):\n")
		if got, err := dotenv.ParseWithLookup(strings.NewReader(lines), nil); !found || err != nil || !maps.Equal(got, want) {
			t.Errorf("Docker Compose reads %q (%v), want %q:\n%s", got, err, want, out)
		}
	}
	want["GRAFANA_URL"], want["GRAFANA_TOKEN_FILE"] = double.URL, filepath.Join(dir, grafanaTokenFile)
	out := setUp(t, exitDone, dir, "--grafana", double.URL)
	_, lines, _ := strings.Cut(out, "by itself):\n")
	for name, value := range want {
		got, err := exec.CommandContext(t.Context(), "sh", "-c", lines+`printf %s "$`+name+`"`).Output()
		if err != nil || string(got) != value {
			t.Errorf("a shell reads %s=%q (%v), want %q:\n%s", name, got, err, value, lines)
		}
	}
}

// Somebody who moves the files from a folder to where they are loses nothing.
func TestSetupMovesNothingOntoItself(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	setupEnvironment(t, server, server.Bucket(t))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, influxOperatorFile), []byte(server.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	setUp(t, exitDone, dir)
	before := content(t, dir, influxTokenFile)
	for _, from := range []string{dir, dir + "/.", filepath.Join(dir, "missing")} {
		if out := setUp(t, exitDone, dir, "--move-from", from); strings.Contains(out, "secrets: ") || content(t, dir, influxTokenFile) != before {
			t.Errorf("--move-from %s: %s", from, out)
		}
	}
}

// A server that breaks off the answer to onboarding has done it all the same.
func TestSetupWhoseOnboardingIsNotAnswered(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Fresh(t)
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		forward := r.Clone(context.WithoutCancel(r.Context()))
		forward.URL.Scheme, forward.URL.Host, forward.RequestURI = target.Scheme, target.Host, ""
		forward.Body = io.NopCloser(bytes.NewReader(body))
		response, err := http.DefaultClient.Do(forward)
		if err != nil {
			panic(err)
		}
		defer response.Body.Close()
		if r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	}))
	defer broken.Close()
	dir := t.TempDir()
	setupEnvironment(t, server, "spotify")
	t.Setenv("INFLUX_URL", broken.URL)
	setUp(t, exitFailed, dir)
	t.Setenv("INFLUX_URL", server.URL)
	setUp(t, exitDone, dir)
	server.Org, server.Token = "home", content(t, dir, influxOperatorFile)
	if weeks := shardGroupWeeks(t, server, "spotify"); weeks != 52 {
		t.Errorf("shard groups of %d weeks, want 52", weeks)
	}
	tokensAreEnoughAndNoMore(t, server, dir)
}

// knowsToken reports whether a token is good in Grafana.
func knowsToken(t *testing.T, double *grafanatest.Server, token string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, double.URL+"/api/dashboard/snapshots", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode == http.StatusOK && response.Body.Close() == nil
}

// The token for snapshots is of a service account of its own, made by the password
// that setup has made before Grafana started.
func TestSetupOfGrafana(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	setupEnvironment(t, server, server.Bucket(t))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, influxOperatorFile), []byte(server.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	setUp(t, exitDone, dir)
	double := grafanatest.New(t)
	double.SetPassword(content(t, dir, grafanaPasswordFile))
	double.ServiceAccount("another", grafanatest.Viewer, false)
	out := setUp(t, exitDone, dir, "--grafana", double.URL)
	made := content(t, dir, grafanaTokenFile)
	if !strings.Contains(out, "Grafana: new token GRAFANA_TOKEN_FILE") || !knowsToken(t, double, made) {
		t.Errorf("first setup: %s", out)
	}
	if out := setUp(t, exitDone, dir, "--grafana", double.URL); content(t, dir, grafanaTokenFile) != made || strings.Contains(out, "new token") {
		t.Errorf("second setup: %s", out)
	}
	if err := os.Remove(filepath.Join(dir, grafanaTokenFile)); err != nil {
		t.Fatal(err)
	}
	setUp(t, exitDone, dir, "--grafana", double.URL)
	again := content(t, dir, grafanaTokenFile)
	if again == made || !knowsToken(t, double, again) || knowsToken(t, double, made) {
		t.Error("the lost token is still good, or the new one is not")
	}

	// Whoever changes the password of admin has a good token all the same.
	double.SetPassword("changed-by-its-owner")
	setUp(t, exitDone, dir, "--grafana", double.URL)
	double.SetRole(again, "")
	if out := setUp(t, exitFailed, dir, "--grafana", double.URL); !strings.Contains(out, "put the right one into "+filepath.Join(dir, grafanaPasswordFile)) {
		t.Errorf("wrong password and no token: %s", out)
	}
	if out := setUp(t, exitFailed, dir, "--grafana", "http://"+freeAddress(t)); !strings.Contains(out, "Grafana did not answer") {
		t.Errorf("no Grafana: %s", out)
	}
}

func TestSetupMakesTheServiceAccountAnEditor(t *testing.T) {
	double := grafanatest.New(t)
	double.SetPassword("password")
	double.ServiceAccount("spotify-exporter", grafanatest.Viewer, true)
	issuer, err := grafana.NewIssuer(double.URL, adminUser, "password", "test", http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	if issued, err := issuer.Issued(t.Context()); err != nil || len(issued) > 0 {
		t.Fatalf("tokens %v (%v), want none", issued, err)
	}
	token, err := issuer.Issue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	board := `{"uid":"spotify-public","title":"Public"}`
	double.SetBoard(t, []byte(board))
	body := `{"dashboard":` + board + `,"key":"key","deleteKey":"delete"}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, double.URL+"/api/snapshots", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("a snapshot with the token: %s", response.Status)
	}
}
