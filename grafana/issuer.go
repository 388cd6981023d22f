package grafana

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// accountName is the service account of the publisher.
const accountName = "spotify-exporter"

// Issuer makes the token that a Publisher needs: one of a service account with the
// role Editor. It logs in as a user who may make those.
type Issuer struct {
	user, password string
	base           *url.URL
	userAgent      string
	transport      http.RoundTripper
	account        int64 // 0: not known yet
}

// ErrPassword is the error of a user or a password that Grafana does not know.
var ErrPassword = errors.New("this password is not the one that Grafana knows")

// NewIssuer returns an Issuer for the Grafana at an address, such as
// http://localhost:3000.
func NewIssuer(address, user, password, userAgent string, transport http.RoundTripper) (*Issuer, error) {
	base, err := serverURL("--grafana", address)
	if err != nil {
		return nil, err
	}
	return &Issuer{user: user, password: password, base: base, userAgent: userAgent, transport: transport}, nil
}

// RoundTrip sends a request of the user.
func (i *Issuer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.SetBasicAuth(i.user, i.password)
	return i.transport.RoundTrip(req)
}

// call is a request of the user.
func (i *Issuer) call(ctx context.Context, method, path string, in, out any) error {
	err := newClient(i.base, "", i.userAgent, i).call(ctx, method, path, in, out)
	if statusOf(err) == http.StatusUnauthorized {
		return ErrPassword
	}
	return err
}

// Issued returns the ids of the account's tokens. It makes the account if there is
// none, and sees to its role.
func (i *Issuer) Issued(ctx context.Context) (ids []string, err error) {
	var found struct {
		Accounts []struct {
			ID       int64  `json:"id"`
			Name     string `json:"name"`
			Role     string `json:"role"`
			Disabled bool   `json:"isDisabled"`
		} `json:"serviceAccounts"`
	}
	if err := i.call(ctx, http.MethodGet, "api/serviceaccounts/search", nil, &found); err != nil {
		return nil, err
	}
	wanted := map[string]any{"name": accountName, "role": editor, "isDisabled": false}
	i.account = 0
	for _, account := range found.Accounts {
		if account.Name != accountName {
			continue
		}
		i.account = account.ID
		if account.Role != editor || account.Disabled {
			if err := i.call(ctx, http.MethodPatch, i.path(), wanted, nil); err != nil {
				return nil, fmt.Errorf("give the service account %s the role Editor: %w", accountName, err)
			}
		}
	}
	if i.account == 0 {
		var made struct {
			ID int64 `json:"id"`
		}
		if err := i.call(ctx, http.MethodPost, "api/serviceaccounts", wanted, &made); err != nil {
			return nil, fmt.Errorf("make the service account %s: %w", accountName, err)
		}
		i.account = made.ID
		return nil, nil
	}
	var tokens []struct {
		ID int64 `json:"id"`
	}
	if err := i.call(ctx, http.MethodGet, i.path("tokens"), nil, &tokens); err != nil {
		return nil, err
	}
	for _, token := range tokens {
		ids = append(ids, strconv.FormatInt(token.ID, 10))
	}
	return ids, nil
}

// editor is the least of Grafana's basic roles that may make snapshots.
const editor = "Editor"

func (i *Issuer) path(parts ...string) string {
	path, _ := url.JoinPath("api/serviceaccounts/"+strconv.FormatInt(i.account, 10), parts...)
	return path
}

// Allows tells whether a token is one that Grafana knows.
func (i *Issuer) Allows(ctx context.Context, token string) (bool, error) {
	err := newClient(i.base, token, i.userAgent, i.transport).call(ctx, http.MethodGet, "api/dashboard/snapshots", nil, nil)
	if refused, ok := errors.AsType[*Error](err); ok && slices.Contains([]Reason{Unauthorized, Forbidden}, refused.Reason) {
		return false, nil
	}
	return err == nil, err
}

// Issue makes a token, which Grafana tells now and never again. Issued comes first.
func (i *Issuer) Issue(ctx context.Context) (token string, err error) {
	var made struct {
		Key string `json:"key"`
	}
	// Names are unique in the organization, and say nothing.
	err = i.call(ctx, http.MethodPost, i.path("tokens"), map[string]any{"name": "snapshot-" + rand.Text()}, &made)
	if err == nil && made.Key == "" {
		err = errors.New("the answer of Grafana has no token in it")
	}
	return made.Key, err
}

// Revoke deletes tokens of the account.
func (i *Issuer) Revoke(ctx context.Context, ids []string) error {
	for _, id := range ids {
		err := i.call(ctx, http.MethodDelete, i.path("tokens", id), nil, nil)
		if refused, ok := errors.AsType[*Error](err); ok && refused.Reason == NotFound {
			continue // somebody was quicker
		}
		if err != nil {
			return err
		}
	}
	return nil
}
