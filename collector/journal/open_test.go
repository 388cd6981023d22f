package journal_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestMain makes this program a second process on a journal, if it is told to.
func TestMain(m *testing.M) {
	if role := os.Getenv("JOURNAL_ROLE"); role != "" {
		if err := play(role, os.Getenv("JOURNAL_PATH")); err != nil {
			fmt.Println("error:", err)
		}
		return
	}
	os.Exit(m.Run())
}

// play is what the second process does. It prints a line for each step.
func play(role, path string) error {
	ctx := context.Background()
	j, err := journal.Open(ctx, path, journal.Options{})
	if err != nil {
		return err
	}
	defer j.Close()
	switch role {
	case "lock":
		if err := j.Lock(); err != nil {
			return err
		}
		fmt.Println("locked")
		_, err = io.Copy(io.Discard, os.Stdin) // until it is closed, or we are killed
		return err
	case "open":
		return nil
	}
	first, count, _ := strings.Cut(role, " ")
	from, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	plays, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for n := from; n < from+plays; n++ {
		if _, err := j.Record(ctx, "me", journal.Witnessed{Reports: []journal.Report{numbered(n)}}); err != nil {
			return err
		}
		fmt.Println(n)
	}
	return nil
}

// numbered is the n-th of many plays.
func numbered(n int) journal.Report {
	return listed(song(n%50), noon.Add(time.Duration(n)*time.Minute))
}

// process is a second process on a journal.
type process struct {
	*exec.Cmd
	lines *bufio.Scanner
}

func start(t *testing.T, path, role string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), "JOURNAL_ROLE="+role, "JOURNAL_PATH="+path)
	in, err := p.StdinPipe() // open until the process is gone
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		p.Process.Kill()
		p.Wait()
	})
	p.lines = bufio.NewScanner(out)
	return p
}

// rest returns what the process still has to say.
func (p *process) rest() []string {
	var lines []string
	for p.lines.Scan() {
		lines = append(lines, p.lines.Text())
	}
	return lines
}

// integrity tells what SQLite finds wrong with a file.
func integrity(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var result string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil {
		t.Fatal(err)
	}
	return result
}

