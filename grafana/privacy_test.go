package grafana_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// What only this installation knows.
var private = grafana.Private{
	Secrets:  []string{"BQDk-a-token-of-spotify_x9Q", "influx-token=="},
	Accounts: []string{"31l2kxq6vn4mhxo7gqeh5zv3pa7y", "zoe"},
	Devices:  []string{"Kitchen", "Anna's Pixel 9", "Büro"},
}

// newPrivateHarness answers the query of the table "Artists" with these frames.
func newPrivateHarness(t testing.TB, frames ...grafanatest.Frame) *harness {
	t.Helper()
	h := newHarness(t, func(o *grafana.Options) {
		o.Private = func(context.Context) (grafana.Private, error) { return private, nil }
	})
	h.server.Answer = func(query map[string]any) ([]grafanatest.Frame, error) {
		if text, _ := query["query"].(string); strings.HasPrefix(text, "artists") {
			return frames, nil
		}
		return h.answer(query)
	}
	return h
}

func (h *harness) draft(t testing.TB) *grafana.Draft {
	t.Helper()
	draft, err := h.Draft(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return draft
}

// TestPrivateFields has one thing wrong in each case.
func TestPrivateFields(t *testing.T) {
	hour := time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC).UnixMilli()
	labelled := func(name, value string) typedColumn {
		c := column("hours", "number", 1)
		c.Labels = map[string]string{name: value}
		return c
	}
	called := column("hours", "number", 1)
	called.Config["displayName"] = "hours on Kitchen"
	named := table(column("hours", "number", 1))
	named.Schema.Name = "Anna's Pixel 9"
	nameless := table(column("hours", "number", 1))
	nameless.Data.Values = append(nameless.Data.Values, []any{"Kitchen"})
	tests := map[string]struct {
		frame grafanatest.Frame
		want  string // of the violation; "": none
	}{
		"all is well":           {table(column("artist", "string", "Kitchen"), column("hours", "number", 2.5), column("month", "string", "November")), ""},
		"whole hours":           {table(column("Time", "time", hour), column("plays", "number", 3)), ""},
		"an empty table":        {table(column("artist", "string"), column("hours", "number")), ""},
		"nulls":                 {table(column("artist", "string", nil), column("hours", "number", nil)), ""},
		"a device":              {table(column("device", "string", "x")), `field "device": is never published`},
		"a device's type":       {table(column("device_type", "string", "x")), `field "device_type": is never published`},
		"an account":            {table(column("Account", "string", "x")), `field "Account": is never published`},
		"a platform":            {table(column("platform", "string", "x")), `is never published`},
		"a country":             {table(column("country", "string", "x")), `is never published`},
		"a context":             {table(column("context_uri", "string", "x")), `is never published`},
		"an unknown column":     {table(column("mood", "string", "x")), `field "mood": is not among what a panel of type table may publish`},
		"a label":               {table(labelled("account", "me")), `label "account": is never published`},
		"an unknown label":      {table(labelled("mood", "blue")), `label "mood": is not among`},
		"a device as label":     {table(labelled("month", "Kitchen")), `label "month": holds the name of a device`},
		"a minute":              {table(column("Time", "time", hour+60_000)), `field "Time": holds times that are finer than an hour`},
		"a minute in a number":  {table(column("hours", "number", hour+1)), `field "hours": holds times that are finer`},
		"nanoseconds":           {table(column("hours", "number", 1.7e18)), `holds times in micro- or nanoseconds`},
		"microseconds":          {table(column("hours", "number", 1.7e15)), `holds times in micro- or nanoseconds`},
		"seconds":               {table(column("hours", "number", hour/1000)), `field "hours": may hold times in seconds`},
		"fractions of seconds":  {table(column("hours", "number", 1763650000.25)), `may hold times in seconds`},
		"seconds as text":       {table(column("month", "string", "1763650000")), `may hold times in seconds`},
		"milliseconds as text":  {table(column("month", "string", "1763650000123")), `times that are finer than an hour`},
		"nanoseconds as text":   {table(column("month", "string", "1763650000123456789")), `holds times in micro- or nanoseconds`},
		"seconds before 2006":   {table(column("plays", "number", 999_999_999)), ""},
		"a minute in a text":    {table(column("month", "string", "2026-11-20 15:04")), `tells the minute`},
		"a device in a text":    {table(column("month", "string", "at Büro, mostly")), `field "month": holds the name of a device`},
		"an id in a text":       {table(column("month", "string", "of zoe")), `holds the id of an account`},
		"a device, other case":  {table(column("month", "string", "in the kitchen")), `holds the name of a device`},
		"a device, capitals":    {table(column("month", "string", "BÜRO")), `holds the name of a device`},
		"a device, decomposed":  {table(column("month", "string", "Bu\u0308ro")), `holds the name of a device`},
		"a device, invisible":   {table(column("month", "string", "Kit\u00ad\u200bchen")), `holds the name of a device`},
		"a device, wide":        {table(column("month", "string", "Ｋｉｔｃｈｅｎ")), `holds the name of a device`},
		"within another word":   {table(column("month", "string", "Kitchenette")), ""},
		"an id, other case":     {table(column("month", "string", "of ZOE")), `holds the id of an account`},
		"a long id, other case": {table(column("url", "string", "https://x/31L2KXQ6VN4MHXO7GQEH5ZV3PA7Y")), `holds the id of an account`},
		"a mail address":        {table(column("month", "string", "ask zoé.müller+x@mail.example.org.")), `holds a mail address`},
		"no mail address":       {table(column("month", "string", "Live @ Wacken, 5@home")), ""},
		"a path":                {table(column("month", "string", "from /home/anna/Musik/x.mp3")), `holds the path of a file`},
		"a path at home":        {table(column("month", "string", "~/music")), `holds the path of a file`},
		"a path, elsewhere":     {table(column("month", "string", "(/pool/Musik/x.mp3)")), `holds a path`},
		"a path of Windows":     {table(column("month", "string", `C:\Users\anna`)), `holds the path of a file`},
		"a share of Windows":    {table(column("month", "string", `\\nas\musik`)), `holds the path of a file`},
		"slashes":               {table(column("month", "string", "AC/DC, 24/7, 11/2026, and/or/not")), ""},
		"an https link":         {table(column("url", "string", "https://open.spotify.com/track/x/y")), ""},
		"an http link":          {table(column("url", "string", "http://open.spotify.com/track/x")), `holds an address that is not https`},
		"a link of an app":      {table(column("url", "string", "intent://track")), `holds an address that is not https`},
		"a program":             {table(column("url", "string", "JavaScript:alert(1)")), `holds an address that is not https`},
		"a picture in the text": {table(column("url", "string", "data:image/png;base64,iVBORw0KGgo=")), ""},
		"a page in the text":    {table(column("url", "string", "data:text/html,<script>")), `holds an address that is not https`},
		"an id within a word":   {table(column("url", "string", "x31l2kxq6vn4mhxo7gqeh5zv3pa7yx")), `holds the id of an account`},
		"a person":              {table(column("url", "string", "https://open.spotify.com/user/x")), `holds the uri of an account`},
		"a local file":          {table(column("url", "string", "spotify:local:Me::Demo:201")), `holds the uri of a local file`},
		"a token":               {table(column("month", "string", "xinflux-token==x")), `holds a token`},
		"Grafana's token":       {table(column("month", "string", "glsa_Editor00000000000000000000000000_0badcafe")), `holds a token`},
		"an address":            {table(column("month", "string", "from 192.168.1.7:8086")), `holds an IP address`},
		"an address, version 6": {table(column("month", "string", "fe80::1.")), `holds an IP address`},
		"a display name":        {table(called), `its display name: holds the name of a device`},
		"an object":             {table(column("month", "string", map[string]any{"at": "Kitchen"})), `neither text nor number`},
		"a nameless column":     {nameless, `data: has a column without a name`},
		"a name of a frame":     {named, `name of its data: holds the name of a device`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := newPrivateHarness(t, test.frame)
			var found []string
			for _, violation := range h.draft(t).Violations {
				found = append(found, violation.String())
			}
			if test.want == "" {
				if len(found) > 0 {
					t.Fatalf("violations: %s", found)
				}
				return
			}
			if len(found) != 1 || !strings.Contains(found[0], test.want) || !strings.HasPrefix(found[0], `panel "Artists", `) {
				t.Fatalf("violations %q, want one of panel Artists: %s", found, test.want)
			}
			h.refused(t, grafana.Privacy, test.want)
			if h.server.Snapshots() != 0 {
				t.Error("it was published")
			}
		})
	}
}

