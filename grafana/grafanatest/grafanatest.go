package grafanatest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Role is what a token may do.
type Role string

// Grafana's basic roles. Deleting and making snapshots needs an Editor.
const (
	Viewer Role = "Viewer"
	Editor Role = "Editor"
)

// Server is a Grafana with boards, tokens, snapshots and data sources. Its routes
// answer as those of 12.4 and 13 do, as far as that is known; every other one is a
// 404. Set the exported fields before the first request.
type Server struct {
	URL string

	Version   string // what /api/health tells; "" hides it
	Disabled  bool   // [snapshots] enabled = false
	NoAPI     bool   // /api/snapshots is gone
	LimitBody int    // bytes that a proxy before it takes; 0: any number
	Influx    *Influx
	// PrometheusURL is the server of the data source spotify-prom; "": there is none.
	PrometheusURL string
	// Answer makes the frames of a query itself, in the place of the data sources: for
	// tests that need no database, or an error.
	Answer func(query map[string]any) ([]Frame, error)
	// Intercept sees every request first, and may answer it: true.
	Intercept func(http.ResponseWriter, *http.Request) bool

	mu         sync.Mutex
	password   string // of the user admin; "": nobody can log in
	tokens     map[string]Role
	accounts   []*account      // service accounts; the id is one more than the index
	tokenNames map[string]bool // of tokens of service accounts, so far
	boards     map[string]board
	snapshots  map[string]snapshot // by key
	requests   []string
}

type board struct {
	model   map[string]any
	version int
}

type snapshot struct {
	body      map[string]any
	deleteKey string
	creator   string // token
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := NewUnstarted()
	listening := httptest.NewServer(s)
	t.Cleanup(listening.Close)
	s.URL = listening.URL
	return s
}

// NewUnstarted returns a server that listens nowhere: it is reached as a
// RoundTripper, which tests in virtual time need. Its address is http://grafana:3000.
func NewUnstarted() *Server {
	return &Server{
		URL: "http://grafana:3000", Version: "13.0.1",
		tokens: make(map[string]Role), boards: make(map[string]board), snapshots: make(map[string]snapshot),
	}
}

// RoundTrip lets the server answer a request without a network.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	s.ServeHTTP(recorder, r)
	return recorder.Result(), r.Context().Err()
}

// Token makes a service account's token with a role.
func (s *Server) Token(role Role) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := fmt.Sprintf("glsa_%s%026d_0badcafe", role, len(s.tokens))
	s.tokens[token] = role
	return token
}

// SetPassword sets the password of the user admin. Without one nobody can log in.
func (s *Server) SetPassword(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

// SetRole changes what a token may do; "": it is revoked.
func (s *Server) SetRole(token string, role Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = role
	if role == "" {
		delete(s.tokens, token)
	}
}

// SetBoard adds a board or saves a new version of it, as a file of the classic model
// has it.
func (s *Server) SetBoard(t testing.TB, file []byte) {
	t.Helper()
	var model map[string]any
	if err := json.Unmarshal(file, &model); err != nil {
		t.Fatalf("read board: %v", err)
	}
	uid, _ := model["uid"].(string)
	if uid == "" {
		t.Fatal("the board has no uid")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	version := s.boards[uid].version + 1
	model["id"], model["version"] = len(s.boards)+1, version
	s.boards[uid] = board{model, version}
}

// Snapshot returns the body that was posted under a key; nil if there is none.
func (s *Server) Snapshot(key string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.snapshots[key].body)
}

// Snapshots is how many there are.
func (s *Server) Snapshots() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.snapshots)
}

// Requests are the requests so far, such as "POST /api/snapshots", without those to
// /api/ds/query.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// ServeHTTP answers like Grafana.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/ds/query" {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
	}
	if s.Intercept != nil && s.Intercept(w, r) {
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", s.health)
	mux.HandleFunc("GET /api/dashboards/uid/{uid}", s.signedIn(s.board))
	mux.HandleFunc("POST /api/ds/query", s.signedIn(s.query))
	mux.HandleFunc("GET /dashboard/snapshot/{key}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Grafana</title>")
	})
	if !s.NoAPI {
		mux.HandleFunc("POST /api/snapshots", s.signedIn(s.post))
		mux.HandleFunc("GET /api/snapshots/{key}", s.get)
		mux.HandleFunc("DELETE /api/snapshots/{key}", s.signedIn(s.remove))
		mux.HandleFunc("GET /api/snapshots-delete/{deleteKey}", s.signedIn(s.removeByDeleteKey))
	}
	s.serviceAccounts(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusNotFound, "Not found") })
	mux.ServeHTTP(w, r)
}

// say answers with Grafana's words.
func say(w http.ResponseWriter, code int, message string) {
	answer(w, code, map[string]any{"message": message})
}

func answer(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value)
}

// signedIn lets a request with a token through.
func (s *Server) signedIn(next func(http.ResponseWriter, *http.Request, string, Role)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		role, known := s.tokens[token]
		s.mu.Unlock()
		switch {
		case !ok:
			say(w, http.StatusUnauthorized, "Unauthorized")
		case !known:
			say(w, http.StatusUnauthorized, "Invalid API key")
		default:
			next(w, r, token, role)
		}
	}
}

