package grafana_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// FuzzAnswers has anything for a board and for the data of its panels: a daemon goes
// on recording, whatever Grafana answers.
func FuzzAnswers(f *testing.F) {
	frames := `{"results": {"A": {"status": 200, "frames": [{"schema": {"fields": [{"name": "artist", "type": "string"}, {"name": "Time", "type": "time"}]}, "data": {"values": [["x"], [1795305600000]], "entities": [null, {"NaN": [0]}]}}]}, "metricFindQuery": {"frames": []}}}`
	f.Add(string(boardFile(f)), frames)
	f.Add(`{"panels": [{"type": "stat", "gridPos": 7, "targets": [{"datasource": "x", "query": {}}], "panels": [{}]}], "templating": [], "time": "now"}`, frames)
	f.Add(`{"panels": [{"type": "row", "panels": [{"type": "table", "targets": [{"refId": "A", "datasource": {}, "query": "x", "hide": "no"}]}]}], "templating": {"list": [{"type": "query"}, 1, {"type": "custom", "current": []}]}}`, `{"results": {"A": {"frames": [{"schema": {"fields": []}, "data": {"values": [[1]]}}]}}}`)
	f.Add(`{"panels": [{"targets": [{"refId": "A", "datasource": {}}]}]}`, `{"results": {"A": {"frames": [{"schema": {"fields": [{}]}, "data": {"values": [[{}, [], null, true, 1e400, -0]]}}]}}}`)
	f.Fuzz(func(t *testing.T, board, data string) {
		h := newPrivateHarness(t)
		h.server.Intercept = func(w http.ResponseWriter, r *http.Request) bool {
			switch {
			case strings.HasPrefix(r.URL.Path, "/api/dashboards/"):
				_, _ = fmt.Fprintf(w, `{"dashboard": %s}`, board)
			case r.URL.Path == "/api/ds/query":
				_, _ = fmt.Fprint(w, data)
			default:
				return false
			}
			return true
		}
		draft, err := h.Draft(t.Context())
		if err == nil {
			_, err = draft.JSON()
		}
		if err != nil && strings.Contains(err.Error(), h.token) {
			t.Errorf("the error tells a secret: %v", err)
		}
	})
}