// The list allows nothing that is never published, and titles only where they may be.
func TestPrivacyRules(t *testing.T) {
	var rules struct {
		Allowed       map[string][]string
		Titles, Never []string
	}
	if err := json.Unmarshal(grafana.PrivacyRules, &rules); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for kind, names := range rules.Allowed {
		for _, name := range names {
			used[name] = true
			for word := range strings.SplitSeq(strings.ToLower(name), "_") {
				if slices.Contains(rules.Never, word) {
					t.Errorf("%s is allowed in panels of type %s, and %s is never published", name, kind, word)
				}
			}
		}
	}
	for _, title := range rules.Titles {
		if !used[title] {
			t.Errorf("%s is a title and allowed nowhere", title)
		}
	}
	for _, private := range []string{"account", "device", "platform", "country", "context"} {
		if !slices.Contains(rules.Never, private) {
			t.Errorf("%s may be published", private)
		}
	}
}

// TestPrivateTexts looks at what the board itself says.
func TestPrivateTexts(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{`"Artists"`, `"Artists of zoe"`, `panel "Artists of zoe", title: holds the id of an account`},
		{`What strangers see.`, `Played in the Kitchen.`, `board, description: holds the name of a device`},
		{`As of `, `Served by 10.0.0.7, as of `, `content: holds an IP address`},
		{`"unit": "h"`, `"unit": "h", "noValue": "influx-token=="`, `noValue: holds a token`},
		{`"options": "Value"`, `"options": "Büro"`, `panel "Hours of anna", options: holds the name of a device`},
		{`"limitField": 10`, `"renameByName": {"hours": "in the Kitchen"}`, `panel "Artists", renameByName: holds the name of a device`},
		{`"limitField": 10`, `"influx-token==": 10`, `panel "Artists", key: holds a token`},
		{`As of `, `[Grafana](/d/private) as of `, `content: holds a link that is not https`},
		{`As of `, `[Grafana](http://grafana.example.org/x) as of `, `content: holds a link that is not https`},
		{`As of `, `<a href='javascript:alert(1)'>x</a> as of `, `content: holds a link that is not https`},
		{`As of `, `![x](http://example.org/x.png) as of `, `content: holds a picture that is neither https`},
		{`As of `, `<img src=http://example.org/x.png> as of `, `content: holds a picture that is neither https`},
		{`As of `, `See http://nas.example.org/ as of `, `content: holds an address that is not https`},
		{`As of `, `Ask anna@example.org, as of `, `content: holds a mail address`},
		{`As of `, `From /srv/music/x, as of `, `content: holds the path of a file`},
		{`"unit": "h"`, `"unit": "h", "noValue": "http://nas.example.org/"`, `noValue: holds an address that is not https`},
		{`["spotify"]`, `["zoe"]`, `board, tags: holds the id of an account`},
		{`r.incognito != true`, `r.ms > 0 // r.incognito != true`, `panel "Artists", target A: does not leave out private sessions`},
		{`stop: ${delay}`, `stop: now()`, `panel "Artists", target A: does not leave out the last hours`},
		{`"query": "artists: from(bucket: v.defaultBucket)`, `"query": "artists: from(bucket: \"another\") |> from(bucket: v.defaultBucket)`, `panel "Artists", target A: does not leave out private`},
		{`"query": "artists: from(bucket: v.defaultBucket)`, `"query": "artists: from(bucketID: \"another\") |> from(bucket: v.defaultBucket)`, `panel "Artists", target A: does not leave out private`},
		{`"query": "artists: from(bucket: v.defaultBucket)`, `"query": "artists: from(host: \"http://other\", bucket: \"another\") |> from(bucket: v.defaultBucket)`, `panel "Artists", target A: does not leave out private`},
		{`"refId": "A", "datasource": {"type": "influxdb", "uid": "${influx}"}, "query": "artists`, `"refId": "A", "expr": "up", "datasource": {"type": "influxdb", "uid": "${influx}"}, "query": "artists`, `target A: is no Flux query`},
	} {
		h := newPrivateHarness(t, table(column("artist", "string", "x")))
		file := string(boardFile(t))
		if !strings.Contains(file, test.old) {
			t.Fatalf("the board has no %s", test.old)
		}
		h.server.SetBoard(t, []byte(strings.ReplaceAll(file, test.old, test.new)))
		var found []string
		for _, violation := range h.draft(t).Violations {
			found = append(found, violation.String())
		}
		if !slices.ContainsFunc(found, func(v string) bool { return strings.Contains(v, test.want) }) {
			t.Errorf("%s: violations %q, want %q", test.new, found, test.want)
		}
	}
}