// denied answers to somebody whose role lacks a permission.
func denied(w http.ResponseWriter, permission string) {
	answer(w, http.StatusForbidden, map[string]any{
		"accessErrorId": "ACE0000000000", "title": "Access denied",
		"message": "You'll need additional permissions to perform this action. Permissions needed: " + permission,
	})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	health := map[string]any{"database": "ok"}
	if s.Version != "" {
		health["version"] = s.Version
	}
	answer(w, http.StatusOK, health)
}

func (s *Server) board(w http.ResponseWriter, r *http.Request, _ string, _ Role) {
	s.mu.Lock()
	found, ok := s.boards[r.PathValue("uid")]
	s.mu.Unlock()
	if !ok {
		say(w, http.StatusNotFound, "Dashboard not found")
		return
	}
	answer(w, http.StatusOK, map[string]any{"meta": map[string]any{"type": "db", "provisioned": true}, "dashboard": found.model})
}

func (s *Server) post(w http.ResponseWriter, r *http.Request, token string, role Role) {
	content, err := io.ReadAll(r.Body)
	var command struct {
		Dashboard map[string]any `json:"dashboard"`
		Name      string         `json:"name"`
		Expires   int            `json:"expires"`
		External  bool           `json:"external"`
		Key       string         `json:"key"`
		DeleteKey string         `json:"deleteKey"`
	}
	uid := ""
	if err == nil {
		err = json.Unmarshal(content, &command)
		uid, _ = command.Dashboard["uid"].(string)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, exists := s.boards[uid]
	_, keyTaken := s.snapshots[command.Key]
	for _, other := range s.snapshots {
		keyTaken = keyTaken || other.deleteKey == command.DeleteKey
	}
	switch {
	case s.LimitBody > 0 && len(content) > s.LimitBody:
		http.Error(w, "<html><h1>413 Request Entity Too Large</h1></html>", http.StatusRequestEntityTooLarge)
	case err != nil || command.Dashboard == nil:
		say(w, http.StatusBadRequest, "bad request data")
	case role != Editor:
		denied(w, "snapshots:create")
	case s.Disabled:
		say(w, http.StatusForbidden, "Dashboard Snapshots are disabled")
	case !exists: // an editor's permission is for the boards that there are
		say(w, http.StatusForbidden, "forbidden")
	case command.External:
		say(w, http.StatusForbidden, "External dashboard creation is disabled")
	case command.Key == "" || command.DeleteKey == "":
		say(w, http.StatusBadRequest, "this double wants keys, which Grafana would make up")
	case keyTaken:
		say(w, http.StatusInternalServerError, "Failed to create snapshot")
	default:
		var body map[string]any
		_ = json.Unmarshal(content, &body)
		command.Dashboard["snapshot"] = map[string]any{"originalUrl": "/d/" + uid}
		body["dashboard"] = command.Dashboard
		s.snapshots[command.Key] = snapshot{body, command.DeleteKey, token}
		answer(w, http.StatusOK, map[string]any{
			"key": command.Key, "deleteKey": command.DeleteKey,
			"url": "http://localhost:3000/dashboard/snapshot/" + command.Key, "deleteUrl": "http://localhost:3000/api/snapshots-delete/" + command.DeleteKey,
		})
	}
}

// get needs no login.
func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	found, ok := s.snapshots[r.PathValue("key")]
	s.mu.Unlock()
	switch {
	case s.Disabled:
		say(w, http.StatusForbidden, "Dashboard Snapshots are disabled")
	case !ok:
		say(w, http.StatusNotFound, "Dashboard snapshot not found")
	default:
		answer(w, http.StatusOK, map[string]any{
			"meta":      map[string]any{"type": "snapshot", "isSnapshot": true, "created": time.Now().UTC(), "expires": time.Now().AddDate(50, 0, 0)},
			"dashboard": found.body["dashboard"],
		})
	}
}

const removed = "Snapshot deleted. It might take an hour before it's cleared from any CDN caches."

// remove is by key: for editors, of a snapshot without the id of a board whoever made
// it; with one only who made it.
func (s *Server) remove(w http.ResponseWriter, r *http.Request, token string, role Role) {
	key := r.PathValue("key")
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.snapshots[key]
	dashboard, _ := found.body["dashboard"].(map[string]any)
	switch {
	case role != Editor:
		denied(w, "snapshots:delete")
	case s.Disabled:
		say(w, http.StatusForbidden, "Dashboard Snapshots are disabled")
	case !ok:
		say(w, http.StatusNotFound, "Failed to get dashboard snapshot")
	case dashboard["id"] != nil && found.creator != token:
		say(w, http.StatusForbidden, "Access denied to this snapshot")
	default:
		delete(s.snapshots, key)
		say(w, http.StatusOK, removed)
	}
}

// removeByDeleteKey is for everybody who has logged in, viewers too.
func (s *Server) removeByDeleteKey(w http.ResponseWriter, r *http.Request, _ string, _ Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, found := range s.snapshots {
		if found.deleteKey == r.PathValue("deleteKey") {
			delete(s.snapshots, key)
			say(w, http.StatusOK, removed)
			return
		}
	}
	say(w, http.StatusNotFound, "Failed to get dashboard snapshot")
}
