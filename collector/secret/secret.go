// Package secret takes secrets out of text that somebody else has written.
package secret

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Mark stands where a secret was.
const Mark = "[secret]"

// Mask returns text with Mark in place of each secret, as it is and in the forms that
// it takes on the way: in a URL, in JSON, and in base64. Empty secrets are left out.
//
// Servers and proxies repeat what they were sent in what they answer. Call it before
// the text is cut: of a secret that was cut in half, one half would stay.
func Mask(text string, secrets ...string) string {
	var forms []string
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		quoted, _ := json.Marshal(secret) // a string always has JSON
		forms = append(forms, secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)))
	}
	// The longest first: one secret may be the beginning of another.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	for _, form := range slices.Compact(forms) {
		text = strings.ReplaceAll(text, form, Mark)
	}
	return text
}

// OfRequest returns what is secret in the headers of a request, and in the address of
// the proxy that the environment names for it.
func OfRequest(r *http.Request) []string {
	var secrets []string
	for _, header := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		for _, value := range r.Header.Values(header) {
			secrets = append(secrets, credentials(value)...)
		}
	}
	// The error is the transport's to report.
	if proxy, _ := http.ProxyFromEnvironment(r); proxy != nil {
		if password, ok := proxy.User.Password(); ok {
			secrets = append(secrets, password, proxy.User.Username()+":"+password)
		}
	}
	return secrets
}

// credentials returns what is secret in the value of an Authorization header: all that
// follows the scheme, and of "Basic" the password as well.
func credentials(value string) []string {
	_, token, ok := strings.Cut(value, " ")
	if !ok {
		return []string{value}
	}
	secrets := []string{token}
	if decoded, err := base64.StdEncoding.DecodeString(token); err == nil {
		if _, password, ok := strings.Cut(string(decoded), ":"); ok {
			secrets = append(secrets, string(decoded), password)
		}
	}
	return secrets
}
