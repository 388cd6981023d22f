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
	To            string `required:"" placeholder:"DIR" help:"Folder for the files with the tokens."`
	OperatorToken string `placeholder:"FILE" help:"File with a token of InfluxDB that may do everything, which is made for a new server (default: influx-operator-token in DIR)."`
	Grafana       string `placeholder:"URL" help:"Make a token for snapshot, too, in the Grafana at this address."`
	GrafanaGroup  int    `placeholder:"GID" help:"Group that may read the files for Grafana; in its image that is 472."`
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

// adminUser is the first user of InfluxDB and Grafana.
const adminUser = "admin"

// Run prepares InfluxDB, and the secrets that Grafana starts with. Whatever is
// there and right stays as it is, so that it may be run at every start.
func (c *setupCommand) Run(ctx context.Context, p *program) error {
	if c.GrafanaGroup < 0 {
		return usageError{fmt.Errorf("--grafana-group: must be the id of a group (got %d)", c.GrafanaGroup)}
	}
	if c.Grafana != "" {
		if _, err := server("--grafana", c.Grafana, "/api"); err != nil {
			return usageError{err}
		}
	}
	c.OperatorToken = cmp.Or(c.OperatorToken, filepath.Join(c.To, influxOperatorFile))
	env, err := readEnvironment()
	if err != nil {
		return err
	}
	if mistakes := env.withoutFaulty(env.checkSetup); len(mistakes) > 0 {
		return usageError{errors.Join(mistakes...)}
	}
	if err := os.MkdirAll(c.To, 0o755); err != nil { // Grafana goes through it
		return fmt.Errorf("make the folder for the tokens: %w", err)
	}
	s := &setup{setupCommand: c, check: check{out: p.stdout}, env: env}
	if err := s.grafanaSecrets(); err != nil {
		return err
	}
	if err := s.influx(ctx); err != nil || c.Grafana == "" {
		return err
	}
	return s.grafana(ctx)
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

// grafanaSecrets makes what Grafana must have before its first start and keep.
func (s *setup) grafanaSecrets() error {
	for _, secret := range []struct{ file, what string }{
		{grafanaPasswordFile, "password of its user " + adminUser + " from its first start on"},
		{grafanaKeyFile, "key of the secrets in its database, likewise"},
	} {
		path := filepath.Join(s.To, secret.file)
		content, err := readSecret(path)
		if err != nil {
			return err
		}
		if err := writeSecret(path, cmp.Or(content, newSecret()), s.GrafanaGroup); err != nil {
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
		{"InfluxDB", influxTokenFile, "INFLUX_TOKEN_FILE, may read and write it", "run takes the new one within minutes", 0,
			operator.Issuer(influx.Read|influx.Write, "spotify-exporter: read and write bucket "+s.env.InfluxBucket)},
		{"InfluxDB", grafanaInfluxTokenFile, "for Grafana, may read it", "start Grafana again", s.GrafanaGroup,
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
	path := filepath.Join(filepath.Dir(s.OperatorToken), influxPasswordFile)
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
	password, err := readSecret(filepath.Join(s.To, grafanaPasswordFile))
	if err != nil {
		return err
	}
	issuer, err := grafana.NewIssuer(s.Grafana, adminUser, password, userAgent(), http.DefaultTransport)
	if err != nil {
		return err
	}
	t := token{"Grafana", grafanaTokenFile, "GRAFANA_TOKEN_FILE, may publish snapshots", "run takes the new one when it publishes next", 0, issuer}
	err = s.issue(ctx, t)
	if !errors.Is(err, grafana.ErrPassword) {
		return err
	}
	// Somebody has changed it, which is no harm as long as the token is good.
	path := filepath.Join(s.To, t.file)
	if current, _ := readSecret(path); current != "" {
		if known, _ := issuer.Allows(ctx, current); known {
			s.ok("Grafana", "token "+t.what+": "+path)
			return nil
		}
	}
	return fmt.Errorf("log in to Grafana as %s: %w: put the right one into %s, or a token of a service account with the role Editor into %s",
		adminUser, err, filepath.Join(s.To, grafanaPasswordFile), path)
}

// token is a token as it should be.
type token struct {
	subject, file, what string
	replaced            string // what a new one in the place of another asks for
	group               int    // that may read the file; 0: none
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
	path := filepath.Join(s.To, t.file)
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
		return writeSecret(path, current, t.group) // its owner and mode may be wrong
	}
	fresh, err := t.issuer.Issue(ctx)
	if err != nil {
		return fmt.Errorf("make a token: %w", err)
	}
	if err := writeSecret(path, fresh, t.group); err != nil {
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

// writeSecret replaces a file: whole and on the disk when it returns, or not at
// all. This user may read it, and a group unless that is 0.
func writeSecret(path, content string, group int) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	if group != 0 {
		if err = file.Chown(-1, group); err != nil {
			err = fmt.Errorf("--grafana-group: user id %d must be in group %d, or root: %w", os.Getuid(), group, err)
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
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write secret: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
