package history

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"
)

// FuzzRow holds the reader of objects against encoding/json, and feeds the
// decoders whatever comes.
func FuzzRow(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":{"b":["}",{}]},"c":"\"}","d":[],"e":-1.5e3,"f":null}`, ` { "a" : "b" , "a" : true } `,
		`{"ts":"2024-05-01T10:00:00Z","ms_played":1000,"offline_timestamp":1714557600,"platform":"ios","skipped":null}`,
		`{"t\u0073":"2024-05-01T10:00:00Z","ms_played":1e3,"master_metadata_track_name":"\u2060\ud83c\udfa7"}`,
		`{"endTime" : "2024-08-23 00:02","artistName" : "A","trackName" : "T","msPlayed" : 5}`,
		`{"a":}`, `{"a"`, `{"a":1,}`, `{,}`, `{"\`, `{"\":1}`, "{\"\xff\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		got := map[string]string{}
		members := object{rest: row}
		for members.next() {
			got[string(members.key)] = string(members.value)
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(row, &want); err == nil && want != nil && utf8.Valid(row) {
			if members.broken || len(got) != len(want) {
				t.Fatalf("%q: got %q, broken %v, want %q", row, got, members.broken, want)
			}
			for key, value := range want {
				if got[key] != string(value) {
					t.Fatalf("%q, %q: got %s, want %s", row, key, got[key], value)
				}
				var text string
				if got, ok := unquote(value); ok != (value[0] == '"') || ok && (json.Unmarshal(value, &text) != nil || text != got) {
					t.Fatalf("%s: got %q, want %q", value, got, text)
				}
			}
		}

		d := newDecoder(time.Now())
		for _, format := range []Format{Extended, AccountMusic} {
			r := Row{}
			d.decode(format, row, &r)
			switch {
			case r.Reason != "" && r.Detail == "":
				t.Errorf("%q: no detail of %s", row, r.Reason)
			case r.Reason == "" && (r.Report.EndedAt.IsZero() || r.Report.MSPlayed < 0):
				t.Errorf("%q: got %+v", row, r.Report)
			}
		}
	})
}

// FuzzArray holds the splitting of a list against encoding/json, with the bytes
// coming in one piece and one by one.
func FuzzArray(f *testing.F) {
	for _, seed := range []string{
		`[]`, ` [ ] `, `[{}]`, "\ufeff[1, \"a]\", [[]], {\"b\": \"\\\"]\"}, null]\n", `[1 2]`, `[1,]`, `[,1]`, `[`, `[1`, `{}`, `[]]`, `["\`, `[}`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read := func(r io.Reader) (elements [][]byte, err error) {
			a := newArray(r)
			for a.next() {
				if end := a.offset + int64(len(a.element)); end > int64(len(text)) || !bytes.Equal(text[a.offset:end], a.element) {
					t.Fatalf("%q: %q is not at %d", text, a.element, a.offset)
				}
				elements = append(elements, bytes.Clone(a.element))
			}
			return elements, a.err()
		}
		got, err := read(bytes.NewReader(text))
		slowly, slowErr := read(iotest.OneByteReader(bytes.NewReader(text)))
		if len(got) != len(slowly) || err != slowErr {
			t.Fatalf("%q: %q, %v in one piece; %q, %v byte by byte", text, got, err, slowly, slowErr)
		}
		var want []json.RawMessage
		if json.Unmarshal(text, &want) != nil || want == nil {
			return
		}
		if err != nil || len(got) != len(want) {
			t.Fatalf("%q: got %q, %v", text, got, err)
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%q: got %s, want %s", text, got[i], want[i])
			}
		}
	})
}
