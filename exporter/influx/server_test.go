package influx_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

func TestAPlayArrivesWithEveryFieldAndItsType(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	zone := mustZone(t, "Europe/Berlin")
	ended := time.Date(2026, 3, 1, 23, 30, 0, 123_000_000, time.UTC)
	p := record(t, j, "me", journal.Report{
		Witness: journal.RecentlyPlayed, EndedAt: ended, MSPlayed: -1, ContextType: "playlist", ContextURI: "spotify:playlist:1",
		Item: full().Item,
	})[0]
	drain(t, exporter(t, s, bucket, j, func(o *influx.Options) { o.Zone = func(string) *time.Location { return zone } }))

	got := s.Points(t, bucket, "listen")
	if len(got) != 1 {
		t.Fatalf("%d listens, want 1", len(got))
	}
	for field, want := range map[string]any{
		"_time": time.Unix(0, p.PointNS).UTC(), "account": "me",
		"plays": int64(1), "ms_played": p.MSPlayed, "duration_ms": int64(180_000), "hour": int64(0), "weekday": int64(1),
		"track": "Song", "track_id": "6rqhFgbbKwnb9MLmUQDhG6", "song_key": "first – song", "song_total": influx.Synthetic("first\x1fsong"), "artist": "First", "artist_id": "a1", "artist_key": "first", "artists": "First; Second; Third",
		"album": "Album", "album_id": "al1", "album_key": "various – album", "isrc": "DEXX01234567", "release_year": int64(1999), "image_url": "https://i.scdn.co/image/1",
		"kind": "track", "skipped": false, "shuffle": false, "offline": false, "incognito": false, "device": nil, "device_type": nil,
		"platform": nil, "country": nil, "context_type": "playlist", "context_uri": "spotify:playlist:1", // "" is read back as nil
		"reason_start": nil, "reason_end": nil, "explicit": true, "witness": "recently_played",
	} {
		if value, ok := got[0][field]; !ok || !reflect.DeepEqual(value, want) {
			t.Errorf("%s: %T %v, want %T %v", field, value, value, want, want)
		}
		delete(got[0], field)
	}
	if len(got[0]) > 0 {
		t.Errorf("more than the schema has: %v", got[0])
	}
	credits := s.Points(t, bucket, "listen_artist")
	if len(credits) != 3 {
		t.Fatalf("%d credits, want 3", len(credits))
	}
	if p.PointNS%1_000_000 == 0 {
		t.Error("the time has no ns to lose: choose another item")
	}
	for _, c := range credits {
		if c["_time"] != time.Unix(0, p.PointNS).UTC() || c["ms_share"] != float64(p.MSPlayed)/3 {
			t.Errorf("credit %v", c)
		}
	}
	if got := s.Points(t, bucket, "artist_total"); len(got) != 1 || got[0]["name"] != "First" || got[0]["plays"] != int64(1) {
		t.Errorf("artist totals %v", got)
	}
	if got := s.Points(t, bucket, "account"); len(got) != 1 || got[0]["timezone"] != "Europe/Berlin" {
		t.Errorf("accounts %v", got)
	}
	if n := pending(t, j); n != 0 {
		t.Errorf("%d entries left in the outbox", n)
	}
}

