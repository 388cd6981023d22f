package grafana_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
)

// Failures have colors by their causes, and none that of what is good, which Grafana's palette
// begins with.
func TestFailuresAreNotGreen(t *testing.T) {
	const good = "#009E73"
	named := map[string][]string{"Failed requests by cause": {"repeated"}}
	for _, reason := range collector.Reasons() {
		named["Failed polls by cause"] = append(named["Failed polls by cause"], fmt.Sprintf("me: %s", reason))
	}
	for _, reason := range influx.Reasons {
		named["Failed requests by cause"] = append(named["Failed requests by cause"], string(reason))
	}
	for reason := range newHarness(t, nil).State().Failures {
		named["Failed publishings by cause"] = append(named["Failed publishings by cause"], string(reason))
	}
	b := readBoards(t)["spotify-poller"]
	for title, series := range named {
		p := b.titled(t, title)
		if len(series) < 5 {
			t.Errorf("%s: of %v only is known what it shows", title, series)
		}
		for _, name := range series {
			if color, known := p.colorOf(name); !known || color == "" || color == good {
				t.Errorf("%s: %q is drawn in %q (a known cause: %v)", title, name, color, known)
			}
		}
		if color, _ := p.colorOf("me: what is new"); color == "" || color == good {
			t.Errorf("%s: what is new is drawn in %q", title, color)
		}
	}
	p := b.titled(t, "Requests by answer")
	for code, want := range map[string]string{"200": "#3399DA", "204": "#3399DA", "401": "#C04A00", "429": "#C48800", "503": "#C04A00"} {
		if color, _ := p.colorOf("player " + code); color != want {
			t.Errorf("an answer %s is drawn in %q, want %q", code, color, want)
		}
	}
}

// titled is the panel of a title.
func (b *board) titled(t *testing.T, title string) *panel {
	t.Helper()
	panels := b.all()
	i := slices.IndexFunc(panels, func(p panel) bool { return p.Title == title })
	if i < 0 {
		t.Fatalf("%s has no panel %q", b.UID, title)
	}
	return &panels[i]
}

// colorOf is the fixed color of a series, "" if Grafana chooses one, and whether it is a color
// of that series.
func (p *panel) colorOf(name string) (color string, own bool) {
	color = p.FieldConfig.Defaults.Color.FixedColor
	for _, override := range p.FieldConfig.Overrides {
		if override.Matcher.ID == "byName" && override.Matcher.Options == name || override.Matcher.ID == "byRegexp" && matches(override.Matcher.Options, name) {
			for _, property := range override.Properties {
				if set, ok := property.Value.(map[string]any); ok && property.ID == "color" {
					color, own = set["fixedColor"].(string)
				}
			}
		}
	}
	return color, own
}
