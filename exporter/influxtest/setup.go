package influxtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
)

// Access is what a token may do with one bucket.
type Access int

// The two permissions that InfluxDB has for a bucket; Read|Write is both.
const (
	Read Access = 1 << iota
	Write
)

const (
	operator = "operator"
	password = "not-secret"
)

// newServer starts the influxd that find found and does what a user does first: onboarding, with a token.
func newServer(flags ...string) (*Server, error) {
	s, err := freshServer(flags...)
	if err != nil {
		return nil, err
	}
	s.Org = "home"
	if err := s.onboard(context.Background()); err != nil {
		return nil, errors.Join(err, s.process.remove())
	}
	return s, nil
}

// freshServer starts the influxd that find found.
func freshServer(flags ...string) (*Server, error) {
	b, err := find()
	if err != nil {
		return nil, err
	}
	p, err := newProcess(b)
	if err != nil {
		return nil, err
	}
	p.flags = flags
	if err := p.start(); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return &Server{URL: p.url(), Version: b.version, process: p}, nil
}

func (s *Server) onboard(ctx context.Context) error {
	if !s.V2() {
		// The first user may be made by anybody.
		if err := s.influxQL(ctx, `CREATE USER %s WITH PASSWORD '%s' WITH ALL PRIVILEGES`, operator, password); err != nil {
			return fmt.Errorf("make admin user: %w", err)
		}
		s.Token = operator + ":" + password
		return nil
	}
	var made struct {
		Org  struct{ ID string }
		Auth struct{ Token string }
	}
	err := s.post(ctx, "/api/v2/setup", map[string]any{
		"username": operator, "password": password, "org": s.Org, "bucket": "onboarding", "retentionPeriodSeconds": 0,
	}, &made)
	if err != nil {
		return fmt.Errorf("set up InfluxDB: %w", err)
	}
	s.orgID, s.Token = made.Org.ID, made.Auth.Token
	return nil
}

// Bucket makes an empty bucket for this test and returns its name: kept for ever, in shard groups of 7 days, as a
// user has it who gives nothing but a name. On 1.8 it is a database with its default retention policy, "db/autogen".
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := s.unique(t)
	if !s.V2() {
		if err := s.influxQL(t.Context(), `CREATE DATABASE "%s"`, name); err != nil {
			t.Fatalf("make database: %v", err)
		}
		return name + "/autogen"
	}
	if err := s.post(t.Context(), "/api/v2/buckets", map[string]any{"orgID": s.orgID, "name": name}, nil); err != nil {
		t.Fatalf("make bucket: %v", err)
	}
	return name
}

// Grant makes a token that may do nothing but read or write this bucket.
func (s *Server) Grant(t testing.TB, bucket string, access Access) string {
	t.Helper()
	token, err := s.grant(t.Context(), s.unique(t), bucket, access)
	if err != nil {
		t.Fatalf("make token: %v", err)
	}
	return token
}

func (s *Server) grant(ctx context.Context, name, bucket string, access Access) (string, error) {
	if !s.V2() {
		privilege := map[Access]string{Read: "READ", Write: "WRITE", Read | Write: "ALL"}[access]
		database := bucket[:len(bucket)-len("/autogen")]
		return name + ":" + password, errors.Join(
			s.influxQL(ctx, `CREATE USER "%s" WITH PASSWORD '%s'`, name, password),
			s.influxQL(ctx, `GRANT %s ON "%s" TO "%s"`, privilege, database, name))
	}
	var found struct{ Buckets []struct{ ID string } }
	if err := s.call(ctx, http.MethodGet, "/api/v2/buckets?name="+url.QueryEscape(bucket), "", nil, &found); err != nil {
		return "", err
	}
	if len(found.Buckets) != 1 {
		return "", fmt.Errorf("no bucket %q", bucket)
	}
	type resource struct {
		Type  string `json:"type"`
		ID    string `json:"id"`
		OrgID string `json:"orgID"`
	}
	type permission struct {
		Action   string   `json:"action"`
		Resource resource `json:"resource"`
	}
	var permissions []permission
	for action, bit := range map[string]Access{"read": Read, "write": Write} {
		if access&bit != 0 {
			permissions = append(permissions, permission{action, resource{"buckets", found.Buckets[0].ID, s.orgID}})
		}
	}
	var made struct{ Token string }
	err := s.post(ctx, "/api/v2/authorizations", map[string]any{
		"orgID": s.orgID, "description": name, "permissions": permissions,
	}, &made)
	return made.Token, err
}

// influxQL runs a statement of 1.8, which has no other way to make databases and users.
func (s *Server) influxQL(ctx context.Context, format string, args ...any) error {
	form := url.Values{"q": {fmt.Sprintf(format, args...)}}
	var answer struct{ Results []struct{ Error string } }
	err := s.call(ctx, http.MethodPost, "/query", "application/x-www-form-urlencoded", []byte(form.Encode()), &answer)
	for _, result := range answer.Results {
		if result.Error != "" {
			err = errors.Join(err, errors.New(result.Error))
		}
	}
	return err
}

func (s *Server) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return s.call(ctx, http.MethodPost, path, "application/json", body, out)
}

// call sends a request as the operator and decodes the JSON answer into out, unless that is nil.
func (s *Server) call(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if s.Token != "" {
		req.Header.Set("Authorization", "Token "+s.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", res.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
