package main

import (
	"fmt"
	"strings"
)

const (
	everybody  = ".+"                                       // allValue of the variable account
	runbookURL = repoURL + "/blob/main/deploy/runbooks.md#" // with the name of an alert behind it
)

// followedVariable chooses among the accounts that the exporter follows, all of them by
// default.
func followedVariable() variable {
	query := `label_values(spotify_polls_total{job="${job}"}, account)`
	return variable{
		Name: "account", Label: "Account", Description: "Whose player and polls are shown.",
		Type: "query", Query: variableQuery{RefID: "account", Query: query, QryType: labelValues}, Definition: query, Datasource: &promSource,
		Refresh: onTime, Sort: alphabetical, Multi: true, IncludeAll: true, AllValue: everybody,
		Current: option{Selected: true, Text: "All", Value: "$__all"}, Options: []option{},
	}
}

// ofJob selects a metric of the exporter, by matchers such as reason="auth".
func ofJob(metric string, matchers ...string) string {
	return metric + "{" + strings.Join(append([]string{`job="${job}"`}, matchers...), ", ") + "}"
}

// ofAccounts selects a metric of the accounts that are chosen.
func ofAccounts(metric string, matchers ...string) string {
	return ofJob(metric, append([]string{`account=~"${account}"`}, matchers...)...)
}

// perAccount takes one value for each account, though there may have been two exporters.
func perAccount(expr string) string { return "max by (account) (" + expr + ")" }

// since is how long ago a time was, s.
func since(expr string) string { return "time() - " + expr }

// rateOf is how often a histogram observed something, a second, by labels. A Prometheus
// has a histogram's classic series or, if it scrapes native ones, those alone.
func rateOf(histogram, labels string) string {
	return fmt.Sprintf("sum by (%[1]s) (rate(%[2]s[$__rate_interval])) or sum by (%[1]s) (histogram_count(rate(%[3]s[$__rate_interval])))",
		labels, ofJob(histogram+"_count"), ofJob(histogram))
}

// quantiles are the median and the slow ends of a histogram, classic or native, s.
func (p panel) quantiles(histogram string) panel {
	for _, q := range []struct{ share, legend string }{{"0.5", "half of them within"}, {"0.95", "95 % within"}, {"0.99", "99 % within"}} {
		p = p.prom(fmt.Sprintf("histogram_quantile(%[1]s, sum by (le) (rate(%[2]s[$__rate_interval]))) or histogram_quantile(%[1]s, sum(rate(%[3]s[$__rate_interval])))",
			q.share, ofJob(histogram+"_bucket"), ofJob(histogram)), q.legend)
	}
	return p
}

// onAlert says where it is written what to do, by the alerts about it.
func onAlert(alerts ...string) string {
	var sections []string
	for _, alert := range alerts {
		sections = append(sections, fmt.Sprintf("[%s](%s%s)", alert, runbookURL, strings.ToLower(alert)))
	}
	return " What to do when it is red: " + strings.Join(sections, ", ") + "."
}
