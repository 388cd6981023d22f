package prom_test

import (
	"strings"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

// TestStatusPageTellsOfListedStarts, for the account alone that has them.
func TestStatusPageTellsOfListedStarts(t *testing.T) {
	for _, starts := range []bool{false, true} {
		page := landingPage(t, prom.Options{Collector: func() collector.State {
			return collector.State{Accounts: []collector.AccountState{{Account: "me", ListsStarts: starts}}}
		}})
		if strings.Contains(page, "has the starts of plays") != starts {
			t.Errorf("with starts %v:\n%s", starts, page)
		}
	}
}
