package influx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Access is what a token may do with the bucket.
type Access uint8

// The two permissions that InfluxDB has for a bucket; Read|Write is both.
const (
	Read Access = 1 << iota
	Write
)

// Operator prepares an InfluxDB 2 for an Exporter and for those who read what it
// writes. It needs a token that may do everything in the organization.
//
// Each of its methods may be called again after whatever has happened: what is as
// it should be stays.
type Operator struct {
	exporter *Exporter // with the operator's token
}

// NewOperator checks the options, of which it needs URL, Org, Bucket and Token. On
// a fresh server the token is the one that Onboard gives to the first user.
func NewOperator(options Options) (*Operator, error) {
	e, err := New(options)
	if err != nil {
		return nil, err
	}
	if options.Org == "" {
		return nil, errors.New("INFLUX_ORG: required")
	}
	return &Operator{exporter: e}, nil
}

func (o *Operator) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return o.exporter.server.call(ctx, method, path, query, in, out)
}

// Fresh tells whether the server has no user yet. Its error for a server that is
// not InfluxDB 2 says so.
func (o *Operator) Fresh(ctx context.Context) (bool, error) {
	var answer struct {
		Allowed bool `json:"allowed"`
	}
	err := o.call(ctx, http.MethodGet, "api/v2/setup", nil, nil, &answer)
	if failure, ok := errors.AsType[*Error](err); ok && !failure.temporary() {
		return false, fmt.Errorf("%s is not InfluxDB 2: %w; %s", withoutQuery(o.exporter.server.base.String()), err, supported)
	}
	return answer.Allowed, err
}

// Onboard makes the first user of a fresh server, the organization and the bucket,
// and makes the operator's token known.
func (o *Operator) Onboard(ctx context.Context, username, password string) error {
	options := &o.exporter.options
	return o.call(ctx, http.MethodPost, "api/v2/setup", nil, map[string]any{
		"username": username, "password": password, "org": options.Org,
		"bucket": options.Bucket, "retentionPeriodSeconds": 0, "token": options.Token,
	}, nil)
}

// PrepareBucket makes the bucket if it is not there and sees to it that its shard
// groups are long, as EnsureBucket does. The warnings ("" is none of them) are
// about what only a person can decide.
func (o *Operator) PrepareBucket(ctx context.Context) (warnings []string, err error) {
	e := o.exporter
	if _, err := o.organization(ctx); err != nil {
		return nil, err
	}
	b, err := o.findBucket(ctx)
	if err != nil {
		return nil, err
	}
	if b != nil && b.shardsTooShort() {
		filled, err := o.filled(ctx)
		if err != nil {
			return nil, err
		}
		if filled {
			warnings = append(warnings, fmt.Sprintf("bucket %q has points in shard groups of %s already, and those stay as they are: "+
				"20 years of listening in 7-day ones take 745 MB of memory. What is written from now on goes into 52w. "+
				"To be rid of the old ones set INFLUX_BUCKET to a new name and run setup again: the journal is sent there whole, and the old bucket can be deleted",
				b.Name, seconds(b.rule().ShardGroupDurationSeconds)))
		}
	}
	warning, err := e.EnsureBucket(ctx)
	if warning != "" {
		warnings = append(warnings, warning)
	}
	return warnings, err
}

// ErrNotOperator is the error of a token that is good for something else.
var ErrNotOperator = errors.New("the token may see no organization")

