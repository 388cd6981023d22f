package prom

import (
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// unregistrable are the last parts of names that nobody can register in the public DNS: RFC 6761 (localhost), RFC 6762
// (local, which *.svc.cluster.local of Kubernetes is in), RFC 8375 (home.arpa), ICANN's resolution 2024.07.29.06
// (internal), and svc, which Kubernetes answers within a cluster.
var unregistrable = []string{".localhost", ".local", ".home.arpa", ".internal", ".svc"}

// forOwnHosts lets requests through that name this exporter in their Host header: by an IP address, by a name that
// nobody can register in the public DNS, by this machine's name, or by one of names. It refuses all others.
//
// Otherwise every website could read what is served here by DNS rebinding: it lets its own name resolve to 127.0.0.1 or
// an address of this network, and the browser of somebody in this network takes that for the same site. The browser still
// sends the website's name as Host. A request without a Host comes from no browser.
func forOwnHosts(next http.Handler, names []string) http.Handler {
	known := make([]string, 0, len(names)+1)
	for _, name := range names {
		known = append(known, hostName(name))
	}
	if machine, err := os.Hostname(); err == nil { // in a container its id, or what its maker called it
		known = append(known, hostName(machine))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		if !cannotBeRebound(name) && !slices.Contains(known, name) {
			answer(w, http.StatusMisdirectedRequest, "This host name is not known here. Add it to WEB_HOSTS if it is yours, or use an IP address.\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is the name in a Host header or an address: without port, brackets, and the dot at the end of a full name, in
// lower case.
func hostName(host string) string {
	if rest, found := strings.CutPrefix(host, "["); found {
		host, _, _ = strings.Cut(rest, "]")
	} else if name, _, found := strings.Cut(host, ":"); found && strings.Count(host, ":") == 1 {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// cannotBeRebound reports whether no website can have a name as its own. A name of one part, such as localhost or that of
// a container or service, is none of the public DNS.
func cannotBeRebound(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil || !strings.Contains(name, ".") {
		return true
	}
	return slices.ContainsFunc(unregistrable, func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}
