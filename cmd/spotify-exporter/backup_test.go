package main

import (
	"archive/tar"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

// TestBackupUnderLoad takes backups while a daemon records and something else
// writes as fast as it can, and holds each against what was acknowledged by then.
func TestBackupUnderLoad(t *testing.T) {
	clk := clock.New(time.Now(), 60)
	sim := simulate(t, clk, nil)
	me := sim.AddUser("me-id", "Me")
	logIn(t, "me", me)
	me.At(clk.Now()).Play(spotifysim.NewTrack("Now", "Somebody", 2*time.Hour))
	d := startDaemon(t, clk)
	eventually(t, 20*time.Second, "the daemon polls", func() bool {
		return strings.Contains(get(t, d.URL+"/metrics"), `spotify_up{account="me"} 1`)
	})
	dataDir := os.Getenv("DATA_DIR")

	c, err := loadConfig(anyConfig)
	if err != nil {
		t.Fatal(err)
	}
	j, err := c.openJournal(t.Context(), clk)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var acknowledged atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			report := journal.Report{
				Witness: journal.ExtendedHistory, EndedAt: evening.Add(time.Duration(n) * time.Minute), MSPlayed: 50_000,
				Item: journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", n%100), Name: fmt.Sprint("Song ", n%100), Artists: []journal.Artist{{Name: "Artist"}}},
			}
			if _, err := j.Record(t.Context(), "load", journal.Witnessed{Reports: []journal.Report{report}}); err != nil {
				t.Error(err)
				return
			}
			acknowledged.Add(1)
		}
	}()

	for n := range 5 {
		eventually(t, 20*time.Second, "load", func() bool { return acknowledged.Load() > int64(50*n) })
		file := filepath.Join(t.TempDir(), "spotify.tar")
		before := acknowledged.Load()
		commandAt(t, clk, exitDone, "backup", file)
		after := acknowledged.Load()

		t.Setenv("DATA_DIR", t.TempDir())
		commandAt(t, clk, exitDone, "restore", file)
		out, _ := command(t, exitDone, "plays", "--account", "load", "--format", "jsonl")
		if held := int64(strings.Count(out, "\n")); held < before || held > after+1 {
			t.Errorf("backup %d holds %d plays; %d were acknowledged before it and %d after", n, held, before, after)
		}
		t.Setenv("DATA_DIR", dataDir)
	}
	close(stop)
	<-stopped
	d.finish(t)

	// Of a journal at rest everything is in it, and the logins if they are wanted.
	file := filepath.Join(t.TempDir(), "spotify.tar")
	command(t, exitDone, "backup", "--tokens", file)
	want := rows(t, c.journalPath())
	restored := filepath.Join(t.TempDir(), "new") // as on a new machine
	t.Setenv("DATA_DIR", restored)
	if _, errs := command(t, exitDone, "restore", file); !strings.Contains(errs, ", with tokens/me.json.") || !strings.Contains(errs, "replay --rebuild") {
		t.Errorf("restore says: %s", errs)
	}
	onlyThese(t, restored, "journal.db", "journal.db.lock", "tokens")
	got := rows(t, filepath.Join(restored, "journal.db"))
	for table := range want {
		if table == "request" { // which counts what may have been asked since as well
			got[table] = got[table][:min(len(want[table]), len(got[table]))]
		}
		if !slices.Equal(got[table], want[table]) {
			t.Errorf("%s: %d rows, want %d, or they differ", table, len(got[table]), len(want[table]))
		}
	}
	for _, table := range []string{"report", "play", "item", "fact", "outbox", "account", "request"} {
		if len(want[table]) == 0 {
			t.Errorf("nothing is in %s: this shows nothing", table)
		}
	}
	token := filepath.Join("tokens", "me.json")
	was, wasErr := os.ReadFile(filepath.Join(dataDir, token))
	is, isErr := os.ReadFile(filepath.Join(restored, token))
	if info, err := os.Stat(filepath.Join(restored, token)); errors.Join(wasErr, isErr, err) != nil || !bytes.Equal(was, is) || info.Mode() != 0o600 {
		t.Errorf("the login: %v", errors.Join(wasErr, isErr, err))
	}

	// The daemon goes on with it.
	again := startDaemon(t, clk)
	eventually(t, 20*time.Second, "the restored daemon polls", func() bool {
		return strings.Contains(get(t, again.URL+"/metrics"), `spotify_up{account="me"} 1`)
	})
	if _, errs := command(t, exitFailed, "restore", file); !strings.Contains(errs, "another spotify-exporter is using this journal") {
		t.Errorf("restore beside a daemon: %s", errs)
	}
	again.finish(t)
	if _, errs := command(t, exitFailed, "restore", file); !strings.Contains(errs, "there is a journal already") || !strings.Contains(errs, "--move-away") {
		t.Errorf("restore over a journal: %s", errs)
	}
	if _, errs := command(t, exitDone, "restore", "--move-away", file); !strings.Contains(errs, filepath.Join(restored, "journal.db.2")) {
		t.Errorf("restore --move-away says: %s", errs)
	}
	if aside, err := filepath.Glob(filepath.Join(restored, "journal.db.2*")); err != nil || len(aside) != 1 {
		t.Errorf("moved away: %v (%v)", aside, err)
	}
}

