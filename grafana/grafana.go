// Package grafana publishes a Grafana board as a snapshot: one link that stays, fresh data, nothing private.
package grafana
