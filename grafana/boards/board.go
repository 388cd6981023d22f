package main

import (
	"fmt"
	"hash/fnv"
	"slices"
)

// board is a dashboard in Grafana's classic model. Files of the newer models do not
// load everywhere: see issues 127928 and 126641 of Grafana.
type board struct {
	UID                  string      `json:"uid"`
	Title                string      `json:"title"`
	Description          string      `json:"description"`
	Tags                 []string    `json:"tags"`
	SchemaVersion        int         `json:"schemaVersion"`
	Editable             bool        `json:"editable"`
	GraphTooltip         int         `json:"graphTooltip"`
	Timezone             string      `json:"timezone"`
	WeekStart            string      `json:"weekStart"`
	Refresh              string      `json:"refresh"`
	Time                 timeRange   `json:"time"`
	Timepicker           timepicker  `json:"timepicker"`
	FiscalYearStartMonth int         `json:"fiscalYearStartMonth"`
	Links                []boardLink `json:"links"`
	Annotations          struct {
		List []annotation `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

type timeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type timepicker struct {
	Hidden bool `json:"hidden"`
}

// boardLink is a link at the top of a board: to another board, or to all with a tag.
type boardLink struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"` // "dashboards" or "link"
	Icon        string   `json:"icon"`
	Tooltip     string   `json:"tooltip"`
	URL         string   `json:"url"`
	Tags        []string `json:"tags"`
	AsDropdown  bool     `json:"asDropdown"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
	TargetBlank bool     `json:"targetBlank"`
}

// annotation marks times on every panel with a time axis.
type annotation struct {
	Name       string     `json:"name"`
	Datasource datasource `json:"datasource"`
	Enable     bool       `json:"enable"`
	Hide       bool       `json:"hide"`
	IconColor  string     `json:"iconColor"`
	BuiltIn    int        `json:"builtIn,omitempty"`
	Type       string     `json:"type,omitempty"`
	Target     *target    `json:"target,omitempty"`

	TitleFormat string `json:"titleFormat,omitempty"` // of Prometheus
}

const (
	tag       = "spotify"                                              // of every board, for the links between them
	repoURL   = "https://github.com/spotify-exporter/spotify-exporter" // documentation
	gridWidth = 24
)

// newBoard returns a board with what all have: the tag, links to the others that keep
// time and, if they can, variables, and the variables vars.
func newBoard(uid, title, description string, time timeRange, vars ...variable) board {
	b := board{
		UID:           uid,
		Title:         title,
		Description:   description,
		Tags:          []string{tag},
		SchemaVersion: 41,
		GraphTooltip:  1, // one crosshair for all panels
		WeekStart:     "monday",
		Time:          time,
		Links: []boardLink{{
			Title: "Boards", Type: "dashboards", Icon: "external link", Tags: []string{tag}, AsDropdown: true, IncludeVars: true, KeepTime: true,
		}},
	}
	b.Annotations.List = []annotation{{
		Name: "Annotations & Alerts", Type: "dashboard", BuiltIn: 1, Enable: true, Hide: true, IconColor: "rgba(0, 211, 255, 1)",
		Datasource: datasource{Type: "grafana", UID: "-- Grafana --"},
	}}
	b.Templating.List = vars
	// A board of several accounts would hand "All" to one of a single account, which takes any
	// value from its address and would look for an account of that name.
	b.Links[0].IncludeVars = !slices.ContainsFunc(vars, func(v variable) bool { return v.Name == "account" && v.IncludeAll })
	return b
}

// add places panels in the order in which they are read, which is also their order on
// a phone: each as high up as it fits, then as far left.
func (b *board) add(panels ...panel) {
	var skyline [gridWidth]int // the first free y of each column
	for _, p := range b.Panels {
		p.GridPos.under(&skyline)
	}
	for _, p := range panels {
		at, w := &p.GridPos, p.GridPos.W
		best := -1
		for x := 0; x+w <= gridWidth; x++ {
			y := 0
			for _, free := range skyline[x : x+w] {
				y = max(y, free)
			}
			if best < 0 || y < best {
				best, at.X, at.Y = y, x, y
			}
		}
		if p.Type == "row" {
			for _, free := range skyline {
				at.Y = max(at.Y, free)
			}
		}
		at.under(&skyline)
		p.ID = panelID(p.Title)
		b.Panels = append(b.Panels, p)
	}
}

func (g gridPos) under(skyline *[gridWidth]int) {
	for x := g.X; x < g.X+g.W; x++ {
		skyline[x] = max(skyline[x], g.Y+g.H)
	}
}

// panelID makes a panel's id from its title, so that links to it outlive panels that
// are put in before it. Titles of a board differ.
func panelID(title string) int {
	hash := fnv.New32a()
	_, _ = fmt.Fprint(hash, title)
	return int(hash.Sum32()%(1<<20)) + 1
}
