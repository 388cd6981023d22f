package grafanatest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// account is a service account.
type account struct {
	name     string
	role     Role
	disabled bool
	tokens   map[int]string
}

// ServiceAccount adds a service account, and returns its id.
func (s *Server) ServiceAccount(name string, role Role, disabled bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts = append(s.accounts, &account{name, role, disabled, make(map[int]string)})
	return len(s.accounts)
}

// serviceAccounts are the routes of service accounts, for the user admin.
func (s *Server) serviceAccounts(mux *http.ServeMux) {
	admin := func(next func(w http.ResponseWriter, r *http.Request, found *account)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			user, password, ok := r.BasicAuth()
			s.mu.Lock()
			defer s.mu.Unlock()
			if !ok || user != "admin" || password != s.password || password == "" {
				say(w, http.StatusUnauthorized, "Invalid username or password")
				return
			}
			var found *account
			if text := r.PathValue("id"); text != "" {
				id, err := strconv.Atoi(text)
				if err != nil || id < 1 || id > len(s.accounts) {
					say(w, http.StatusNotFound, "service account not found")
					return
				}
				found = s.accounts[id-1]
			}
			next(w, r, found)
		}
	}
	mux.HandleFunc("GET /api/serviceaccounts/search", admin(s.searchAccounts))
	mux.HandleFunc("POST /api/serviceaccounts", admin(s.changeAccount))
	mux.HandleFunc("PATCH /api/serviceaccounts/{id}", admin(s.changeAccount))
	mux.HandleFunc("GET /api/serviceaccounts/{id}/tokens", admin(s.listTokens))
	mux.HandleFunc("POST /api/serviceaccounts/{id}/tokens", admin(s.makeToken))
	mux.HandleFunc("DELETE /api/serviceaccounts/{id}/tokens/{token}", admin(s.deleteToken))
	mux.HandleFunc("GET /api/dashboard/snapshots", s.signedIn(func(w http.ResponseWriter, _ *http.Request, _ string, _ Role) {
		answer(w, http.StatusOK, []any{})
	}))
}

func (s *Server) searchAccounts(w http.ResponseWriter, _ *http.Request, _ *account) {
	list := []map[string]any{}
	for i, a := range s.accounts {
		list = append(list, map[string]any{"id": i + 1, "name": a.name, "login": "sa-1-" + a.name, "role": a.role, "isDisabled": a.disabled, "tokens": len(a.tokens)})
	}
	answer(w, http.StatusOK, map[string]any{"totalCount": len(list), "serviceAccounts": list, "page": 1, "perPage": 1000})
}

// changeAccount makes an account, or changes one.
func (s *Server) changeAccount(w http.ResponseWriter, r *http.Request, found *account) {
	var form struct {
		Name       string `json:"name"`
		Role       Role   `json:"role"`
		IsDisabled bool   `json:"isDisabled"`
	}
	if json.NewDecoder(r.Body).Decode(&form) != nil || form.Name == "" || form.Role != Viewer && form.Role != Editor {
		say(w, http.StatusBadRequest, "Bad request data")
		return
	}
	for _, a := range s.accounts {
		if a != found && a.name == form.Name {
			say(w, http.StatusBadRequest, "service account already exists")
			return
		}
	}
	if found != nil {
		found.role, found.disabled = form.Role, form.IsDisabled
		for _, token := range found.tokens {
			s.tokens[token] = form.Role
		}
		answer(w, http.StatusOK, map[string]any{"message": "Service account updated", "name": found.name})
		return
	}
	s.accounts = append(s.accounts, &account{form.Name, form.Role, form.IsDisabled, make(map[int]string)})
	answer(w, http.StatusCreated, map[string]any{"id": len(s.accounts), "name": form.Name, "role": form.Role, "isDisabled": form.IsDisabled})
}

func (s *Server) listTokens(w http.ResponseWriter, _ *http.Request, found *account) {
	list := []map[string]any{}
	for id := range found.tokens {
		list = append(list, map[string]any{"id": id, "name": fmt.Sprint("token ", id), "hasExpired": false, "isRevoked": false})
	}
	answer(w, http.StatusOK, list)
}

func (s *Server) makeToken(w http.ResponseWriter, r *http.Request, found *account) {
	var form struct{ Name string }
	if json.NewDecoder(r.Body).Decode(&form) != nil || form.Name == "" || s.tokenNames[form.Name] {
		say(w, http.StatusConflict, "service account token with given name already exists in the organization")
		return
	}
	id := len(s.tokenNames) + 1
	if s.tokenNames == nil {
		s.tokenNames = make(map[string]bool)
	}
	s.tokenNames[form.Name] = true
	token := fmt.Sprintf("glsa_account%025d_0badcafe", id)
	found.tokens[id], s.tokens[token] = token, found.role
	answer(w, http.StatusOK, map[string]any{"id": id, "name": form.Name, "key": token})
}

func (s *Server) deleteToken(w http.ResponseWriter, r *http.Request, found *account) {
	id, _ := strconv.Atoi(r.PathValue("token"))
	token, ok := found.tokens[id]
	if !ok {
		say(w, http.StatusNotFound, "service account token not found")
		return
	}
	delete(found.tokens, id)
	delete(s.tokens, token)
	say(w, http.StatusOK, "Service account token deleted")
}