// A setting that is called like a device or an account by chance is none.
func TestSettingsAreNoTexts(t *testing.T) {
	before := private
	private.Devices, private.Accounts = []string{"area", "table", "A"}, []string{"h", "sum"}
	defer func() { private = before }()
	h := newPrivateHarness(t, table(column("artist", "string", "table")))
	if found := h.draft(t).Violations; len(found) > 0 {
		t.Errorf("violations: %s", found)
	}
}

func TestReadableDraft(t *testing.T) {
	h := newPrivateHarness(t, table(column("artist", "string", "zoe", "Zoe", "Zoey"), column("hours", "number", 1, 2, 3)))
	draft := h.draft(t)
	body, err := draft.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if draft.Masked != 2 || !bytes.Contains(body, []byte(`"•••"`)) || bytes.Contains(body, []byte(`"Zoe"`)) || !bytes.Contains(body, []byte(`"Zoey"`)) {
		t.Errorf("%d masked:\n%s", draft.Masked, body)
	}
	if bytes.Contains(body, []byte(`"key"`)) || bytes.Contains(body, []byte(`"deleteKey"`)) {
		t.Error("a body for reading holds the keys")
	}
	if h.server.Snapshots() != 0 || len(draft.Panels) != 2 || draft.Panels[1].Rows != 3 || !slices.Equal(draft.Panels[1].Fields, []string{"artist", "hours"}) {
		t.Errorf("panels %+v", draft.Panels)
	}
}

