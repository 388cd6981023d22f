package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// BenchmarkRunWithThreeAccounts runs the program, in a process of its own, for
// half an hour of three listeners, and tells when it could be scraped first and
// how much memory it holds at the end.
func BenchmarkRunWithThreeAccounts(b *testing.B) {
	const speed = 120
	for b.Loop() {
		clk := clock.New(time.Now().UTC(), speed)
		sim := simulate(b, clk, nil)
		for i, alias := range []string{"anna", "bela", "me"} {
			listener := sim.AddUser(alias, alias)
			listener.PlayDemo(uint64(i), clk.Now(), time.Hour)
			logIn(b, alias, listener)
		}
		started := time.Now()
		p := startProcess(b, clk, speed)
		first := scrape(b, p.URL)
		b.ReportMetric(float64(time.Since(started).Milliseconds()), "ms-to-first-scrape")
		if !strings.Contains(first, "spotify_exporter_build_info") {
			b.Fatal("the first scrape has no build info")
		}
		if err := (clock.Clock{}).Sleep(b.Context(), 15*time.Second); err != nil {
			b.Fatal(err)
		}
		if text := scrape(b, p.URL); strings.Count(text, "spotify_up{") != 3 {
			b.Fatalf("not three accounts:\n%s", text)
		}
		b.ReportMetric(residentMB(b, p.cmd.Process.Pid), "MB-RSS")
		if err := p.cmd.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		_ = p.cmd.Wait() // "signal: killed"
	}
}

func scrape(b *testing.B, address string) string {
	b.Helper()
	answer, err := http.Get(strings.TrimSuffix(address, "/") + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// residentMB is how much memory a process holds.
func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "status"))
	if err != nil {
		b.Skipf("needs Linux: %v", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kB float64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		b.Fatal(err)
	}
	return kB / 1024
}
