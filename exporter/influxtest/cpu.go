package influxtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CPU returns the processor time that the server's threads have used so far. It asks
// Linux: /proc/PID/stat would say it to 10 ms, which is more than many a query costs.
func (s *Server) CPU(t testing.TB) time.Duration {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.process.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("what influxd has used is not to be known here: %v", err)
	}
	var used time.Duration
	for _, thread := range threads {
		content, err := os.ReadFile(thread)
		if err != nil {
			t.Fatalf("read what influxd has used: %v", err)
		}
		var onCPU int64 // ns
		if _, err := fmt.Sscan(string(content), &onCPU); err != nil {
			t.Fatalf("read what influxd has used: %v", err)
		}
		used += time.Duration(onCPU)
	}
	return used
}
