package secret_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/collector/secret"
)

func TestMask(t *testing.T) {
	tests := []struct {
		name, text string
		secrets    []string
		want       string
	}{
		{"as it is", "Authorization: Bearer AQB/x+y=", []string{"AQB/x+y="}, "Authorization: Bearer [secret]"},
		{"twice", "key key", []string{"key"}, "[secret] [secret]"},
		{"in a URL", "refresh_token=AQB%2Fx%2By%3D&a=b", []string{"AQB/x+y="}, "refresh_token=[secret]&a=b"},
		{"in JSON", `{"token":"a\"b"}`, []string{`a"b`}, `{"token":"[secret]"}`},
		{"in base64", "Basic aWQ6a2V5", []string{"id:key"}, "Basic [secret]"},
		{"one the beginning of another", "tokenlong token", []string{"token", "tokenlong"}, "[secret] [secret]"},
		{"none", "nothing here", nil, "nothing here"},
		{"an empty one", "nothing here", []string{""}, "nothing here"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := secret.Mask(test.text, test.secrets...); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestOfRequest(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://spotify.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Add("Authorization", "Bearer ACCESS")
	r.Header.Add("Authorization", "Token INFLUX")
	r.SetBasicAuth("id", "key")
	r.Header.Add("Authorization", "Bearer ACCESS")
	r.Header.Add("Proxy-Authorization", "Basic dXNlcjpwYXNz")
	text := "ACCESS id:key aWQ6a2V5 dXNlcjpwYXNz user:pass pass"
	if got := secret.Mask(text, secret.OfRequest(r)...); strings.NewReplacer(secret.Mark, "", " ", "").Replace(got) != "" {
		t.Errorf("got %q", got)
	}
}