// rows are all rows of all tables of a journal, as texts.
func rows(t *testing.T, path string) map[string][]string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	query := func(q string) (list []string) {
		t.Helper()
		rows, err := db.QueryContext(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			list = append(list, fmt.Sprint(values...))
		}
		return list
	}
	all := map[string][]string{}
	for _, table := range query("SELECT name FROM sqlite_schema WHERE type = 'table'") {
		all[table] = query("SELECT * FROM " + table + " ORDER BY 1, 2")
	}
	return all
}

func onlyThese(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("%s has %v, want %v", dir, got, names)
	}
}

// recordOne makes a journal in DATA_DIR with one play.
func recordOne(t *testing.T, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Streaming_History_Audio_2025.json")
	row := map[string]any{
		"ts": "2025-03-01T18:00:00Z", "ms_played": 60_000, "platform": "ios", "conn_country": "DE", "spotify_track_uri": "spotify:track:0000000000000000000001",
		"master_metadata_track_name": "Song", "master_metadata_album_artist_name": "Artist", "master_metadata_album_album_name": "Album",
		"reason_start": "trackdone", "reason_end": "trackdone", "shuffle": false, "skipped": false, "offline": false, "incognito_mode": false,
	}
	content, err := json.Marshal([]any{row})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, exitDone, slices.Concat([]string{"import", "--force", file}, args)...)
}

func TestBackupFile(t *testing.T) {
	setEnvironment(t, nil)
	dir := t.TempDir()
	file := filepath.Join(dir, "spotify.tar")
	if _, errs := command(t, exitFailed, "backup", file); !strings.Contains(errs, "no journal yet") {
		t.Errorf("backup of nothing: %s", errs)
	}
	recordOne(t)
	if err := os.Mkdir(filepath.Join(os.Getenv("DATA_DIR"), "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("DATA_DIR"), "tokens", "me.json"), []byte(`{"token":{"refresh_token":"secret-of-me"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, exitDone, "backup", file)
	onlyThese(t, dir, "spotify.tar")
	content, err := os.ReadFile(file)
	if info, statErr := os.Stat(file); errors.Join(err, statErr) != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), statErr)
	}
	if bytes.Contains(content, []byte("secret-of-me")) {
		t.Error("logins are in it, which were not asked for")
	}

	// Nothing is overwritten, unless that is wanted.
	if _, errs := command(t, exitFailed, "backup", file); !strings.Contains(errs, "--overwrite") {
		t.Errorf("over another: %s", errs)
	}
	if same, err := os.ReadFile(file); err != nil || !bytes.Equal(content, same) {
		t.Errorf("the refused backup has changed the file (%v)", err)
	}
	command(t, exitDone, "backup", "--overwrite", "--tokens", file)
	if content, err := os.ReadFile(file); err != nil || !bytes.Contains(content, []byte("secret-of-me")) {
		t.Errorf("logins are not in it (%v)", err)
	}
	if _, errs := command(t, exitFailed, "backup", filepath.Join(dir, "none", "spotify.tar")); !strings.Contains(errs, "none") {
		t.Errorf("into a folder that is not there: %s", errs)
	}

	// From one program to the other, as in containers.
	stream, _ := command(t, exitDone, "backup", "--tokens", "-")
	t.Setenv("DATA_DIR", t.TempDir())
	mine := filepath.Join(os.Getenv("DATA_DIR"), "tokens", "me.json")
	if err := os.Mkdir(filepath.Dir(mine), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs output
	p := &program{stdin: strings.NewReader(stream), stdout: io.Discard, stderr: &errs}
	if exit := p.run(t.Context(), []string{"restore", "-"}); exit != exitDone || !strings.Contains(errs.String(), "Restored: 1 plays") || !strings.Contains(errs.String(), "What was there already stays: tokens/me.json\n") {
		t.Errorf("restore -: %d, %s", exit, errs.String())
	}
	if content, err := os.ReadFile(mine); err != nil || string(content) != "newer" {
		t.Errorf("the newer login is %q (%v)", content, err)
	}
}