// foreign is a SQLite file of somebody else.
func foreign(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenLeavesWhatItCannotReadAlone(t *testing.T) {
	journalFile := func(t *testing.T, path string) {
		j, err := journal.Open(t.Context(), path, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		record(t, j, numbered(1), numbered(2))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string)
		want error
	}{
		{"a newer journal", func(t *testing.T, path string) {
			journalFile(t, path)
			foreign(t, path, "PRAGMA user_version = 1000")
		}, journal.ErrNewer},
		{"a newer journal that was not closed", func(t *testing.T, path string) {
			journalFile(t, path)
			p := start(t, path, "lock")
			if !p.lines.Scan() {
				t.Fatal("no second process")
			}
			foreign(t, path, "PRAGMA user_version = 1000")
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			p.Wait()
		}, journal.ErrNewer},
		{"random bytes", func(t *testing.T, path string) {
			junk := make([]byte, 20_000)
			random := rand.NewChaCha8([32]byte{})
			random.Read(junk)
			if err := os.WriteFile(path, junk, 0o600); err != nil {
				t.Fatal(err)
			}
		}, journal.ErrNotAJournal},
		{"a text", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("ts,track\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, journal.ErrNotAJournal},
		{"a journal cut off", func(t *testing.T, path string) {
			journalFile(t, path)
			if err := os.Truncate(path, 10_000); err != nil {
				t.Fatal(err)
			}
		}, journal.ErrNotAJournal},
		{"a journal overwritten in its middle", func(t *testing.T, path string) {
			journalFile(t, path)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copy(content[100:4096], bytes.Repeat([]byte{0xaa}, 4096))
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}, journal.ErrNotAJournal},
		{"a file of another program", func(t *testing.T, path string) {
			foreign(t, path, "CREATE TABLE recipe (name TEXT)")
		}, journal.ErrNotAJournal},
		{"a file of another program, marked", func(t *testing.T, path string) {
			foreign(t, path, "PRAGMA application_id = 42")
		}, journal.ErrNotAJournal},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			c.make(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			j, err := journal.Open(t.Context(), path, journal.Options{})
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
				if err == nil {
					j.Close()
				}
				return
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "left as it is") {
				t.Errorf("the error does not name the file and say that it is as it was: %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file has changed (%v)", err)
			}
		})
	}
}

// TestOpenBringsAnOlderJournalUpToDate: one of the first version has a lock-out by a
// clock that was years ahead.
func TestOpenBringsAnOlderJournalUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	first, err := os.ReadFile("migrations/0001_journal.sql")
	if err != nil {
		t.Fatal(err)
	}
	given := noon.AddDate(9, 0, 0)
	foreign(t, path, string(first), "PRAGMA user_version = 1", fmt.Sprintf("PRAGMA application_id = %d", 0x73706f74),
		fmt.Sprintf("INSERT INTO request (client, at_ms, number, endpoint) VALUES ('one', %d, 1, 'player')", given.UnixMilli()),
		fmt.Sprintf("INSERT INTO quota (client, until_ms, reason) VALUES ('one', %d, 'quota'), ('two', %d, 'quota')", given.Add(20*time.Hour).UnixMilli(), noon.Add(time.Hour).UnixMilli()))
	j, err := journal.Open(t.Context(), path, journal.Options{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for client, want := range map[string]time.Duration{"one": 20 * time.Hour, "two": time.Hour} {
		q, err := j.Quota(t.Context(), client)
		if err != nil || q.Until.Sub(noon) != want || q.Why != "quota" {
			t.Errorf("%s: %+v, %v; want until %v later", client, q, err, want)
		}
	}
	record(t, j, numbered(1))
}

// TestOpenFindsWhatReachesFar: which reports reach farther than a look at the time
// around would find is stored, and an older version knew less of them.
func TestOpenFindsWhatReachesFar(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	withoutStart := with(looked(song(3), noon.Add(3*time.Hour), 1_200_000, time.Second), func(r *journal.Report) { r.StartedAt = time.Time{} })
	record(t, j, looked(song(1), noon, 1_200_000, time.Second), looked(song(2), noon.Add(time.Hour), 120_000, time.Second), withoutStart,
		inHistory(song(4), noon.Add(4*time.Hour), 1_200_000), inHistory(song(5), noon.Add(5*time.Hour), 120_000), listed(song(6), noon.Add(6*time.Hour)))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	far := func() string {
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var hours string
		if err := db.QueryRow(fmt.Sprintf("SELECT group_concat((ended_ms - %d) / 3600000 ORDER BY ended_ms) FROM report WHERE vague = 1", noon.UnixMilli())).Scan(&hours); err != nil {
			t.Fatal(err)
		}
		return hours
	}
	if got := far(); got != "0,3,4" {
		t.Fatalf("of hours %s, want 0, 3 and 4", got)
	}
	foreign(t, path, "UPDATE report SET vague = 0 WHERE ended_ms <> "+fmt.Sprint(noon.UnixMilli()),
		// What the steps behind it add must not be there yet.
		"ALTER TABLE account DROP COLUMN listed_starts", "ALTER TABLE account DROP COLUMN listed_mark",
		"DROP INDEX outbox_due", "DROP INDEX item_damaged", "DROP TABLE refused", "PRAGMA user_version = 5")
	if j, err = journal.Open(t.Context(), path, journal.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if got := far(); got != "0,3,4" {
		t.Errorf("brought up to date: of hours %s, want 0, 3 and 4", got)
	}
}

func TestOpenMakesAFileForItsOwnerOnly(t *testing.T) {
	j := open(t, journal.Options{})
	record(t, j, numbered(1))
	if err := j.Lock(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(j.Path() + "*")
	if err != nil || len(files) != 4 {
		t.Errorf("files %v (%v), want journal, log, index and lock", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v (%v)", file, info.Mode(), err)
		}
	}
}

func TestOpenWhereItMayNotWrite(t *testing.T) {
	user := os.Getuid()
	become := &syscall.SysProcAttr{}
	if user == 0 { // who may write everywhere
		user = 65534
		become.Credential = &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}
	}
	dir, err := os.MkdirTemp("", "journal") // t.TempDir is for us alone
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(os.Chmod(dir, 0o700), os.RemoveAll(dir)) }()
	program := filepath.Join(dir, "test") // where it was built is for us alone, too
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(program, content, 0o700), os.Chmod(program, 0o755)); err != nil { // whatever the umask
		t.Fatal(err)
	}
	for _, there := range []bool{false, true} {
		path := filepath.Join(dir, "journal.db")
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if there {
			j, err := journal.Open(t.Context(), path, journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(j.Close(), os.Chmod(path, 0o666)); err != nil { // the folder is not theirs
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o555); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program)
		cmd.Dir = "/"
		cmd.Env = []string{"JOURNAL_ROLE=open", "JOURNAL_PATH=" + path}
		cmd.SysProcAttr = become
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatal(err, string(out))
		}
		for _, word := range []string{"error: ", path, strconv.Itoa(user), "own"} {
			if !strings.Contains(string(out), word) {
				t.Errorf("there %v: %q does not say %q", there, out, word)
			}
		}
	}
}

func TestLockIsForOneProcess(t *testing.T) {
	j := open(t, journal.Options{})
	first := start(t, j.Path(), "lock")
	if !first.lines.Scan() || first.lines.Text() != "locked" {
		t.Fatalf("the first process says %q", first.lines.Text())
	}
	err := j.Lock()
	if !errors.Is(err, journal.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(first.Process.Pid)) || !strings.Contains(err.Error(), j.Path()) {
		t.Errorf("the second lock: %v", err)
	}
	record(t, j, numbered(1)) // everything else works beside it
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.Wait()
	if err := j.Lock(); err != nil {
		t.Errorf("the first process was killed: %v", err)
	}
}

// SQLite does not wait by itself to become a journal.
func TestOpenWaitsForWhoMakesTheSameFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	released := make(chan error)
	time.AfterFunc(100*time.Millisecond, func() {
		_, err := db.Exec("ROLLBACK")
		released <- err
	})
	j, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Error(err)
	}
	if err := <-released; err != nil {
		t.Error(err)
	}
	if j != nil {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTwoProcessesWriteAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db") // which they make at once, too
	const each = 150
	var all []*process
	for n := range 3 {
		all = append(all, start(t, path, fmt.Sprintf("%d %d", n*each, each)))
	}
	for _, p := range all {
		if lines := p.rest(); len(lines) != each || strings.HasPrefix(lines[each-1], "error") {
			t.Errorf("a process has recorded %d plays, and says %q at last", len(lines), lines[len(lines)-1])
		}
	}
	j, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(plays(t, j)); got != 3*each {
		t.Errorf("%d plays, want %d", got, 3*each)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if got := integrity(t, path); got != "ok" {
		t.Error(got)
	}
}

func TestWhatIsRecordedOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	recorded := 0
	for range 5 {
		p := start(t, path, fmt.Sprintf("%d 1000000", recorded))
		for range 30 {
			if !p.lines.Scan() {
				t.Fatal("the process has ended")
			}
		}
		if err := p.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		lines := append([]string{p.lines.Text()}, p.rest()...)
		p.Wait()
		last, err := strconv.Atoi(lines[len(lines)-1])
		if err != nil {
			t.Fatalf("the process says %q", lines[len(lines)-1])
		}
		recorded = last + 1
		j, err := journal.Open(t.Context(), path, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		// One more may have been committed and not acknowledged.
		if got := len(plays(t, j)); got != recorded && got != recorded+1 {
			t.Errorf("%d plays were acknowledged, %d are there", recorded, got)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got := integrity(t, path); got != "ok" {
			t.Error(got)
		}
	}
}

func TestAFullDisk(t *testing.T) {
	j := open(t, journal.Options{})
	for n := range 20 {
		record(t, j, numbered(n))
	}
	full, err := j.LimitPages(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.LimitPages(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	recorded := 20
	for ; ; recorded++ {
		if _, err = j.Record(t.Context(), "me", journal.Witnessed{Reports: []journal.Report{numbered(recorded)}}); err != nil {
			break
		}
	}
	if !strings.Contains(err.Error(), j.Path()) || !strings.Contains(err.Error(), "full") {
		t.Errorf("error %v", err)
	}
	if got := len(plays(t, j)); got != recorded {
		t.Errorf("%d plays, %d were recorded before the disk was full", got, recorded)
	}
	if _, err := j.LimitPages(t.Context(), 1<<30); err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		record(t, j, numbered(n))
	}
	if got := len(plays(t, j)); got != 100 {
		t.Errorf("with room again: %d plays, want 100", got)
	}
	if got := integrity(t, j.Path()); got != "ok" {
		t.Error(got)
	}
}

func TestACancelledRecordLeavesNothingBehind(t *testing.T) {
	j := open(t, journal.Options{})
	reports := listeningYears(3_000)
	cancelled := 0
	for wait := time.Duration(0); wait < 30*time.Millisecond; wait += time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err := j.Record(ctx, "me", journal.Witnessed{Reports: reports})
		cancel()
		if err == nil {
			break
		}
		cancelled++
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", wait, err)
		}
		if got := len(plays(t, j)); got != 0 {
			t.Fatalf("after %v: %d plays of a recording that failed", wait, got)
		}
	}
	if cancelled == 0 {
		t.Error("nothing was cancelled")
	}
	record(t, j, reports...)
	if got := len(plays(t, j)); got != len(reports) {
		t.Errorf("%d plays, want %d", got, len(reports))
	}
}

// TestAContextMayEndAtAnyMoment ends it while a transaction begins and while it is
// committed: what is said to have failed has, and the next one is possible.
func TestAContextMayEndAtAnyMoment(t *testing.T) {
	j := open(t, journal.Options{})
	for i := range 400 {
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(time.Duration(i%200)*time.Microsecond, cancel)
		value := strconv.Itoa(i)
		failed := j.SetSetting(ctx, "ends", value)
		timer.Stop()
		cancel()
		stored, err := j.Setting(t.Context(), "ends")
		if err != nil || (failed == nil) != (stored == value) {
			t.Fatalf("%d: %v, and %q is stored, %v", i, failed, stored, err)
		}
		if err := j.SetSetting(t.Context(), "goes on", value); err != nil {
			t.Fatalf("%d: after one that ended with %v: %v", i, failed, err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	j := open(t, journal.Options{})
	var group sync.WaitGroup
	failed := make(chan error, 100)
	for n := range 4 {
		group.Go(func() {
			for i := range 50 {
				_, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: []journal.Report{numbered(n*50 + i)}})
				if err != nil {
					failed <- err
				}
			}
		})
	}
	for range 2 {
		group.Go(func() {
			for range 20 {
				entries, err := j.Take(t.Context(), 0, 10)
				if err == nil {
					err = j.Sent(t.Context(), entries)
				}
				if err != nil {
					failed <- err
				}
				_, err = j.State(t.Context())
				if err != nil {
					failed <- err
				}
				for _, err := range j.Plays(t.Context(), journal.Filter{}) {
					if err != nil {
						failed <- err
					}
				}
			}
		})
	}
	group.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if got := len(plays(t, j)); got != 200 {
		t.Errorf("%d plays, want 200", got)
	}
	influx := newDatabase()
	if _, err := j.Replay(t.Context(), time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	influx.drain(t, j, 100)
	if len(influx.points) != 200 || len(slices.Collect(maps.Keys(influx.totals))) != 52 {
		t.Errorf("%d points, %d totals", len(influx.points), len(influx.totals))
	}
}
