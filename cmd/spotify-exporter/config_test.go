package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

func TestDefaults(t *testing.T) {
	setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client", "DATA_DIR": "", "WEB_LISTEN_ADDRESS": ""})
	c, err := loadConfig(needsClient)
	if err != nil {
		t.Fatal(err)
	}
	if c.RequestBudget != 1000 || c.CountFrom != 30*time.Second || c.DataDir != "./data" || c.WebListenAddress != prom.DefaultListenAddress ||
		c.LoginAddress != "127.0.0.1:8888" || c.RecordPrivate || !c.NowPlayingInfo || c.InfluxURL != "" || len(c.Accounts) != 0 {
		t.Errorf("defaults: %+v", c)
	}
}

func TestConfigurationMistakes(t *testing.T) {
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe") // that nobody ever writes to
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	holding := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	influx := func(vars ...string) map[string]string {
		all := map[string]string{"INFLUX_URL": "http://localhost:8086", "INFLUX_ORG": "home", "INFLUX_BUCKET": "spotify", "INFLUX_TOKEN": "hidden-token"}
		for i := 0; i < len(vars); i += 2 {
			all[vars[i]] = vars[i+1]
		}
		return all
	}
	tests := []struct {
		vars map[string]string
		want string // of the one line
	}{
		{map[string]string{"SPOTIFY_CLIENT_ID": ""}, `SPOTIFY_CLIENT_ID: required; create an app`},
		{map[string]string{"SPOTIFY_CLIENT_ID": "a b"}, `SPOTIFY_CLIENT_ID: must be the Client ID of the app, without spaces (got "a b")`},
		{map[string]string{"SPOTIFY_CLIENT_SECRET": "hidden", "SPOTIFY_CLIENT_SECRET_FILE": secretFile}, `SPOTIFY_CLIENT_SECRET, SPOTIFY_CLIENT_SECRET_FILE: only one of them may be set`},
		{map[string]string{"SPOTIFY_CLIENT_SECRET_FILE": filepath.Join(t.TempDir(), "nowhere")}, `SPOTIFY_CLIENT_SECRET_FILE: must be a file that user id`},
		{map[string]string{"SPOTIFY_CLIENT_SECRET_FILE": empty}, `SPOTIFY_CLIENT_SECRET_FILE: ` + empty + ` is empty`},
		{map[string]string{"SPOTIFY_ACCOUNTS": "me,An na"}, `SPOTIFY_ACCOUNTS: account "An na": must be 1 to 32 of`},
		{map[string]string{"SPOTIFY_ACCOUNTS": "me, me"}, `SPOTIFY_ACCOUNTS: must name each account once`},
		{map[string]string{"SPOTIFY_API_URL": "api.spotify.com/v1"}, `SPOTIFY_API_URL: must be http:// or https://, a host, and at most a path (got "api.spotify.com/v1")`},
		{map[string]string{"SPOTIFY_ACCOUNTS_URL": "ftp://x/"}, `SPOTIFY_ACCOUNTS_URL: must be http:// or https://`},
		{map[string]string{"SPOTIFY_REQUEST_BUDGET": "-1"}, `SPOTIFY_REQUEST_BUDGET: must be a number from 0 (no limit) to 1000000 (got "-1")`},
		{map[string]string{"LOGIN_ADDRESS": "localhost:8888"}, `LOGIN_ADDRESS: must be 127.0.0.1:PORT or [::1]:PORT`},
		{map[string]string{"LOGIN_ADDRESS": "192.168.1.2:8888"}, `LOGIN_ADDRESS: must be 127.0.0.1:PORT or [::1]:PORT`},
		{map[string]string{"TIMEZONE": "Local"}, `TIMEZONE: must be an IANA name such as Europe/Berlin`},
		{map[string]string{"TIMEZONE": "Berlin"}, `TIMEZONE: must be an IANA name such as Europe/Berlin`},
		{map[string]string{"TIMEZONE": "me=Europe/Berlin,,"}, `TIMEZONE: must be an IANA name`},
		{map[string]string{"TIMEZONE": "me=Europe/Berlin,me=Asia/Tokyo"}, `TIMEZONE: must name each account once`},
		{map[string]string{"TIMEZONE": "UTC,Asia/Tokyo"}, `TIMEZONE: may have one name without an account`},
		{map[string]string{"TIMEZONE": "anna=Asia/Tokyo", "SPOTIFY_ACCOUNTS": "me"}, `TIMEZONE: account "anna" is not in SPOTIFY_ACCOUNTS (me)`},
		{map[string]string{"HTTPS_PROXY": "http://anna:hidden%zz@proxy:3128"}, `HTTPS_PROXY: must be http://, https:// or socks5://, and the host and port of a proxy`},
		{map[string]string{"https_proxy": "anna:12#hidden@proxy:3128"}, `https_proxy: must be http://`},
		{map[string]string{"HTTP_PROXY": "http://anna:1/hidden@proxy:3128"}, `HTTP_PROXY: must be http://`},
		{map[string]string{"HTTP_PROXY": "ftp://anna:hidden@proxy"}, `HTTP_PROXY: must be http://`},
		{map[string]string{"HTTP_PROXY": "http://anna:hidden@"}, `HTTP_PROXY: must be http://`},
		{map[string]string{"RECORD_PRIVATE": "yes"}, `RECORD_PRIVATE: must be true or false (got "yes")`},
		{map[string]string{"COUNT_FROM": "30"}, `COUNT_FROM: must be a duration from 1s to 10m (got "30")`},
		{map[string]string{"COUNT_FROM": "2h"}, `COUNT_FROM: must be a duration from 1s to 10m (got "2h")`},
		{influx("INFLUX_URL", "localhost:8086"), `INFLUX_URL: must be http:// or https://`},
		{influx("INFLUX_URL", "http://anna:hidden@localhost:8086"), `INFLUX_URL: must be without user and password`},
		{influx("INFLUX_URL", "http://localhost:8086/?token=hidden"), `INFLUX_URL: must be without ? and #: http:// or https://, a host, and at most a path`},
		{influx("INFLUX_URL", ""), `INFLUX_URL: required if another INFLUX_ variable is set`},
		{influx("INFLUX_ORG", ""), `INFLUX_ORG: required`},
		{influx("INFLUX_BUCKET", ""), `INFLUX_BUCKET: required`},
		{influx("INFLUX_TOKEN", ""), `INFLUX_TOKEN: required`},
		{influx("INFLUX_TOKEN_FILE", secretFile), `INFLUX_TOKEN, INFLUX_TOKEN_FILE: only one of them may be set`},
		{influx("INFLUX_URL", "http://localhost:8086/api/v2"), `INFLUX_URL: must be without /api/v2: http://localhost:8086 (got "http://localhost:8086/api/v2")`},
		{influx("INFLUX_URL", "https://x.example/influx/api/v2/write"), `INFLUX_URL: must be without /api/v2: https://x.example/influx (got`},
		{map[string]string{"ALERTMANAGER_URL": "http://a:9093/api/v2/"}, `ALERTMANAGER_URL: must be without /api/v2: http://a:9093 (got`},
		{map[string]string{"GRAFANA_URL": "http://g:3000/api/"}, `GRAFANA_URL: must be without /api: http://g:3000 (got`},
		{map[string]string{"GRAFANA_URL": "http://g", "GRAFANA_PUBLIC_URL": "http://g/api"}, `GRAFANA_PUBLIC_URL: must be without /api: http://g (got`},
		{map[string]string{"SPOTIFY_CLIENT_ID": `"client"`}, `SPOTIFY_CLIENT_ID: the value stands in quotes: remove them`},
		{map[string]string{"SPOTIFY_ACCOUNTS": `'me'`}, `SPOTIFY_ACCOUNTS: the value stands in quotes: remove them`},
		{map[string]string{"SPOTIFY_CLIENT_SECRET": "“hidden”"}, `SPOTIFY_CLIENT_SECRET: the value stands in quotes: remove them`},
		{influx("INFLUX_TOKEN", `"hidden"`), `INFLUX_TOKEN: the value stands in quotes: remove them`},
		{influx("INFLUX_TOKEN", "hidden\n"), `INFLUX_TOKEN: the value ends with a line break: remove it`},
		{influx("INFLUX_TOKEN", "hid\x1bden"), `INFLUX_TOKEN: the value has a line break or another control character in it: remove it`},
		{influx("INFLUX_URL", "http://localhost:8086\r\n"), `INFLUX_URL: the value ends with a line break: remove it`},
		{influx("INFLUX_ORG", "\ufeffhome"), `INFLUX_ORG: the value begins with a byte order mark: save it as UTF-8 without one`},
		{map[string]string{"SPOTIFY_CLIENT_ID": strings.Repeat("x", 100_000)}, `SPOTIFY_CLIENT_ID: the value has 100000 bytes, more than the 4096 that are allowed`},
		{influx("INFLUX_TOKEN", "", "INFLUX_TOKEN_FILE", holding("utf8", "\ufeffhidden\n")), `INFLUX_TOKEN_FILE: `},
		{influx("INFLUX_TOKEN", "", "INFLUX_TOKEN_FILE", holding("lines", "hidden\nhidden\n")), `INFLUX_TOKEN_FILE: `},
		{influx("INFLUX_TOKEN", "", "INFLUX_TOKEN_FILE", holding("quoted", "\"hidden\"\n")), `INFLUX_TOKEN_FILE: `},
		{influx("INFLUX_TOKEN", "", "INFLUX_TOKEN_FILE", holding("utf16", "\xff\xfeh\x00i\x00")), `INFLUX_TOKEN_FILE: `},
		{influx("INFLUX_TOKEN", "", "INFLUX_TOKEN_FILE", holding("long", strings.Repeat("hidden", 1000))), `INFLUX_TOKEN_FILE: must be a file of at most 4096 bytes`},
		{influx("INFLUX_TOKEN", "", "INFLUX_TOKEN_FILE", "/dev/zero"), `INFLUX_TOKEN_FILE: must be a regular file, and /dev/zero is none`},
		{influx("INFLUX_TOKEN", "", "INFLUX_TOKEN_FILE", t.TempDir()), `INFLUX_TOKEN_FILE: must be a regular file, and `},
		{influx("INFLUX_TOKEN", "", "INFLUX_TOKEN_FILE", pipe), `INFLUX_TOKEN_FILE: must be a regular file, and `},
		{map[string]string{"WEB_LISTEN_ADDRESS": "10178"}, `WEB_LISTEN_ADDRESS: must be host:port or :port`},
		{map[string]string{"WEB_LISTEN_ADDRESS": ":70000"}, `WEB_LISTEN_ADDRESS: must be host:port or :port`},
		{map[string]string{"WEB_HOSTS": "music.example.org,http://music.example.org/"}, `WEB_HOSTS: must be host names such as music.example.org, comma separated, without scheme, port and path (got "http://music.example.org/")`},
		{map[string]string{"WEB_HOSTS": "music.example.org:10178"}, `WEB_HOSTS: must be host names`},
		{map[string]string{"WEB_HOSTS": "*.example.org"}, `WEB_HOSTS: must be host names`},
		{map[string]string{"NOW_PLAYING_INFO": "1"}, `NOW_PLAYING_INFO: must be true or false`},
		{map[string]string{"GRAFANA_URL": "grafana:3000"}, `GRAFANA_URL: must be http:// or https://`},
		{map[string]string{"GRAFANA_TOKEN": "hidden"}, `GRAFANA_URL: required if GRAFANA_TOKEN`},
		{map[string]string{"GRAFANA_URL": "http://g", "GRAFANA_TOKEN": "hidden", "GRAFANA_TOKEN_FILE": secretFile}, `GRAFANA_TOKEN, GRAFANA_TOKEN_FILE: only one of them may be set`},
		{map[string]string{"GRAFANA_URL": "http://g", "GRAFANA_PUBLIC_URL": "//g"}, `GRAFANA_PUBLIC_URL: must be http:// or https://`},
		{map[string]string{"GRAFANA_URL": "http://g", "SNAPSHOT_INTERVAL": "6h"}, `GRAFANA_TOKEN: required for the snapshot`},
		{map[string]string{"GRAFANA_URL": "http://g", "GRAFANA_TOKEN": "hidden", "SNAPSHOT_INTERVAL": "5m"}, `SNAPSHOT_INTERVAL: must be a duration from 10m to 24h, or empty (got "5m")`},
		{map[string]string{"SNAPSHOT_DELAY": "0"}, `SNAPSHOT_DELAY: must be a duration from 1h to 720h (got "0")`},
		{map[string]string{"SNAPSHOT_ACCOUNT": "An na"}, `SNAPSHOT_ACCOUNT: account "An na": must be 1 to 32 of`},
		{map[string]string{"SNAPSHOT_DASHBOARD": "a/b"}, `SNAPSHOT_DASHBOARD: must be the uid of a board`},
		{map[string]string{"LOG_LEVEL": "info+2"}, `LOG_LEVEL: must be debug, info, warn or error (got "info+2")`},
		{map[string]string{"LOG_FORMAT": "xml"}, `LOG_FORMAT: must be text or json (got "xml")`},
	}
	for _, test := range tests {
		t.Run(test.want, func(t *testing.T) {
			setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client"})
			for name, value := range test.vars {
				t.Setenv(name, value)
			}
			_, errs := command(t, exitConfig, "run")
			if !strings.HasPrefix(errs, "spotify-exporter: "+test.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%v:\n got %s want %s", test.vars, errs, test.want)
			}
			if strings.Contains(errs, "hidden") || strings.Contains(errs, "from-file") {
				t.Errorf("%v: a secret is printed: %s", test.vars, errs)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	setEnvironment(t, map[string]string{"LOG_LEVEL": "loud", "SPOTIFY_REQUEST_BUDGET": "many", "COUNT_FROM": "never"})
	_, errs := command(t, exitConfig)
	var names []string
	for line := range strings.Lines(errs) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "spotify-exporter: "), ":")
		names = append(names, name)
	}
	if want := []string{"SPOTIFY_CLIENT_ID", "SPOTIFY_REQUEST_BUDGET", "COUNT_FROM", "LOG_LEVEL"}; !slices.Equal(names, want) {
		t.Errorf("mistakes of %v, want %v in the order of .env.example", names, want)
	}
}

func TestSecretFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" spaces stay \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	setEnvironment(t, map[string]string{"INFLUX_URL": "http://x", "INFLUX_ORG": "o", "INFLUX_BUCKET": "b", "INFLUX_TOKEN_FILE": file, "SPOTIFY_CLIENT_SECRET_FILE": file})
	c, err := loadConfig(anyConfig)
	if err != nil {
		t.Fatal(err)
	}
	if string(c.InfluxToken) != " spaces stay " || string(c.ClientSecret) != " spaces stay " {
		t.Errorf("token %q, secret %q", string(c.InfluxToken), string(c.ClientSecret))
	}
	if printed := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(printed, "spaces stay") {
		t.Errorf("a printed config shows its secrets: %s", printed)
	}
}