// denied are things that never leave, wherever they stand.
func denied() []string {
	return append(append([]string{
		"glsa_Editor00000000000000000000000000_0badcafe", "192.168.1.7", "2001:db8::7", "spotify:local:Me::Demo:201", "spotify:user:zoe",
	}, private.Secrets...), private.Accounts...)
}

// stands tells whether something denied can be read in a text: as part of a longer word
// neither a name nor an address of version 6 is one.
func stands(text, denied string) bool {
	if denied != "zoe" && denied != "2001:db8::7" {
		return strings.Contains(text, denied)
	}
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;!?()\"'/-|\n", r) }), denied)
}

// FuzzTitles has anything in the columns of titles: it never stops a snapshot, and
// nothing denied is in it.
func FuzzTitles(f *testing.F) {
	for i, what := range denied() {
		f.Add("", "", "", uint8(i))
		f.Add("Live at ", " (remaster)", what, uint8(i))
		f.Add("1", "2", "x", uint8(i))
	}
	for _, title := range []string{"Kitchen", "Anna's Pixel 9", "4:44", "12:01", "2026-11-20 15:04", "Re::Act", "::", "1999", "1.2.3", "\xff\xfe", "•••", "{{x}}", "${account}", "1700000000001", "</script>"} {
		f.Add(title, "", title, uint8(0))
	}
	f.Fuzz(func(t *testing.T, before, after, artist string, which uint8) {
		what := denied()[int(which)%len(denied())]
		titles := []string{before + what + after, before, after, artist}
		h := newPrivateHarness(t, table(
			column("track", "string", titles[0], titles[1], titles[2], titles[3]),
			column("artist", "string", titles[3], titles[0], titles[1], titles[2]),
			column("album", "string", titles[2], titles[3], titles[0], titles[1]),
			column("name", "string", titles[1], titles[2], titles[3], titles[0]),
		))
		draft := h.draft(t)
		if len(draft.Violations) > 0 {
			t.Fatalf("titles %q stop a snapshot: %s", titles, draft.Violations)
		}
		for _, text := range readable(t, draft) {
			for _, what := range denied() {
				if stands(text, what) {
					t.Errorf("%q is in the snapshot: %q", what, text)
				}
			}
		}
	})
}

