package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// environment is the configuration as it is given, in the order of .env.example,
// which a test holds against it.
//
// All are strings: envconfig's own parsing stops at the first mistake, repeats
// secrets in its errors, and takes a variable that is set to nothing, as compose
// files do, for a value.
type environment struct {
	SpotifyClientID         string `envconfig:"SPOTIFY_CLIENT_ID" help:"Client ID of your app at https://developer.spotify.com/dashboard; required"`
	SpotifyClientSecret     string `envconfig:"SPOTIFY_CLIENT_SECRET" help:"Client secret of the app; not needed"`
	SpotifyClientSecretFile string `envconfig:"SPOTIFY_CLIENT_SECRET_FILE" help:"file with the client secret"`
	SpotifyAccounts         string `envconfig:"SPOTIFY_ACCOUNTS" help:"accounts to record, comma separated; if empty, everyone who has logged in"`
	SpotifyAPIURL           string `envconfig:"SPOTIFY_API_URL" default:"https://api.spotify.com/v1/" help:"address of the Web API"`
	SpotifyAccountsURL      string `envconfig:"SPOTIFY_ACCOUNTS_URL" default:"https://accounts.spotify.com/" help:"address of the accounts service"`
	SpotifyRequestBudget    string `envconfig:"SPOTIFY_REQUEST_BUDGET" default:"1000" help:"requests to the Web API in any 24 hours, all accounts together; 0: no limit"`
	LoginAddress            string `envconfig:"LOGIN_ADDRESS" default:"127.0.0.1:8888" help:"where login waits for the browser; http://ADDRESS/callback is the redirect URI of the app"`
	Timezone                string `envconfig:"TIMEZONE" help:"where the listener lives, such as Europe/Berlin, or me=Europe/Berlin,anna=Asia/Tokyo; if empty, that of the system"`
	RecordPrivate           string `envconfig:"RECORD_PRIVATE" default:"false" help:"whether private sessions are recorded, too: true or false"`
	CountFrom               string `envconfig:"COUNT_FROM" default:"30s" help:"how long a play lasts to be counted as one, 1s to 10m; all are recorded"`
	DataDir                 string `envconfig:"DATA_DIR" default:"./data" help:"folder of the journal and the tokens; back it up"`
	InfluxURL               string `envconfig:"INFLUX_URL" help:"address of InfluxDB 2, such as http://localhost:8086; if empty, the journal is the only store"`
	InfluxOrg               string `envconfig:"INFLUX_ORG" help:"organization in InfluxDB"`
	InfluxBucket            string `envconfig:"INFLUX_BUCKET" help:"bucket in InfluxDB, made if the token may"`
	InfluxToken             string `envconfig:"INFLUX_TOKEN" help:"API token of InfluxDB that may read and write the bucket"`
	InfluxTokenFile         string `envconfig:"INFLUX_TOKEN_FILE" help:"file with the API token"`
	WebListenAddress        string `envconfig:"WEB_LISTEN_ADDRESS" default:"127.0.0.1:10178" help:"where /metrics and the status page, which tell what plays, are served; :10178 for everybody in the network"`
	WebHosts                string `envconfig:"WEB_HOSTS" help:"host names by which others reach /metrics and the status page, comma separated; IP addresses, localhost and names without a dot need not be told"`
	WebConfigFile           string `envconfig:"WEB_CONFIG_FILE" help:"file of the exporter toolkit for TLS and passwords"`
	NowPlayingInfo          string `envconfig:"NOW_PLAYING_INFO" default:"true" help:"whether /metrics and the status page name what plays: true or false"`
	AlertmanagerURL         string `envconfig:"ALERTMANAGER_URL" help:"address of Alertmanager, such as http://localhost:9093, for check; if empty, nobody is told when something fails"`
	GrafanaURL              string `envconfig:"GRAFANA_URL" help:"address of Grafana, such as http://localhost:3000, for the snapshot; if empty, there is none"`
	GrafanaToken            string `envconfig:"GRAFANA_TOKEN" help:"token of a service account in Grafana with the role Editor"`
	GrafanaTokenFile        string `envconfig:"GRAFANA_TOKEN_FILE" help:"file with the token"`
	GrafanaPublicURL        string `envconfig:"GRAFANA_PUBLIC_URL" help:"address of Grafana for visitors of the snapshot; if empty, GRAFANA_URL"`
	SnapshotInterval        string `envconfig:"SNAPSHOT_INTERVAL" help:"how often run publishes the snapshot, 10m to 24h; if empty, never"`
	SnapshotDelay           string `envconfig:"SNAPSHOT_DELAY" default:"24h" help:"how much of the last hours the snapshot leaves out, 1h to 720h"`
	SnapshotDashboard       string `envconfig:"SNAPSHOT_DASHBOARD" default:"spotify-public" help:"uid of the board that is published"`
	SnapshotAccount         string `envconfig:"SNAPSHOT_ACCOUNT" help:"account whose listening is published; needed if there are several"`
	LogLevel                string `envconfig:"LOG_LEVEL" default:"info" help:"how much is logged: debug, info, warn or error"`
	LogFormat               string `envconfig:"LOG_FORMAT" help:"how it is logged: text or json; if empty, text on a terminal and json elsewhere"`
}