// TestInfluxDBIsRebuiltFromABackup restores into the InfluxDB that knows more than
// the backup, and into an empty one.
func TestInfluxDBIsRebuiltFromABackup(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	setEnvironment(t, nil)
	bucket := useInflux(t, server)
	all := func() map[string]string {
		points := map[string]string{}
		for _, measurement := range []string{"listen", "listen_artist", "artist_total", "album_total", "track_total", "artist_year", "account"} {
			points[measurement] = fmt.Sprint(server.Points(t, bucket, measurement))
		}
		return points
	}
	export, _ := generated(t, 100)
	send := func() { // as a daemon would: what it imports is there already
		t.Helper()
		command(t, exitDone, "import", "--wait", export)
	}
	send()
	want, file := all(), filepath.Join(t.TempDir(), "spotify.tar")
	command(t, exitDone, "backup", file)
	recordOne(t, "--wait")
	if maps.Equal(all(), want) {
		t.Fatal("InfluxDB does not know more than the backup")
	}
	restore := func(replay ...string) {
		t.Helper()
		t.Setenv("DATA_DIR", t.TempDir())
		command(t, exitDone, "restore", file)
		command(t, exitDone, replay...)
		send()
		got := all()
		for measurement := range want {
			if got[measurement] != want[measurement] {
				t.Errorf("after %v %s is not what it was", replay, measurement)
			}
		}
	}
	restore("replay", "--rebuild")
	bucket = useInflux(t, server)
	restore("replay")
}

func TestTheLinkOfTheSnapshotOutlivesARestore(t *testing.T) {
	setEnvironment(t, nil)
	recordOne(t)
	link := func() string {
		t.Helper()
		publisher, err := grafana.New(grafana.Options{URL: "http://grafana:3000", Dir: os.Getenv("DATA_DIR")})
		if err != nil {
			t.Fatal(err)
		}
		link, err := publisher.Link()
		if err != nil {
			t.Fatal(err)
		}
		return link
	}
	want, file := link(), filepath.Join(t.TempDir(), "spotify.tar")
	command(t, exitDone, "backup", file)
	t.Setenv("DATA_DIR", t.TempDir())
	command(t, exitDone, "restore", file)
	if got := link(); got != want {
		t.Errorf("link %s, want %s", got, want)
	}
}

func TestRestoreRefuses(t *testing.T) {
	setEnvironment(t, nil)
	recordOne(t)
	good, _ := command(t, exitDone, "backup", "-")
	tarOf := func(name string) string {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: 1}), second(w.Write([]byte("x"))), w.Close())
		if err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	flipped := []byte(good)
	flipped[bytes.Index(flipped, []byte("Album"))] ^= 1
	for _, c := range []struct{ name, content, says string }{
		{"a text", strings.Repeat("ts,track\n", 1000), "is no backup that spotify-exporter has written"},
		{"nothing", "", "is no backup that spotify-exporter has written"},
		{"a SQLite file", "SQLite format 3\x00" + strings.Repeat("\x00", 8000), "is no backup that spotify-exporter has written"},
		{"another tar file", tarOf("../journal.db"), `"../journal.db" is in it`},
		{"a login with another name", tarOf("tokens/../../x.json"), "is in it"},
		{"one that breaks off", good[:len(good)/2], "is damaged"},
		{"one that breaks off between files", good[:strings.LastIndex(good, backupSums)], "is damaged: its end is missing"},
		{"one with a letter changed", string(flipped), "is damaged: its content is not what its checksums say"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("DATA_DIR", t.TempDir())
			file := filepath.Join(t.TempDir(), "spotify.tar")
			if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, errs := command(t, exitFailed, "restore", file); !strings.Contains(errs, c.says) || !strings.Contains(errs, file) {
				t.Errorf("restore says %q, want %q", errs, c.says)
			}
			onlyThese(t, os.Getenv("DATA_DIR"), "journal.db.lock")
		})
	}
	if _, errs := command(t, exitFailed, "restore", "/nowhere.tar"); !strings.Contains(errs, "/nowhere.tar") {
		t.Errorf("restore of nothing: %s", errs)
	}
	command(t, exitUsage, "replay", "--rebuild", "--from", "7d")
}

func second(_ int, err error) error { return err }

// TestRootLeavesNothingOfItsOwn is what makes `sudo spotify-exporter login` work
// beside a daemon that is not root.
func TestRootLeavesNothingOfItsOwn(t *testing.T) {
	const nobody = 65534
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	setEnvironment(t, nil)
	recordOne(t)
	dir, err := os.MkdirTemp("", "spotify-exporter-test-") // t.TempDir is for us alone
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(t.TempDir(), "spotify.tar") // which only root may read
	command(t, exitDone, "backup", "--tokens", file)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "restore", file)
	cmd.Env = append(os.Environ(), childClock+"=0 0 1", "DATA_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != nobody {
			t.Errorf("%s belongs to user id %d", path, info.Sys().(*syscall.Stat_t).Uid)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
