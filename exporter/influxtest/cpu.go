package influxtest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// CPU returns the processor time that the server has used since it was started, to
// 10 ms. It asks Linux.
func (s *Server) CPU(t testing.TB) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("read what influxd has used: %v", err)
	}
	// The name of the program, in brackets, may have anything in it. utime and stime
	// are fields 14 and 15 of all.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			t.Fatalf("read what influxd has used: %v", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100) // USER_HZ, the same everywhere
}