// stackEnvironment are the variables that docker-compose.yml alone reads. They are
// set in the same file, so that this program sees them, too.
type stackEnvironment struct {
	Image            string `envconfig:"SPOTIFY_EXPORTER_IMAGE" help:"image of spotify-exporter; if empty, it is built from this folder"`
	GrafanaPort      string `envconfig:"GRAFANA_PORT" default:"127.0.0.1:3000" help:"address and port of this machine on which Grafana is; 3000 for everybody in the network, whom a firewall of this machine may not keep out"`
	GrafanaRootURL   string `envconfig:"GRAFANA_ROOT_URL" default:"http://localhost:3000/" help:"address at which people see Grafana"`
	GrafanaEmbedding string `envconfig:"GRAFANA_EMBEDDING" default:"false" help:"whether other sites may show Grafana's pages in a frame: true or false"`
	GrafanaTimezone  string `envconfig:"GRAFANA_TIMEZONE" default:"browser" help:"time zone of the axes in Grafana, such as Europe/Berlin; days break where the listener lives, whatever it is"`
	DemoGrafanaPort  string `envconfig:"DEMO_GRAFANA_PORT" default:"3001" help:"port of this machine, for it alone, on which the Grafana of the demo is"`
}

// config is an environment that has been found good.
type config struct {
	ClientID      string // "" only if it is not needed
	ClientSecret  spotify.Secret
	Accounts      []string // empty: everyone with a token
	APIURL        string
	AccountsURL   string
	RequestBudget int // 0: no limit
	LoginAddress  string

	Zones         zones
	RecordPrivate bool
	CountFrom     time.Duration
	DataDir       string

	InfluxURL, InfluxOrg, InfluxBucket string // "": no InfluxDB
	InfluxToken                        spotify.Secret
	InfluxTokenFile                    string // where it is from, "" if that is the environment

	WebListenAddress string
	WebHosts         []string // names beside those that need not be told
	WebConfigFile    string
	NowPlayingInfo   bool
	AlertmanagerURL  string // "": none
	NobodyTold       bool   // of failures, and that is worth a word: false for the demo

	GrafanaURL, GrafanaPublicURL    string // "": no Grafana
	GrafanaToken                    spotify.Secret
	GrafanaTokenFile                string        // where it is from, "" if that is the environment; it need not be there yet
	SnapshotInterval, SnapshotDelay time.Duration // interval 0: never by itself
	SnapshotDashboard               string
	SnapshotAccount                 string // "": the only one

	LogLevel  slog.Level
	LogFormat string // "": by the kind of output

	Warnings []string // about variables that may be meant for this program and are not
}

// need is what a command needs of the configuration beyond being right.
type need bool

// The needs.
const (
	anyConfig   need = false
	needsClient need = true // a client ID, to speak to Spotify
)

