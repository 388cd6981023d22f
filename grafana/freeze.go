package grafana

import (
	"slices"
	"strings"
)

// internal marks in a description where the part begins that is not for visitors.
// Grafana does not show it.
const internal = "<!-- internal -->"

// freeze returns a board as Grafana's page would post it for a snapshot: panels
// with data in the place of queries, time range and variables as they are now.
// Only the keys that are listed here stay, so nothing that a newer Grafana adds to
// its boards gets out by itself.
func (b *computing) freeze(board map[string]any, computed []*panel) (map[string]any, error) {
	kept := only(board, "description", "fiscalYearStartMonth", "graphTooltip", "preload", "schemaVersion", "tags", "title", "uid", "version", "weekStart")
	kept["id"] = nil
	kept["editable"] = false
	kept["refresh"] = ""
	kept["links"] = []any{}
	kept["timepicker"] = map[string]any{}
	zone := b.scope.Range.Location
	kept["timezone"] = "utc" // of a board without one the visitor's would be taken, where days break elsewhere
	kept["time"] = map[string]any{"from": iso(wallClock(b.scope.Range.From, zone)), "to": iso(wallClock(b.scope.Range.To, zone))}
	kept["annotations"] = map[string]any{"list": freezeAnnotations(board["annotations"])}
	kept["templating"] = map[string]any{"list": b.freezeVariables(board["templating"])}
	if err := b.freezeTexts(kept, "title", "description"); err != nil {
		return nil, within("board", err)
	}
	var err error
	kept["panels"], err = b.freezePanels(computed)
	return kept, err
}

func (b *computing) freezePanels(computed []*panel) ([]any, error) {
	list := []any{}
	for _, p := range computed {
		kept := only(p.object, "collapsed", "description", "fieldConfig", "gridPos", "id", "options", "pluginVersion", "title", "transformations", "transparent", "type")
		if err := b.freezeTexts(kept, "title", "description", "fieldConfig", "options", "transformations"); err != nil {
			return nil, within("panel "+p.name(), err)
		}
		if p.kind == "row" {
			inside, err := b.freezePanels(p.inside)
			if err != nil {
				return nil, err
			}
			kept["panels"] = inside
		}
		if len(p.asked) > 0 {
			source := map[string]any{"name": "grafana", "uid": "grafana"}
			kept["datasource"] = source
			frames := p.frames
			if frames == nil {
				frames = []frame{}
			}
			for i := range frames {
				frames[i].toWallClock(b.scope.Range.Location)
			}
			kept["targets"] = []any{map[string]any{"refId": "A", "datasource": source, "queryType": "snapshot", "snapshot": frames}}
		}
		list = append(list, kept)
	}
	return list, nil
}

// freezeTexts expands the variables in every text below these keys, since the
// variables themselves do not all go out, and drops what leads away from the
// snapshot: links and actions.
func (b *computing) freezeTexts(object map[string]any, keys ...string) error {
	for _, key := range keys {
		value, ok := object[key]
		if !ok {
			continue
		}
		if description, ok := value.(string); ok && key == "description" {
			before, _, _ := strings.Cut(description, internal)
			value = strings.TrimSpace(before)
		}
		frozen, err := b.freezeText(value)
		if err != nil {
			return failure(Unsupported, "%s: %v", key, err)
		}
		object[key] = frozen
	}
	return nil
}

func (b *computing) freezeText(value any) (any, error) {
	switch value := value.(type) {
	case string:
		return b.scope.Expand(value)
	case []any:
		list := make([]any, 0, len(value))
		for _, element := range value {
			if object, ok := element.(map[string]any); ok && leadsAway(stringsOf(object["id"])...) {
				continue // a property of an override
			}
			frozen, err := b.freezeText(element)
			if err != nil {
				return nil, err
			}
			list = append(list, frozen)
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(value))
		for key, element := range value {
			if leadsAway(key) {
				continue
			}
			frozen, err := b.freezeText(element)
			if err != nil {
				return nil, err
			}
			object[key] = frozen
		}
		return object, nil
	}
	return value, nil
}

// leadsAway tells whether something of this name is a link.
func leadsAway(name ...string) bool {
	return len(name) == 1 && slices.Contains([]string{"links", "dataLinks", "actions", "oneClick"}, name[0])
}

// freezeAnnotations keeps of annotations what Grafana's page keeps. None of theirs
// are computed: their lists are empty.
func freezeAnnotations(annotations any) []any {
	list := []any{}
	object, _ := annotations.(map[string]any)
	for _, annotation := range objects(object["list"]) {
		if annotation["enable"] == true {
			kept := only(annotation, "name", "enable", "iconColor", "type", "builtIn", "hide")
			kept["snapshotData"] = []any{}
			list = append(list, kept)
		}
	}
	return list
}

// freezeVariables keeps the variables that visitors see, each with its one value.
// Hidden ones, data sources and constants tell about the installation, and what
// used them is expanded.
func (b *computing) freezeVariables(templating any) []any {
	const hidden = "2"
	list := []any{}
	object, _ := templating.(map[string]any)
	for _, v := range objects(object["list"]) {
		hide := stringsOf(v["hide"])
		if v["type"] == "datasource" || v["type"] == "constant" || slices.Equal(hide, []string{hidden}) {
			continue
		}
		kept := only(v, "name", "label", "type", "multi", "includeAll", "sort", "hide")
		current := b.current(v)
		kept["current"] = current
		kept["options"] = []any{current}
		kept["query"] = ""
		kept["regex"] = ""
		kept["refresh"] = 0
		list = append(list, kept)
	}
	return list
}

// current is the selected value of a variable, as boards have it.
func (b *computing) current(v map[string]any) map[string]any {
	name, _ := v["name"].(string)
	value := b.scope.Variables[name]
	text := value.Text
	if text == "" {
		text = strings.Join(value.Values, " + ")
	}
	if multi, _ := v["multi"].(bool); multi {
		return map[string]any{"text": text, "value": value.Values}
	}
	return map[string]any{"text": text, "value": strings.Join(value.Values, ",")}
}
