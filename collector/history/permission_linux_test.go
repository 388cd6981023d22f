package history_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
)

func TestNoRightToRead(t *testing.T) {
	dir := t.TempDir()
	inFolder := write(t, dir, "folder/endsong_0.json", []byte("["+minimal+"]"))
	for _, path := range []string{write(t, dir, "a.zip", []byte("PK")), inFolder} {
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		// Root may read everything: be somebody else, on this thread, for files. The
		// thread is not unlocked, so it ends with the test.
		for _, d := range []string{filepath.Dir(dir), dir} {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, "folder"), 0o755); err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Skipf("cannot be another user: %v", err)
		}
		defer syscall.Setfsuid(0)
	}
	for _, name := range []string{"a.zip", "folder"} {
		path := filepath.Join(dir, name)
		e, err := history.Open(t.Context(), []string{path}, nil, history.Options{})
		if err == nil {
			e.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		want := fmt.Sprintf("user id %d may not read it", os.Geteuid())
		if !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