// loadConfig reads and checks the environment. Its error is a configError with all
// mistakes, one a line.
func loadConfig(needed need) (config, error) {
	env, err := readEnvironment()
	if err != nil {
		return config{}, err
	}
	var c config
	mistakes := env.withoutFaulty(func() (mistakes []error) {
		c, mistakes = env.check(needed)
		return mistakes
	})
	if len(mistakes) > 0 {
		return config{}, configError{errors.Join(mistakes...)}
	}
	c.Warnings = unknownVariables(os.Environ())
	return c, nil
}

// readEnvironment fills an environment, with defaults for what is empty.
func readEnvironment() (environment, error) {
	var env environment
	if err := envconfig.Process("", &env); err != nil {
		return env, fmt.Errorf("read environment: %w", err)
	}
	fields := reflect.ValueOf(&env).Elem()
	for i := range fields.NumField() {
		if fields.Field(i).String() == "" {
			fields.Field(i).SetString(fields.Type().Field(i).Tag.Get("default"))
		}
	}
	return env, nil
}

// maxValue is the length of the longest value that a variable may have, in bytes. A path in Linux has no more.
const maxValue = 4096

// withoutFaulty calls check while every variable has its default whose value cannot be what somebody meant, and returns
// what is wrong with these, and behind it what check says of the others.
func (env *environment) withoutFaulty(check func() []error) (mistakes []error) {
	faulty := make(map[string]bool)
	fields := reflect.ValueOf(env).Elem()
	for i := range fields.NumField() {
		tag, value := fields.Type().Field(i).Tag, fields.Field(i).String()
		name, fault := tag.Get("envconfig"), ""
		if len(value) > maxValue {
			fault = fmt.Sprintf("has %d bytes, more than the %d that are allowed", len(value), maxValue)
		} else if value != "" {
			fault = faultOf(value)
		}
		if fault != "" {
			mistakes = append(mistakes, fmt.Errorf("%s: the value %s", name, fault))
			faulty[name] = true
			fields.Field(i).SetString(tag.Get("default"))
		}
	}
	for _, mistake := range check() {
		if name, _, _ := strings.Cut(mistake.Error(), ":"); !faulty[name] {
			mistakes = append(mistakes, mistake)
		}
	}
	return mistakes
}

// journalPath is where the journal is, or will be.
func (c *config) journalPath() string { return filepath.Join(c.DataDir, "journal.db") }

// tokens is the folder of the logins.
func (c *config) tokens() spotify.Tokens {
	return spotify.Tokens{Dir: filepath.Join(c.DataDir, "tokens")}
}

// makeDataDir makes the data directory and tries whether it can be written. Root
// is its owner from then on: open what only root may read before.
func (c *config) makeDataDir() error {
	err := os.MkdirAll(c.DataDir, 0o700)
	if err == nil {
		err = becomeOwner(c.DataDir)
	}
	if err == nil {
		err = tryWriting(c.DataDir)
	}
	return c.cannotWrite(err)
}

// cannotWrite says what to do about an error of writing to the data directory; nil if there is none.
func (c *config) cannotWrite(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("DATA_DIR: nothing can be written there (%q), make room: %w", c.DataDir, err) // the configuration is right
	default:
		return configError{fmt.Errorf("DATA_DIR: must be a folder that user id %d may write (got %q): %w", os.Getuid(), c.DataDir, err)}
	}
}