// A better witness says that a play was not skipped and names no device any more:
// nothing of the old point may shine through.
func TestARewriteClearsAndAddsNothing(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	plays := record(t, j, "me", evenings(5)...)
	for _, p := range plays {
		writeLines(t, s, bucket, fmt.Sprintf("listen,account=me device=\"old\",skipped=true,explicit=true,ms_played=1i %d\n", p.PointNS))
	}
	e := exporter(t, s, bucket, j)
	drain(t, e)
	for range 2 { // once more changes nothing
		got := s.Points(t, bucket, "listen")
		if len(got) != 5 {
			t.Fatalf("%d listens, want 5", len(got))
		}
		for _, p := range got {
			if p["device"] != nil || p["skipped"] != false || p["explicit"] != false || p["ms_played"] != int64(180_000) {
				t.Errorf("the old point shines through: %v", p)
			}
		}
		if _, err := j.Replay(t.Context(), time.Time{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		drain(t, e)
	}
}

func TestTextsThatBreakLineProtocolArrive(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	want := map[string]bool{}
	for i, text := range unsanitary {
		if text == "" {
			continue
		}
		r := heard(i, evening.Add(time.Duration(i)*time.Hour))
		r.Item.Name = text
		record(t, j, "me", r)
		want[sanitary(text, 64<<10)] = true
	}
	accounts := map[string]bool{}
	for i, account := range unsanitary {
		tag := strings.TrimRight(sanitary(account, 1<<10), `\`)
		if tag == "" {
			continue
		}
		record(t, j, account, heard(1000+i, evening.Add(time.Duration(i)*time.Minute)))
		accounts[tag] = true
	}
	drain(t, exporter(t, s, bucket, j))
	for _, r := range rejected(t, j) {
		t.Errorf("rejected: %+v", r)
	}
	got := map[string]bool{}
	seen := map[string]bool{}
	for _, p := range s.Points(t, bucket, "listen") {
		account := p["account"].(string)
		seen[account] = true
		if account == "me" {
			got[p["track"].(string)] = true
		}
	}
	accounts["me"] = true
	if !reflect.DeepEqual(got, want) {
		t.Errorf("titles\ngot  %v\nwant %v", got, want)
	}
	if !reflect.DeepEqual(seen, accounts) {
		t.Errorf("accounts\ngot  %v\nwant %v", seen, accounts)
	}
}

// InfluxDB checks types per shard: a listen of 2019 whose shard holds another
// type of a field is one that it never takes. It must not hold up the others.
func TestOnePoisonLineIn5000(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	then := time.Date(2019, 6, 1, 12, 0, 0, 0, time.UTC)
	writeLines(t, s, bucket, fmt.Sprintf("listen,account=me track=1i %d\n", then.Add(-time.Minute).UnixNano()))
	reports := evenings(4999)
	record(t, j, "me", append(reports, heard(5000, then))...)
	e := exporter(t, s, bucket, j, func(o *influx.Options) { o.BatchSize = 20_000 })
	drain(t, e)
	if n := s.Count(t, bucket, "listen", "plays"); n < 4999 {
		t.Errorf("%d of the 4,999 good listens arrived", n)
	}
	bad := rejected(t, j)
	if len(bad) != 1 || bad[0].Kind != journal.EntryPlay || !strings.Contains(bad[0].Reason, "type conflict") {
		t.Errorf("rejected %+v, want the play of 2019 with the server's words", bad)
	}
	state := e.State()
	if n := pending(t, j); n != 0 || state.PointsRejected == 0 || !*state.Up || state.WriteFailures[influx.Unprocessable]+state.WriteFailures[influx.Invalid] == 0 {
		t.Errorf("%d pending, state %+v", n, state)
	}
}

func TestADeleteTakesItsPointAndNoOther(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	plays := record(t, j, "me", evenings(3)...)
	record(t, j, "you", evenings(3)...)
	e := exporter(t, s, bucket, j)
	drain(t, e)
	gone := plays[1].PointNS
	// Neighbours a nanosecond away, and a credit that the play had before.
	writeLines(t, s, bucket, fmt.Sprintf("listen,account=me plays=1i %d\nlisten,account=me plays=1i %d\nlisten_artist,account=me,pos=7 artist=\"left over\" %d\n", gone-1, gone+1, gone))

	replaced := []journal.Entry{{Seq: 1, Kind: journal.EntryPlayGone, Account: "me", TimeNS: gone}}
	if err := e.Drain(t.Context(), replaced); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Points(t, bucket, "listen") {
		if p["account"] == "me" && p["_time"] == time.Unix(0, gone).UTC() {
			t.Errorf("still there: %v", p)
		}
	}
	if n := s.Count(t, bucket, "listen", "plays"); n != 3+3-1+2 {
		t.Errorf("%d listens, want 7: one of six gone, two neighbours", n)
	}
	if n := s.Count(t, bucket, "listen_artist", "artist"); n != 3+3-1 {
		t.Errorf("%d credits, want 5", n)
	}
	if n := e.State().PointsDeleted; n != 2 {
		t.Errorf("%d points deleted, want the listen and its credits", n)
	}
	// The same identity can be written again at once, with fewer credits.
	again := plays[1]
	again.Account = "me"
	if err := e.Drain(t.Context(), []journal.Entry{replaced[0], {Seq: 2, Kind: journal.EntryPlay, Account: "me", Play: &again}}); err != nil {
		t.Fatal(err)
	}
	credits := 0
	for _, c := range s.Points(t, bucket, "listen_artist") {
		if c["account"] == "me" && c["_time"] == time.Unix(0, gone).UTC() {
			credits++
		}
	}
	if n := s.Count(t, bucket, "listen", "plays"); n != 8 || credits != 1 {
		t.Errorf("%d listens and %d credits of the play that was replaced, want 8 and 1", n, credits)
	}
}

// fail stands between us and the server and does as it is told.
func fail(do func(req *http.Request) (*http.Response, error)) func(*influx.Options) {
	return func(o *influx.Options) {
		o.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			if resp, err := do(req); resp != nil || err != nil {
				return resp, err
			}
			return http.DefaultTransport.RoundTrip(req)
		})
	}
}

// A write that was stored, but whose answer was lost, is made again: nothing is
// lost and nothing is there twice.
func TestAWriteWhoseAnswerIsLostIsMadeAgain(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	record(t, j, "me", evenings(100)...)
	lost := 0
	e := exporter(t, s, bucket, j, fail(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path != "/api/v2/write" || req.ContentLength == 0 || lost > 0 {
			return nil, nil
		}
		lost++
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}))
	if _, err := e.Step(t.Context()); failure(t, err).Reason != influx.Network {
		t.Fatal(err)
	}
	if n := s.Count(t, bucket, "listen", "plays"); n != 100 {
		t.Fatalf("the first write stored %d listens, want 100", n)
	}
	if pending(t, j) == 0 {
		t.Fatal("the outbox is empty though nobody said that the write was taken")
	}
	drain(t, e)
	if n := s.Count(t, bucket, "listen", "plays"); n != 100 {
		t.Errorf("%d listens, want 100", n)
	}
}

func TestASmallServerGetsSmallRequests(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	record(t, j, "me", evenings(2000)...)
	const limit = 400 << 10
	refused := 0
	e := exporter(t, s, bucket, j, fail(func(req *http.Request) (*http.Response, error) {
		if req.ContentLength > limit {
			refused++
			return answer(req, http.StatusRequestEntityTooLarge, http.Header{"Content-Type": {"text/html"}}, "<html>413</html>"), nil
		}
		return nil, nil
	}))
	drain(t, e)
	if n := s.Count(t, bucket, "listen", "plays"); n != 2000 {
		t.Errorf("%d listens, want 2,000", n)
	}
	if len(rejected(t, j)) > 0 || refused == 0 {
		t.Errorf("%d refused, rejected %v", refused, rejected(t, j))
	}
	learned := refused
	if _, err := j.Replay(t.Context(), time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	drain(t, e)
	if refused > learned {
		t.Errorf("%d more requests were too large: nothing was learned", refused-learned)
	}
}

func TestAnOutageLosesNothing(t *testing.T) {
	s := influxtest.New(t)
	bucket, j := s.Bucket(t), openJournal(t)
	record(t, j, "me", evenings(10)...)
	e := exporter(t, s, bucket, j)
	drain(t, e)
	before := e.State().LastSuccess
	s.Kill(t)
	record(t, j, "me", heard(11, evening.Add(40*time.Hour)))
	wait, err := e.Step(t.Context())
	if f := failure(t, err); f.Reason != influx.Network || f.Status != 0 || wait > time.Second || wait <= 0 {
		t.Errorf("wait %v after %v", wait, err)
	}
	state := e.State()
	if *state.Up || state.LastSuccess != before || state.WriteRetries != 1 || state.WriteFailures[influx.Network] != 1 {
		t.Errorf("state while down %+v", state)
	}
	s.Start(t)
	drain(t, e)
	if n := s.Count(t, bucket, "listen", "plays"); n != 11 {
		t.Errorf("%d listens, want 11", n)
	}
	if state := e.State(); !*state.Up || !state.LastSuccess.After(before) {
		t.Errorf("state after it %+v", state)
	}
}

func TestHeldRatio(t *testing.T) {
	s := influxtest.Shared(t)
	influxtest.Require2(t)
	bucket, j := s.Bucket(t), openJournal(t)
	reports := evenings(4)
	for i := range reports {
		reports[i].Witness, reports[i].MSPlayed = journal.RecentlyPlayed, -1
	}
	recorded, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports, Page: &journal.Page{FetchedAt: evening}})
	if err != nil {
		t.Fatal(err)
	}
	e := exporter(t, s, bucket, j)
	drain(t, e)
	if got := e.State().HeldRatio; got["me"] != 1 {
		t.Fatalf("held %v, want all", got)
	}
	// Somebody deletes one; a look after a restart finds out.
	if err := e.Drain(t.Context(), []journal.Entry{{Seq: 1, Kind: journal.EntryPlayGone, Account: "me", TimeNS: recorded.Plays[0].PointNS}}); err != nil {
		t.Fatal(err)
	}
	e = exporter(t, s, bucket, j)
	drain(t, e)
	if got := e.State().HeldRatio; got["me"] != 0.75 {
		t.Errorf("held %v, want 3 of 4", got)
	}
	e = exporter(t, s, bucket, j, func(o *influx.Options) { o.Token = s.Grant(t, bucket, influxtest.Write) })
	drain(t, e)
	if got, ok := e.State().HeldRatio["me"]; ok {
		t.Errorf("a token that may not read knows a ratio: %v", got)
	}
	if !*e.State().Up {
		t.Error("that a token may not read is no reason to be down")
	}
}

// TestOn18 runs the tests that InfluxDB 1.8 can serve once more against it, where
// make influxd-1.8 has built it.
func TestOn18(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no cache directory:", err)
	}
	influxd := filepath.Join(cache, "spotify-exporter", "influxd-1.8")
	if _, err := os.Stat(influxd); err != nil || os.Getenv("INFLUXD") != "" {
		t.Skip("needs InfluxDB 1.8 beside 2.x: make influxd-1.8")
	}
	run := exec.Command(os.Args[0], "-test.run", "Arrives|Rewrite|Texts|Poison|Delete|Lost|MayNotWrite")
	run.Env = append(os.Environ(), "INFLUXD="+influxd)
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPrivatePlaysLeaveAndComeBack switches RECORD_PRIVATE off and on again. InfluxDB has the private plays of an import
// only while it is on, without a replay.
func TestPrivatePlaysLeaveAndComeBack(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, path := s.Bucket(t), filepath.Join(t.TempDir(), "journal.db")
	for i, private := range []bool{true, false, true} {
		j, err := journal.Open(t.Context(), path, journal.Options{RecordPrivate: private, Now: func() time.Time { return evening.Add(30 * 24 * time.Hour) }})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			hidden := heard(2, evening.Add(time.Hour))
			hidden.Witness, hidden.Incognito = journal.ExtendedHistory, new(true)
			record(t, j, "me", heard(1, evening), hidden)
		}
		drain(t, exporter(t, s, bucket, j))
		want := 1
		if private {
			want = 2
		}
		for measurement, field := range map[string]string{"listen": "plays", "listen_artist": "plays", "track_total": "plays"} {
			if n := s.Count(t, bucket, measurement, field); n != want {
				t.Errorf("RECORD_PRIVATE=%v: %d points of %s, want %d", private, n, measurement, want)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
