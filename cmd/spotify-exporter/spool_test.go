package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// spooled are the folders in a folder that were made for a while.
func spooled(t *testing.T, parent string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(parent, spooling))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestSpool has all commands that need a copy for a while work without a folder for temporary files, in DATA_DIR, of
// which they leave nothing.
func TestSpool(t *testing.T) {
	export, _ := generated(t, 100)
	content, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	setEnvironment(t, nil)
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	recordOne(t)
	for _, args := range [][]string{{"import", "-"}, {"import", "--dry-run", "-"}, {"import", "--dry-run", export}, {"backup", "-"}} {
		var out, errs output
		p := &program{stdin: bytes.NewReader(content), stdout: &out, stderr: &errs}
		if exit := p.run(t.Context(), args); exit != exitDone {
			t.Errorf("%v: exit code %d: %s", args, exit, errs.String())
		}
		if left := spooled(t, os.Getenv("DATA_DIR")); len(left) > 0 {
			t.Errorf("%v has left %v", args, left)
		}
	}
	backup := filepath.Join(t.TempDir(), "spotify.tar")
	command(t, exitDone, "backup", backup)
	if left := spooled(t, filepath.Dir(backup)); len(left) > 0 {
		t.Errorf("backup has left %v", left)
	}

	t.Setenv("DATA_DIR", "/proc/none") // where not even root makes a file
	for _, args := range [][]string{{"import", "-"}, {"import", "--dry-run", export}} {
		if _, errs := command(t, exitConfig, args...); !strings.Contains(errs, "DATA_DIR: must be a folder that user id") || !strings.Contains(errs, "/proc/none") {
			t.Errorf("%v without a DATA_DIR that can be written: %s", args, errs)
		}
	}
}

// TestSpoolOfKilledProcesses kills processes in the middle. What they leave is for their user alone, and the next one
// removes it, but nothing of one that goes on.
func TestSpoolOfKilledProcesses(t *testing.T) {
	export, _ := generated(t, 100)
	setEnvironment(t, nil)
	recordOne(t)
	data := os.Getenv("DATA_DIR")
	waiting := func(args ...string) (kill func()) {
		t.Helper()
		before := len(spooled(t, data))
		cmd, _ := child(t, args...)
		in, err := cmd.StdinPipe() // open until it is killed
		if err != nil {
			t.Fatal(err)
		}
		if args[0] == "backup" {
			cmd.Stdout = nil
			if _, err := cmd.StdoutPipe(); err != nil { // nobody reads it
				t.Fatal(err)
			}
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill = func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // "signal: killed"
			_ = in.Close()
		}
		t.Cleanup(kill)
		eventually(t, 20*time.Second, "it has a folder", func() bool { return len(spooled(t, data)) > before })
		return kill
	}
	killImport, killBackup := waiting("import", "-"), waiting("backup", "-")
	for _, dir := range spooled(t, data) {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("others may read %s: %v", path, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	command(t, exitDone, "import", "--dry-run", export)
	if got := len(spooled(t, data)); got != 2 {
		t.Fatalf("%d folders of two processes that go on", got)
	}
	killImport()
	command(t, exitDone, "import", "--dry-run", export)
	if got := len(spooled(t, data)); got != 1 {
		t.Errorf("%d folders of one process that goes on", got)
	}
	killBackup()
	if got := len(spooled(t, data)); got != 1 {
		t.Fatalf("%d folders after the last was killed, want one to remove", got)
	}
	command(t, exitDone, "import", "--dry-run", export)
	if left := spooled(t, data); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