func TestUnknownVariables(t *testing.T) {
	got := unknownVariables([]string{
		"WEB_LISTEN_ADRESS=:1", "DATADIR=x", "TZ=UTC", "LOGNAME=me", "LANG=C", "PWD=/", "XDG_DATA_DIRS=x", "LOG_FILE=x",
		"SPOTIFY_CLIENT_ID=known", "SPOTIFY_CLIENTID=x", "INFLUX_TOKN=secret", "SPOTIFY_NICENESS=11", "HOME=/root",
		"INFLUX_PORT=tcp://10.0.0.1:8086", "INFLUX_SERVICE_HOST=10.0.0.1", "INFLUX_SERVICE_PORT_HTTP=8086",
		"INFLUX_PORT_8086_TCP_ADDR=10.0.0.1", "SPOTIFY_EXPORTER_SERVICE_PORT=10178", "SPOTIFY_EXPORTER_IMAGE=x", "GRAFANA_EMBEDDING=true", "GRAFANA_PORT_3000_TCP=tcp://10.0.0.2:3000",
	})
	want := []string{
		"DATADIR is set but has no meaning here: is DATA_DIR meant?",
		"INFLUX_TOKN is set but has no meaning here: is INFLUX_TOKEN meant?",
		"SPOTIFY_CLIENTID is set but has no meaning here: is SPOTIFY_CLIENT_ID meant?",
		"SPOTIFY_NICENESS is set but has no meaning here",
		"WEB_LISTEN_ADRESS is set but has no meaning here: is WEB_LISTEN_ADDRESS meant?",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnwritableDataDir(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client", "DATA_DIR": filepath.Join(file, "data")})
	for _, name := range []string{"run", "login"} {
		if _, errs := command(t, exitConfig, name); !strings.Contains(errs, "DATA_DIR: must be a folder that user id") {
			t.Errorf("%s: %s", name, errs)
		}
	}
}

// TestFullDataDir waits to be started again as well: there will be room.
func TestFullDataDir(t *testing.T) {
	setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client"})
	const script = `mount -t tmpfs -o nr_inodes=1 tmpfs "$DATA_DIR" || exit 99
		env "$1" "$0" run; echo "exit $?"`
	if says := withSmallDisk(t, script, ""); !strings.Contains(says, "DATA_DIR: nothing can be written there") || !strings.Contains(says, "exit 1\n") {
		t.Error(says)
	}
}

// TestAddressThatIsNotThereYet waits to be started again, by systemd too: at boot, the
// address of a VPN comes when it likes.
func TestAddressThatIsNotThereYet(t *testing.T) {
	setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client", "DATA_DIR": t.TempDir(), "WEB_LISTEN_ADDRESS": "192.0.2.1:10178"})
	if _, errs := command(t, exitFailed, "run"); !strings.Contains(errs, "WEB_LISTEN_ADDRESS: this machine does not have the address now") {
		t.Error(errs)
	}
}

var update = flag.Bool("update", false, "write .env.example and the table in docs/configuration.md anew")

// TestFaultOfSecretFile names the file of a secret and what is wrong with it, and not what is in it.
func TestFaultOfSecretFile(t *testing.T) {
	for content, want := range map[string]string{
		"\ufeffhidden":     "begins with a byte order mark",
		"\xfe\xff\x00h":    "begins with a byte order mark",
		"'hidden'\n":       "stands in quotes",
		"hidden\nhidden\n": "has a line break",
		"hid\x00den":       "has a line break or another control character",
		"":                 "is empty",
		"\r\n":             "is empty",
	} {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := secretFrom(path)()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hid") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

// TestDocumentation holds .env.example and the table in docs/configuration.md
// against the struct that they describe.
func TestDocumentation(t *testing.T) {
	var example, table strings.Builder
	example.WriteString("# Everything that spotify-exporter can be told. The values here are the defaults; what is empty is not set.\n" +
		"# Where there is a variable NAME_FILE, it may name a file with the secret instead.\n")
	table.WriteString("| variable | default | |\n|---|---|---|\n")
	for field := range reflect.TypeFor[environment]().Fields() {
		name, value, help := field.Tag.Get("envconfig"), field.Tag.Get("default"), field.Tag.Get("help")
		if help == "" || strings.Contains(help, "|") {
			t.Errorf("%s: help %q", name, help)
		}
		// The example begins it with a capital letter, and no value is written with one.
		if word, _, _ := strings.Cut(strings.NewReplacer(",", " ", ";", " ").Replace(help), " "); slices.Contains([]string{"true", "false", "debug", "text"}, word) {
			t.Errorf("%s: help %q begins with a value", name, help)
		}
		fmt.Fprintf(&example, "\n# %s%s\n%s=%s\n", strings.ToUpper(help[:1]), help[1:], name, value)
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", name, value, help)
	}
	example.WriteString("\n# Only docker-compose.yml reads these.\n")
	for field := range reflect.TypeFor[stackEnvironment]().Fields() {
		name, value, help := field.Tag.Get("envconfig"), field.Tag.Get("default"), field.Tag.Get("help")
		fmt.Fprintf(&example, "\n# %s%s\n%s=%s\n", strings.ToUpper(help[:1]), help[1:], name, value)
	}
	const exampleFile, pageFile = "../../.env.example", "../../docs/configuration.md"
	page, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		before, after, found := strings.Cut(string(page), "| variable | default | |\n")
		if !found {
			t.Fatal("the page has no table of variables")
		}
		for strings.HasPrefix(after, "|") {
			_, after, _ = strings.Cut(after, "\n")
		}
		page = []byte(before + table.String() + after)
		if err := os.WriteFile(pageFile, page, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(exampleFile, []byte(example.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/configuration.md has another table of variables than (write it with -update):\n%s", table.String())
	}
	got, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != example.String() {
		t.Errorf(".env.example is not this (write it with -update):\n%s", example.String())
	}
}