// organization returns the id of INFLUX_ORG.
func (o *Operator) organization(ctx context.Context) (id string, err error) {
	var list struct {
		Orgs []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"orgs"`
	}
	if err := o.call(ctx, http.MethodGet, "api/v2/orgs", nil, nil, &list); err != nil {
		return "", err
	}
	if len(list.Orgs) == 0 {
		return "", ErrNotOperator
	}
	var names []string
	for _, org := range list.Orgs {
		if org.Name == o.exporter.options.Org {
			return org.ID, nil
		}
		names = append(names, org.Name)
	}
	return "", fmt.Errorf("INFLUX_ORG: must be an organization of the server that the operator token may see: %s (got %q)",
		strings.Join(names, ", "), o.exporter.options.Org)
}

// findBucket returns the bucket, or nil if it is not there.
func (o *Operator) findBucket(ctx context.Context) (*bucket, error) {
	b, err := o.exporter.findBucket(ctx)
	if errors.Is(err, errNoBuckets) { // so it answers whoever may see that there is none
		return nil, nil
	}
	return b, err
}

// filled tells whether there is anything in the bucket.
func (o *Operator) filled(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	result, err := o.exporter.query.Query(ctx, fmt.Sprintf(`import "influxdata/influxdb/schema"
schema.measurements(bucket: %s, start: 1677-09-22T00:00:00Z, stop: 2262-04-11T00:00:00Z)`, fluxString(o.exporter.options.Bucket)))
	if err != nil {
		return false, fmt.Errorf("see whether the bucket is empty: %w", err)
	}
	defer func() { _ = result.Close() }()
	return result.Next(), result.Err()
}

// Issuer makes tokens that may do one thing with the bucket and nothing else.
type Issuer struct {
	*Operator
	access      Access
	description string
}

// Issuer returns the issuer of the tokens of a description, by which InfluxDB's
// pages name them.
func (o *Operator) Issuer(access Access, description string) *Issuer {
	return &Issuer{o, access, description}
}

// Allows tells whether a token may do exactly that with the bucket, and sees no
// other one.
func (i *Issuer) Allows(ctx context.Context, token string) (bool, error) {
	options := i.exporter.options
	options.Token = token
	e, err := New(options)
	if err != nil {
		return false, err
	}
	may := Access(0)
	switch b, err := e.findBucket(ctx); {
	case err != nil && !errors.Is(err, errNoBuckets):
		return false, err
	case b != nil:
		may |= Read
	}
	var list struct {
		Buckets []bucket `json:"buckets"`
	}
	if err := e.server.call(ctx, http.MethodGet, "api/v2/buckets", url.Values{"limit": {"100"}}, nil, &list); err != nil && !denied(err) {
		return false, err
	}
	if slices.ContainsFunc(list.Buckets, func(b bucket) bool { return b.Name != options.Bucket }) {
		return false, nil
	}
	switch err := e.preflight(ctx); {
	case err == nil:
		may |= Write
	case !denied(err):
		return false, err
	}
	return may == i.access, nil
}

// denied tells whether an error is that a token is not known or may not do this.
func denied(err error) bool {
	failure, ok := errors.AsType[*Error](err)
	return ok && (failure.Reason == Unauthorized || failure.Reason == Forbidden || failure.Reason == NotFound)
}

// Issue makes a token, which InfluxDB tells now and never again.
func (i *Issuer) Issue(ctx context.Context) (token string, err error) {
	orgID, err := i.organization(ctx)
	if err != nil {
		return "", err
	}
	b, err := i.findBucket(ctx)
	if err != nil {
		return "", err
	}
	if b == nil {
		return "", fmt.Errorf("bucket %q not found", i.exporter.options.Bucket)
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
	for _, p := range []struct {
		access Access
		action string
	}{{Read, "read"}, {Write, "write"}} {
		if i.access&p.access != 0 {
			permissions = append(permissions, permission{p.action, resource{"buckets", b.ID, orgID}})
		}
	}
	var made struct {
		Token string `json:"token"`
	}
	err = i.call(ctx, http.MethodPost, "api/v2/authorizations", nil, map[string]any{
		"orgID": orgID, "description": i.description, "permissions": permissions,
	}, &made)
	if err == nil && made.Token == "" {
		err = errors.New("InfluxDB has made a token and not told it")
	}
	return made.Token, err
}

// Issued returns the ids of the tokens of this description.
func (i *Issuer) Issued(ctx context.Context) (ids []string, err error) {
	var list struct {
		Authorizations []struct {
			ID          string `json:"id"`
			Description string `json:"description"`
		} `json:"authorizations"`
	}
	err = i.call(ctx, http.MethodGet, "api/v2/authorizations", url.Values{"org": {i.exporter.options.Org}}, nil, &list)
	for _, a := range list.Authorizations {
		if a.Description == i.description {
			ids = append(ids, a.ID)
		}
	}
	return ids, err
}

// Revoke deletes tokens.
func (i *Issuer) Revoke(ctx context.Context, ids []string) error {
	for _, id := range ids {
		err := i.call(ctx, http.MethodDelete, "api/v2/authorizations/"+url.PathEscape(id), nil, nil, nil)
		if failure, ok := errors.AsType[*Error](err); ok && failure.Status == http.StatusNotFound {
			continue // somebody was quicker
		}
		if err != nil {
			return err
		}
	}
	return nil
}
