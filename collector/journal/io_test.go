package journal_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestSharedMemoryFails opens a journal whose file for shared memory cannot get a size:
// it is a pipe.
func TestSharedMemoryFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := syscall.Mkfifo(path+"-shm", 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := journal.Open(t.Context(), path, journal.Options{})
	if err == nil || !strings.Contains(err.Error(), "choose a DATA_DIR on a disk of this machine") || !strings.Contains(err.Error(), "I/O error") {
		t.Errorf("it says: %v", err)
	}
}

// TestIOErrorsAreExplained: what a file system without locks answers (3850) cannot be had
// on every machine.
func TestIOErrorsAreExplained(t *testing.T) {
	for code, want := range map[int]string{3850: "has no file locks", 2314: "has no file locks", 4874: "-shm", 5386: "-shm", 266: "dmesg", 778: "dmesg"} {
		if got := journal.ExplainIO(code); !strings.Contains(got, want) {
			t.Errorf("%d: %s", code, got)
		}
	}
}
