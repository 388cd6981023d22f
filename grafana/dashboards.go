// Package grafana holds what Grafana shows: the dashboards, as they are provisioned and imported.
package grafana

import "embed"

// Dashboards are the boards in Grafana's classic model, dashboards/UID.json. They
// are printed by the generator in boards, which is where to change them.
//
//go:generate go run ./boards dashboards
//go:embed dashboards/*.json
var Dashboards embed.FS
