package spotify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// sendForToken is send for the accounts service. oauth2 gives up a whole answer for one
// field of another type, and then does not tell which. So what it reads is written anew
// here: expires_in may be any number, or text that is one.
func (a *App) sendForToken(req *http.Request) (answer, error) {
	got, err := a.send(req)
	if err != nil {
		return got, err
	}
	fields := map[string]any{}
	if json.Unmarshal(got.body.Bytes(), &fields) != nil {
		return answer{}, got.decodeError(endpointToken, errors.New("the accounts service sent no token"))
	}
	if _, failed := fields["error"]; failed { // a failure with the status of a success
		return answer{}, statusError(endpointToken, &http.Response{StatusCode: got.status, Header: got.header}, got.body.Bytes(), a.clock.Now(), got.secrets)
	}
	switch token := fields["access_token"].(type) {
	case nil:
		return answer{}, got.decodeError(endpointToken, errors.New("the accounts service sent no token (access_token is missing)"))
	case string:
	default:
		return answer{}, got.decodeError(endpointToken, fmt.Errorf("access_token: must be text (got %T)", token))
	}
	for _, name := range []string{"refresh_token", "token_type", "scope"} {
		value, there := fields[name]
		if _, ok := value.(string); there && !ok && value != nil {
			a.log.Warn("the accounts service sent a field that is no text; it is left out", "field", name, "type", fmt.Sprintf("%T", value))
		}
		if _, ok := value.(string); !ok {
			delete(fields, name)
		}
	}
	if lifetime, ok := seconds(fields["expires_in"]); ok {
		fields["expires_in"] = lifetime
	} else {
		delete(fields, "expires_in")
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return answer{}, got.decodeError(endpointToken, err)
	}
	got.body = bytes.NewBuffer(body)
	got.header = http.Header{"Content-Type": {"application/json"}}
	return got, nil
}

// seconds reads a number of seconds, which may be a float or text; ok is false for what
// is none.
func seconds(v any) (s int64, ok bool) {
	number, ok := v.(float64)
	if text, isText := v.(string); isText {
		var err error
		number, err = strconv.ParseFloat(strings.TrimSpace(text), 64)
		ok = err == nil
	}
	if !ok || !(number > 0) { // NaN is not
		return 0, false
	}
	return int64(min(number, math.MaxInt32)), true
}