// FuzzTexts has anything in another column, under any name: with something denied in
// it, the name of a device too, the snapshot is stopped.
func FuzzTexts(f *testing.F) {
	for i := range append(denied(), private.Devices...) {
		f.Add("month", "", "", uint8(i))
		f.Add("url", "at ", ", mostly", uint8(i))
		f.Add("device", "x", "1", uint8(i))
	}
	f.Fuzz(func(t *testing.T, name, before, after string, which uint8) {
		all := append(denied(), private.Devices...)
		what := all[int(which)%len(all)]
		text := before + what + after
		if slices.Contains([]string{"album", "artist", "name", "track"}, name) || slices.Contains(private.Devices, what) && before+after != strings.TrimSpace(before+after) {
			return
		}
		h := newPrivateHarness(t, table(column(name, "string", text), column(text, "number", 1)))
		if draft := h.draft(t); len(draft.Violations) == 0 {
			for _, seen := range readable(t, draft) {
				t.Errorf("published: %q", seen)
			}
		}
	})
}

// readable are all texts of a body, keys of objects too.
func readable(t testing.TB, draft *grafana.Draft) []string {
	t.Helper()
	encoded, err := draft.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var body any
	if err := json.Unmarshal(encoded, &body); err != nil {
		t.Fatal(err)
	}
	var found []string
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case string:
			found = append(found, value)
		case []any:
			for _, element := range value {
				walk(element)
			}
		case map[string]any:
			for key, element := range value {
				found = append(found, key)
				walk(element)
			}
		}
	}
	walk(body)
	return found
}

// TestGoodAddresses are those that a board may have.
func TestGoodAddresses(t *testing.T) {
	for _, text := range []string{
		"[Spotify](https://open.spotify.com/artist/x) as of ", "<a href=\\\"HTTPS://example.org/\\\">x</a> as of ", "![x](https://i.scdn.co/image/x) as of ",
		"![x](data:image/png;base64,iVBORw0KGgo=) as of ", "Data: of Spotify, as of ", "[up](#top) as of ", "a [list] (of songs), as of ",
	} {
		h := newPrivateHarness(t, table(column("artist", "string", "x")))
		h.edit(t, `As of `, text)
		if found := h.draft(t).Violations; len(found) > 0 {
			t.Errorf("%s: violations %s", text, found)
		}
	}
}

// TestMasks has what is never published in titles, with what is left of them.
func TestMasks(t *testing.T) {
	titles := map[string]string{
		"Song for ZOÉ": "Song for ZOÉ", "Song for Zoe (live)": "Song for ••• (live)", "ｚｏｅ!": "•••!", "Zo\u200be, z\u00adoe": "•••, •••", "Zoë": "Zoë",
		"x31L2KXQ6VN4MHXO7GQEH5ZV3PA7Yx": "x•••x", "Write to me@example.org now": "Write to ••• now",
		"Demo (/home/anna/demo.mp3)": "Demo (•••)", `C:\Musik\Demo.mp3 (take 2)`: "••• (take 2)",
		"AC/DC 24/7": "AC/DC 24/7", "/r/nosleep": "/r/nosleep", "1732300000": "1732300000", "http://": "http://", "kitchen": "kitchen",
	}
	for title, want := range titles {
		h := newPrivateHarness(t, table(column("track", "string", title)))
		draft := h.draft(t)
		if len(draft.Violations) > 0 {
			t.Fatalf("%q stops a snapshot: %s", title, draft.Violations)
		}
		if !slices.Contains(readable(t, draft), want) {
			t.Errorf("%q is not published as %q", title, want)
		}
	}
}