// tryWriting makes a file in a folder and removes it: modes alone do not tell, a
// file system may be read-only or full.
func tryWriting(dir string) error {
	file, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// check returns env as a config, and what is wrong with it in the order of
// .env.example.
func (env *environment) check(needed need) (config, []error) {
	c := config{
		InfluxOrg:    env.InfluxOrg,
		InfluxBucket: env.InfluxBucket,
		DataDir:      env.DataDir,
	}
	var mistakes []error
	wrong := func(err error) {
		if err != nil {
			mistakes = append(mistakes, err)
		}
	}
	var err error
	if env.SpotifyClientID == "" && needed == needsClient {
		wrong(errors.New("SPOTIFY_CLIENT_ID: required; create an app at https://developer.spotify.com/dashboard and copy its Client ID"))
	}
	if strings.ContainsAny(env.SpotifyClientID, " \t\r\n") {
		wrong(given("SPOTIFY_CLIENT_ID", "must be the Client ID of the app, without spaces", env.SpotifyClientID))
	}
	c.ClientID = env.SpotifyClientID
	c.ClientSecret, err = secret("SPOTIFY_CLIENT_SECRET", env.SpotifyClientSecret, env.SpotifyClientSecretFile)
	wrong(err)
	c.Accounts, err = aliases(env.SpotifyAccounts)
	wrong(err)
	c.APIURL, err = address("SPOTIFY_API_URL", env.SpotifyAPIURL)
	wrong(err)
	c.AccountsURL, err = address("SPOTIFY_ACCOUNTS_URL", env.SpotifyAccountsURL)
	wrong(err)
	c.RequestBudget, err = strconv.Atoi(env.SpotifyRequestBudget)
	if err != nil || c.RequestBudget < 0 || c.RequestBudget > 1_000_000 {
		wrong(given("SPOTIFY_REQUEST_BUDGET", "must be a number from 0 (no limit) to 1000000", env.SpotifyRequestBudget))
	}
	c.LoginAddress = env.LoginAddress
	if at, err := netip.ParseAddrPort(env.LoginAddress); err != nil || at.Addr().String() != "127.0.0.1" && at.Addr().String() != "::1" {
		wrong(given("LOGIN_ADDRESS", "must be 127.0.0.1:PORT or [::1]:PORT, the only ones that Spotify takes without https", env.LoginAddress))
	}
	c.Zones, err = newZones(env.Timezone, os.Getenv("TZ"), "/etc/localtime", inContainer())
	wrong(err)
	wrong(c.Zones.checkAccounts(c.Accounts))
	c.RecordPrivate, err = boolean("RECORD_PRIVATE", env.RecordPrivate)
	wrong(err)
	c.CountFrom, err = time.ParseDuration(env.CountFrom)
	if err != nil || c.CountFrom < time.Second || c.CountFrom > 10*time.Minute {
		wrong(given("COUNT_FROM", "must be a duration from 1s to 10m", env.CountFrom))
	}
	for _, mistake := range env.checkInflux(&c) {
		wrong(mistake)
	}
	c.WebListenAddress = env.WebListenAddress
	if !isListenAddress(env.WebListenAddress) {
		wrong(errListenAddress(env.WebListenAddress))
	}
	c.WebHosts, err = hostNames("WEB_HOSTS", env.WebHosts)
	wrong(err)
	c.WebConfigFile = env.WebConfigFile
	c.NowPlayingInfo, err = boolean("NOW_PLAYING_INFO", env.NowPlayingInfo)
	wrong(err)
	c.NobodyTold = env.AlertmanagerURL == ""
	if !c.NobodyTold {
		c.AlertmanagerURL, err = server("ALERTMANAGER_URL", env.AlertmanagerURL, "/api/v2")
		wrong(err)
	}
	for _, mistake := range env.checkSnapshot(&c) {
		wrong(mistake)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, env.LogLevel) || c.LogLevel.UnmarshalText([]byte(env.LogLevel)) != nil {
		wrong(given("LOG_LEVEL", "must be debug, info, warn or error", env.LogLevel))
	}
	c.LogFormat = env.LogFormat
	if env.LogFormat != "" && env.LogFormat != "text" && env.LogFormat != "json" {
		wrong(given("LOG_FORMAT", "must be text or json", env.LogFormat))
	}
	wrong(checkProxy("HTTPS_PROXY"))
	wrong(checkProxy("HTTP_PROXY"))
	return c, mistakes
}

// checkInflux takes over the INFLUX_… variables: all of them, or none.
func (env *environment) checkInflux(c *config) (mistakes []error) {
	var err error
	if env.InfluxURL != "" {
		if c.InfluxURL, err = server("INFLUX_URL", env.InfluxURL, "/api/v2"); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	if c.InfluxToken, err = secret("INFLUX_TOKEN", env.InfluxToken, env.InfluxTokenFile); err != nil {
		mistakes = append(mistakes, err)
	}
	c.InfluxTokenFile = env.InfluxTokenFile
	token := env.InfluxToken + env.InfluxTokenFile
	if env.InfluxURL+env.InfluxOrg+env.InfluxBucket+token == "" {
		return nil
	}
	for _, needed := range []struct{ name, value, hint string }{
		{"INFLUX_URL", env.InfluxURL, "it is the address of InfluxDB, such as http://localhost:8086"},
		{"INFLUX_ORG", env.InfluxOrg, "it is the organization that owns the bucket"},
		{"INFLUX_BUCKET", env.InfluxBucket, "choose a name"},
		{"INFLUX_TOKEN", token, `create one in InfluxDB under "Load Data › API Tokens", or set INFLUX_TOKEN_FILE`},
	} {
		if needed.value == "" {
			mistakes = append(mistakes, fmt.Errorf("%s: required if another INFLUX_ variable is set; %s", needed.name, needed.hint))
		}
	}
	return mistakes
}

// checkSnapshot takes over the GRAFANA_… and SNAPSHOT_… variables.
func (env *environment) checkSnapshot(c *config) (mistakes []error) {
	wrong := func(err error) {
		if err != nil {
			mistakes = append(mistakes, err)
		}
	}
	var err error
	if env.GrafanaURL != "" {
		c.GrafanaURL, err = server("GRAFANA_URL", env.GrafanaURL, "/api")
		wrong(err)
	}
	token := env.GrafanaToken + env.GrafanaTokenFile
	if wanted := token + env.GrafanaPublicURL + env.SnapshotInterval; env.GrafanaURL == "" && wanted != "" {
		wrong(errors.New("GRAFANA_URL: required if GRAFANA_TOKEN, GRAFANA_PUBLIC_URL or SNAPSHOT_INTERVAL is set; it is the address of Grafana, such as http://localhost:3000"))
	}
	c.GrafanaToken, err = secret("GRAFANA_TOKEN", env.GrafanaToken, env.GrafanaTokenFile)
	if !errors.Is(err, fs.ErrNotExist) { // setup makes it when Grafana runs
		wrong(err)
	}
	c.GrafanaTokenFile = env.GrafanaTokenFile
	if token == "" && env.SnapshotInterval != "" {
		wrong(errNoGrafanaToken)
	}
	c.GrafanaPublicURL = c.GrafanaURL
	if env.GrafanaPublicURL != "" {
		c.GrafanaPublicURL, err = server("GRAFANA_PUBLIC_URL", env.GrafanaPublicURL, "/api")
		wrong(err)
	}
	if env.SnapshotInterval != "" {
		c.SnapshotInterval, err = time.ParseDuration(env.SnapshotInterval)
		if err != nil || c.SnapshotInterval < 10*time.Minute || c.SnapshotInterval > 24*time.Hour {
			wrong(given("SNAPSHOT_INTERVAL", "must be a duration from 10m to 24h, or empty", env.SnapshotInterval))
		}
	}
	c.SnapshotDelay, err = time.ParseDuration(env.SnapshotDelay)
	if err != nil || c.SnapshotDelay < time.Hour || c.SnapshotDelay > 720*time.Hour {
		wrong(given("SNAPSHOT_DELAY", "must be a duration from 1h to 720h", env.SnapshotDelay))
	}
	c.SnapshotDashboard = env.SnapshotDashboard
	if !dashboardUID.MatchString(env.SnapshotDashboard) {
		wrong(given("SNAPSHOT_DASHBOARD", "must be the uid of a board, 1 to 40 of letters, digits, - and _: the part after /d/ in its address", env.SnapshotDashboard))
	}
	c.SnapshotAccount = env.SnapshotAccount
	if err := spotify.CheckAlias(env.SnapshotAccount); env.SnapshotAccount != "" && err != nil {
		wrong(fmt.Errorf("SNAPSHOT_ACCOUNT: %w", err))
	}
	return mistakes
}

var errNoGrafanaToken = errors.New(`GRAFANA_TOKEN: required for the snapshot; make one in Grafana under "Administration › Users and access › Service accounts", with the role Editor, or set GRAFANA_TOKEN_FILE`)

var dashboardUID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,40}$`)

// given is the error of a value that is not a secret.
func given(name, rule, value string) error {
	return fmt.Errorf("%s: %s (got %q)", name, rule, value)
}

func aliases(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	var accounts []string
	for alias := range strings.SplitSeq(list, ",") {
		alias = strings.TrimSpace(alias)
		if err := spotify.CheckAlias(alias); err != nil {
			return nil, fmt.Errorf("SPOTIFY_ACCOUNTS: %w", err)
		}
		if slices.Contains(accounts, alias) {
			return nil, given("SPOTIFY_ACCOUNTS", "must name each account once", list)
		}
		accounts = append(accounts, alias)
	}
	return accounts, nil
}

// address checks the URL of a server. What may hold a password or a token is not
// repeated.
func address(name, value string) (string, error) {
	const rule = "http:// or https://, a host, and at most a path"
	u, err := url.Parse(value)
	switch {
	case strings.Contains(value, "@"):
		return "", fmt.Errorf("%s: must be without user and password", name)
	case strings.ContainsAny(value, "?#"):
		return "", fmt.Errorf("%s: must be without ? and #: %s", name, rule)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", given(name, "must be "+rule, value)
	}
	return value, nil
}

// server checks the URL of a server whose API is below api: that part is added to the URL, and must not be in it.
func server(name, value, api string) (string, error) {
	value, err := address(name, value)
	if err != nil {
		return "", err
	}
	if before, _, found := strings.Cut(value+"/", api+"/"); found {
		return "", given(name, fmt.Sprintf("must be without %s: %s", api, before), value)
	}
	return value, nil
}

// checkProxy checks a variable of Go's HTTP client, in the spelling that it takes. Of
// what it cannot read the client makes another proxy, or none, without a word. The
// value, which may hold a password, is not repeated.
func checkProxy(name string) error {
	value := os.Getenv(name)
	if value == "" {
		name = strings.ToLower(name)
		value = os.Getenv(name)
	}
	if value == "" {
		return nil
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) || u.Hostname() == "" || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" {
		return fmt.Errorf("%s: must be http://, https:// or socks5://, and the host and port of a proxy; in a user or password before them, write @ : / ? # %% as %%40 %%3A %%2F %%3F %%23 %%25", name)
	}
	return nil
}

func boolean(name, value string) (bool, error) {
	switch value {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, given(name, "must be true or false", value)
}

func errListenAddress(address string) error {
	return given("WEB_LISTEN_ADDRESS", "must be host:port or :port, with a port from 0 (any free one) to 65535", address)
}

func isListenAddress(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// hostNames reads a list of host names.
func hostNames(variable, list string) (names []string, err error) {
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if !hostName.MatchString(name) {
			return nil, given(variable, "must be host names such as music.example.org, comma separated, without scheme, port and path", name)
		}
		names = append(names, name)
	}
	return names, nil
}

// hostName is a name as the Host header of a request has it. It is not held against all rules of DNS.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)

// serviceLink are the names of variables that Kubernetes sets for every service.
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// unknownVariables returns a warning for each variable that looks as if it was
// meant for this program and is not.
func unknownVariables(environ []string) (warnings []string) {
	var known []string
	for field := range reflect.TypeFor[environment]().Fields() {
		known = append(known, field.Tag.Get("envconfig"))
	}
	var stack []string
	for field := range reflect.TypeFor[stackEnvironment]().Fields() {
		stack = append(stack, field.Tag.Get("envconfig"))
	}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		ours := strings.HasPrefix(name, "SPOTIFY_") || strings.HasPrefix(name, "INFLUX_") || strings.HasPrefix(name, "GRAFANA_") || strings.HasPrefix(name, "SNAPSHOT_")
		if slices.Contains(known, name) || slices.Contains(stack, name) || serviceLink.MatchString(name) {
			continue
		}
		closest := slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
		away := distance(name, closest)
		if !ours && away > 1 {
			continue
		}
		warning := name + " is set but has no meaning here"
		if away <= 3 {
			warning += ": is " + closest + " meant?"
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

// distance is how many letters have to be put in, taken out or replaced to make
// b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
