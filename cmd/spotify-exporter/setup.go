package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

type setupCommand struct {
	To            string   `required:"" placeholder:"DIR" help:"Folder for the files with the exporter's tokens."`
	Group         int      `placeholder:"GID" help:"Group that may read the exporter's files."`
	OperatorToken string   `placeholder:"FILE" help:"File with a token of InfluxDB that may do everything, which is made for a new server (default: influx-operator-token in DIR)."`
	GrafanaTo     string   `placeholder:"DIR" help:"Folder for Grafana's files (default: that of --to)."`
	GrafanaGroup  int      `placeholder:"GID" help:"Group that may read Grafana's files; in its image that is 472."`
	Grafana       string   `placeholder:"URL" help:"Make a token for snapshot, too, in the Grafana at this address."`
	Snapshots     string   `placeholder:"INTERVAL" help:"With --grafana: SNAPSHOT_INTERVAL of run. With never no token for snapshot is made, and the one that is there is revoked."`
	MoveFrom      []string `placeholder:"DIR" help:"Folders that an older version has left its files in: they are moved to where they belong now."`
}

// The files of setup, in the order in which they are made.
const (
	grafanaPasswordFile    = "grafana-admin-password" // of Grafana's user admin
	grafanaKeyFile         = "grafana-secret-key"     // with which Grafana encrypts its database
	influxOperatorFile     = "influx-operator-token"  // may do everything in InfluxDB
	influxPasswordFile     = "influx-admin-password"  // of InfluxDB's user admin, beside the operator's token
	influxTokenFile        = "influx-token"           // reads and writes the bucket
	grafanaInfluxTokenFile = "grafana-influx-token"   // reads it
	grafanaTokenFile       = "grafana-token"          // publishes snapshots
)

// setupFiles are all files of setup.
var setupFiles = []string{
	grafanaPasswordFile, grafanaKeyFile, influxOperatorFile, influxPasswordFile, influxTokenFile, grafanaInfluxTokenFile, grafanaTokenFile,
}

// place returns where a file of setup is, and the group that may read it beside the
// user of setup; 0: none.
func (c *setupCommand) place(file string) (path string, group int) {
	switch file {
	case influxOperatorFile:
		return c.OperatorToken, 0
	case influxPasswordFile:
		return filepath.Join(filepath.Dir(c.OperatorToken), file), 0
	case grafanaPasswordFile, grafanaKeyFile, grafanaInfluxTokenFile:
		return filepath.Join(c.GrafanaTo, file), c.GrafanaGroup
	default:
		return filepath.Join(c.To, file), c.Group
	}
}

// adminUser is the first user of InfluxDB and Grafana.
const adminUser = "admin"

// Run prepares InfluxDB, and the secrets that Grafana starts with. Whatever is
// there and right stays as it is, so that it may be run at every start.
func (c *setupCommand) Run(ctx context.Context, p *program) error {
	if group := min(c.Group, c.GrafanaGroup); group < 0 {
		return usageError{fmt.Errorf("--group, --grafana-group: must be the id of a group (got %d)", group)}
	}
	if c.Grafana != "" {
		if _, err := server("--grafana", c.Grafana, "/api"); err != nil {
			return usageError{err}
		}
	}
	c.OperatorToken = cmp.Or(c.OperatorToken, filepath.Join(c.To, influxOperatorFile))
	c.GrafanaTo = cmp.Or(c.GrafanaTo, c.To)
	env, err := readEnvironment()
	if err != nil {
		return err
	}
	if mistakes := env.withoutFaulty(env.checkSetup); len(mistakes) > 0 {
		return configError{errors.Join(mistakes...)}
	}
	for _, dir := range []string{c.To, c.GrafanaTo} {
		if err := os.MkdirAll(dir, 0o755); err != nil { // files have owners and modes of their own
			return fmt.Errorf("make the folder for the tokens: %w", err)
		}
	}
	s := &setup{setupCommand: c, check: check{out: p.stdout}, env: env}
	if err := s.move(); err != nil {
		return err
	}
	if err := s.grafanaSecrets(); err != nil {
		return err
	}
	if err := s.influx(ctx); err != nil {
		return err
	}
	if c.Grafana != "" {
		if err := s.grafana(ctx); err != nil {
			return err
		}
	}
	return s.settings()
}

