// Package grafana holds the dashboards, and publishes one of them as a snapshot: a link that stays, fresh data, nothing private.
package grafana

import "embed"

// Dashboards are the boards in Grafana's classic model, dashboards/UID.json. They
// are printed by the generator in boards, which is where to change them.
//
//go:generate go run ./boards dashboards
//go:generate go test ../cmd/spotify-exporter -run GeneratedManifests -update
//go:embed dashboards/*.json
var Dashboards embed.FS