// checkSetup tells what setup misses in the environment.
func (env *environment) checkSetup() (mistakes []error) {
	if env.InfluxURL == "" {
		mistakes = append(mistakes, errors.New("INFLUX_URL: required; it is the address of InfluxDB, such as http://localhost:8086"))
	} else if _, err := server("INFLUX_URL", env.InfluxURL, "/api/v2"); err != nil {
		mistakes = append(mistakes, err)
	}
	if env.InfluxOrg == "" {
		mistakes = append(mistakes, errors.New("INFLUX_ORG: required; it is the organization that owns the bucket"))
	}
	if env.InfluxBucket == "" {
		mistakes = append(mistakes, errors.New("INFLUX_BUCKET: required; choose a name"))
	}
	return mistakes
}

// setup is a setup under way. It writes what it has done, in the form of check.
type setup struct {
	*setupCommand
	check
	env environment
}

// move takes over the files of an older version, which had fewer folders with more
// readers. A file leaves the old folder when the new one is on disk: a move that
// broke off goes on the next time.
func (s *setup) move() error {
	for _, dir := range s.MoveFrom {
		for _, file := range setupFiles {
			if err := s.moveFile(filepath.Join(dir, file), file); err != nil {
				return err
			}
		}
		unfinished, err := filepath.Glob(filepath.Join(dir, unfinishedFiles))
		if err != nil {
			return fmt.Errorf("--move-from: %w", err)
		}
		for _, path := range unfinished {
			if err := removeSecret(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *setup) moveFile(old, file string) error {
	secret, err := readSecret(old)
	if err != nil || secret == "" {
		return err
	}
	path, group := s.place(file)
	if isSameFile(old, path) {
		return nil
	}
	current, err := readSecret(path)
	if err != nil {
		return err
	}
	switch current {
	case "":
		if err := writeSecret(path, secret, group); err != nil {
			return err
		}
	case secret: // a move that broke off
	default:
		s.warning("secrets", old+" is not what is in use: "+path, "remove it, nobody needs it")
		return nil
	}
	if err := removeSecret(old); err != nil {
		return err
	}
	s.ok("secrets", old+" is now "+path)
	return nil
}

// isSameFile reports whether two paths lead to one file.
func isSameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// grafanaSecrets makes what Grafana must have before its first start and keep.
func (s *setup) grafanaSecrets() error {
	for _, secret := range []struct{ file, what string }{
		{grafanaPasswordFile, "password of its user " + adminUser + " from its first start on"},
		{grafanaKeyFile, "key of the secrets in its database, likewise"},
	} {
		path, group := s.place(secret.file)
		content, err := readSecret(path)
		if err != nil {
			return err
		}
		if err := writeSecret(path, cmp.Or(content, newSecret()), group); err != nil {
			return err
		}
		s.ok("Grafana", secret.what+": "+path)
	}
	return nil
}

// influx sees to a user, the bucket and the two tokens.
func (s *setup) influx(ctx context.Context) error {
	operatorToken, err := readSecret(s.OperatorToken)
	if err != nil {
		return err
	}
	options := influx.Options{
		URL: s.env.InfluxURL, Org: s.env.InfluxOrg, Bucket: s.env.InfluxBucket,
		Token: cmp.Or(operatorToken, newSecret()), Base: newInfluxTransport(), UserAgent: userAgent(),
	}
	operator, err := influx.NewOperator(options)
	if err != nil {
		return err
	}
	fresh, err := operator.Fresh(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("ask InfluxDB: %w", err)
	case fresh:
		err = s.onboard(ctx, operator, options.Token)
	case operatorToken == "":
		err = fmt.Errorf("InfluxDB has been set up already, and %s is not there: put a token into it that may do everything (%s)", s.OperatorToken, operatorHint)
	}
	if err != nil {
		return err
	}
	warnings, err := operator.PrepareBucket(ctx)
	if err != nil {
		return s.explain(err)
	}
	s.ok("InfluxDB", fmt.Sprintf("bucket %q is there", s.env.InfluxBucket))
	for _, warning := range warnings {
		s.warning("InfluxDB", warning, "")
	}
	for _, t := range []token{
		{"InfluxDB", influxTokenFile, "INFLUX_TOKEN_FILE, may read and write it", "run takes the new one within minutes",
			operator.Issuer(influx.Read|influx.Write, "spotify-exporter: read and write bucket "+s.env.InfluxBucket)},
		{"InfluxDB", grafanaInfluxTokenFile, "for Grafana, may read it", "start Grafana again",
			operator.Issuer(influx.Read, "Grafana for spotify-exporter: read bucket "+s.env.InfluxBucket)},
	} {
		if err := s.issue(ctx, t); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// onboard makes the first user. Its password and its token are on disk before, so
// that they are known even if nobody hears the answer.
func (s *setup) onboard(ctx context.Context, operator *influx.Operator, token string) error {
	path, _ := s.place(influxPasswordFile)
	password, err := readSecret(path)
	if err != nil {
		return err
	}
	password = cmp.Or(password, newSecret())
	if err := writeSecret(path, password, 0); err != nil {
		return err
	}
	if err := writeSecret(s.OperatorToken, token, 0); err != nil {
		return err
	}
	if err := operator.Onboard(ctx, adminUser, password); err != nil {
		return fmt.Errorf("set up InfluxDB: %w", err)
	}
	s.ok("InfluxDB", fmt.Sprintf("is set up; the password of its user %s is in %s, a token that may do everything in %s", adminUser, path, s.OperatorToken))
	return nil
}

// operatorHint is where a token comes from that may do everything.
const operatorHint = `in InfluxDB's own pages under "Load Data › API Tokens", or, with the server stopped, by "influxd recovery auth create-operator"`

// explain says what to do about an answer to the operator.
func (s *setup) explain(err error) error {
	failure, ok := errors.AsType[*influx.Error](err)
	if errors.Is(err, influx.ErrNotOperator) || ok && (failure.Reason == influx.Unauthorized || failure.Reason == influx.Forbidden) {
		return fmt.Errorf("%w: the token in %s is not one of this server that may do everything in %q; put one there (%s)", err, s.OperatorToken, s.env.InfluxOrg, operatorHint)
	}
	return err
}

// grafana makes the token that snapshot needs.
func (s *setup) grafana(ctx context.Context) error {
	path, _ := s.place(grafanaTokenFile)
	current, err := readSecret(path)
	if err != nil {
		return err
	}
	if s.Snapshots == noSnapshots && current == "" {
		s.ok("Grafana", "no token for snapshots is made: SNAPSHOT_INTERVAL is not set")
		return nil
	}
	passwordPath, _ := s.place(grafanaPasswordFile)
	password, err := readSecret(passwordPath)
	if err != nil {
		return err
	}
	issuer, err := grafana.NewIssuer(s.Grafana, adminUser, password, userAgent(), http.DefaultTransport)
	if err != nil {
		return err
	}
	if s.Snapshots == noSnapshots {
		return s.revokeSnapshots(ctx, issuer, path)
	}
	t := token{"Grafana", grafanaTokenFile, "GRAFANA_TOKEN_FILE, may publish snapshots", "run takes the new one when it publishes next", issuer}
	err = s.issue(ctx, t)
	if !errors.Is(err, grafana.ErrPassword) {
		return err
	}
	// Somebody has changed it, which is no harm as long as the token is good.
	if current != "" {
		if known, _ := issuer.Allows(ctx, current); known {
			s.ok("Grafana", "token "+t.what+": "+path)
			return nil
		}
	}
	return fmt.Errorf("log in to Grafana as %s: %w: put the right one into %s, or a token of a service account with the role Editor into %s",
		adminUser, err, passwordPath, path)
}

// noSnapshots is --snapshots where none are published.
const noSnapshots = "never"

// revokeSnapshots revokes the token for snapshots and removes its file.
func (s *setup) revokeSnapshots(ctx context.Context, issuer issuer, path string) error {
	ids, err := issuer.Issued(ctx)
	if err == nil {
		err = issuer.Revoke(ctx, ids)
	}
	if err != nil {
		return fmt.Errorf("revoke the token for snapshots, since SNAPSHOT_INTERVAL is not set: %w", err)
	}
	if err := removeSecret(path); err != nil {
		return err
	}
	s.ok("Grafana", "the token for snapshots is revoked: SNAPSHOT_INTERVAL is not set")
	return nil
}

// token is a token as it should be.
type token struct {
	subject, file, what string
	replaced            string // what a new one in the place of another asks for
	issuer              issuer
}

// issuer makes tokens of one kind: in InfluxDB, or in Grafana.
type issuer interface {
	// Issued returns the ids of those that there are.
	Issued(ctx context.Context) (ids []string, err error)
	// Allows tells whether a token is one of this kind.
	Allows(ctx context.Context, token string) (bool, error)
	// Issue makes one and returns it, once and for all.
	Issue(ctx context.Context) (token string, err error)
	Revoke(ctx context.Context, ids []string) error
}

// issue makes a token, unless the one in the file is right. A token is told only
// once: one whose file is lost, or that was made by a setup that broke off then, is
// revoked as soon as the new one is on disk.
func (s *setup) issue(ctx context.Context, t token) error {
	path, group := s.place(t.file)
	current, err := readSecret(path)
	if err != nil {
		return err
	}
	before, err := t.issuer.Issued(ctx)
	if err != nil {
		return err
	}
	allowed := false
	if current != "" && len(before) == 1 {
		if allowed, err = t.issuer.Allows(ctx, current); err != nil {
			return err
		}
	}
	if allowed {
		s.ok(t.subject, "token "+t.what+": "+path)
		return writeSecret(path, current, group) // its owner and mode may be wrong
	}
	fresh, err := t.issuer.Issue(ctx)
	if err != nil {
		return fmt.Errorf("make a token: %w", err)
	}
	if err := writeSecret(path, fresh, group); err != nil {
		return err
	}
	if err := t.issuer.Revoke(ctx, before); err != nil {
		return fmt.Errorf("revoke the token before: %w", err)
	}
	text := "new token " + t.what + ": " + path
	if len(before) > 0 {
		text += fmt.Sprintf("; the one before is revoked (%d): %s", len(before), t.replaced)
	}
	s.ok(t.subject, text)
	return nil
}

// settings prints what run has to be told, without any secret.
func (s *setup) settings() error {
	settings := [][2]string{{"INFLUX_URL", s.env.InfluxURL}, {"INFLUX_ORG", s.env.InfluxOrg}, {"INFLUX_BUCKET", s.env.InfluxBucket}}
	addFile := func(variable, file string) error {
		path, _ := s.place(file)
		path, err := filepath.Abs(path)
		settings = append(settings, [2]string{variable, path})
		return err
	}
	if err := addFile("INFLUX_TOKEN_FILE", influxTokenFile); err != nil {
		return err
	}
	if s.Grafana != "" && s.Snapshots != noSnapshots {
		settings = append(settings, [2]string{"GRAFANA_URL", s.Grafana})
		if err := addFile("GRAFANA_TOKEN_FILE", grafanaTokenFile); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.out, "\nPut these lines into .env (docker-compose.yml sets them by itself):")
	for _, setting := range settings {
		fmt.Fprintf(s.out, "%s=%s\n", setting[0], quoteSetting(setting[1]))
	}
	return nil
}

// quoteSetting returns a value as it stands in .env. A shell, Docker Compose and
// systemd read it alike.
func quoteSetting(value string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+,="
	if strings.Trim(value, plain) == "" {
		return value
	}
	if !strings.Contains(value, "'") {
		return "'" + value + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(value) + `"`
}

// newSecret returns 192 random bits in letters of all kinds, digits, "-" and "_".
func newSecret() string {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// readSecret returns what is in a file, "" if it is not there or empty.
func readSecret(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret as user id %d: %w", os.Getuid(), err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}

// unfinishedFiles are what writeSecret leaves behind if it breaks off.
const unfinishedFiles = ".new-*"

// writeSecret replaces a file: whole and on the disk when it returns, or not at
// all. This user may read it, and a group unless that is 0.
func writeSecret(path, content string, group int) error {
	file, err := os.CreateTemp(filepath.Dir(path), unfinishedFiles) // mode 0600
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	if group != 0 {
		if err = file.Chown(-1, group); err != nil {
			err = fmt.Errorf("to let group %d read it, user id %d must be in that group, or root: %w", group, os.Getuid(), err)
		} else {
			err = file.Chmod(0o640)
		}
	}
	if err == nil {
		_, err = file.WriteString(content)
	}
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write secret: %w", err), os.Remove(file.Name()))
	}
	return syncFolder(path)
}

// removeSecret removes a file, and is sure of it when it returns.
func removeSecret(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove secret as user id %d: %w", os.Getuid(), err)
	}
	return syncFolder(path)
}

// syncFolder puts on disk which files the folder of path has.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open the folder of a secret: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
