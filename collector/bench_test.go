package collector_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// cpu is the CPU time that this process has taken.
func cpu(t testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkPoll is one step: with the page of last time, with a page that has one
// play more, and a look at something that plays.
func BenchmarkPoll(b *testing.B) {
	// Eight plays, and the same on five days before: as many as Spotify lists for most.
	var page struct{ Items []row }
	if err := json.Unmarshal(answers(b, madeUp+"recently_played.json")["recently_played.json"], &page); err != nil {
		b.Fatal(err)
	}
	newest := []byte(page.Items[0].PlayedAt)
	for day := range 5 {
		for _, r := range page.Items[:8] {
			r.PlayedAt = strings.Replace(r.PlayedAt, "2026-05-28", fmt.Sprintf("2026-05-%d", 27-day), 1)
			page.Items = append(page.Items, r)
		}
	}
	body, err := json.Marshal(map[string]any{"items": page.Items})
	if err != nil {
		b.Fatal(err)
	}
	at := bytes.Index(body, newest)
	if at < 0 {
		b.Fatal("the page has another newest play")
	}
	ended, err := time.Parse(time.RFC3339, string(newest))
	if err != nil {
		b.Fatal(err)
	}
	for _, step := range []string{"unchanged", "changed", "player"} {
		b.Run(step, func(b *testing.B) {
			w := newWorld(b)
			w.user.Now().Play(episode)
			j := w.open()
			// What the simulator's own copies of a page cost is not to be measured.
			w.sim.Verbatim(spotifysim.EndpointRecentlyPlayed, []byte("{}"), 200)
			w.tamper = func(endpoint string, r *http.Response) {
				if endpoint == spotifysim.EndpointRecentlyPlayed {
					r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				}
			}
			c := w.collector(j, collector.Options{Quota: collector.NewQuota(j, clientID, 1_000_000, clock.Clock{}, nil)})
			p, err := c.Poller(b.Context(), "me")
			if err != nil {
				b.Fatal(err)
			}
			p.PollPlayer(b.Context())
			p.PollList(b.Context())
			runtime.GC()
			began, n := cpu(b), 0
			for b.Loop() {
				n++
				switch step {
				case "unchanged":
					p.PollList(b.Context())
				case "changed":
					ended = ended.Add(10 * time.Minute)
					copy(body[at:], ended.Format("2006-01-02T15:04:05.000Z"))
					p.PollList(b.Context())
				case "player":
					p.PollPlayer(b.Context())
				}
			}
			b.ReportMetric(float64((cpu(b)-began).Microseconds())/1000/float64(n), "cpu-ms/op")
			a := c.State().Accounts[0]
			if a.LastFailure != nil {
				b.Fatal(a.LastFailure)
			}
		})
	}
}

// TestManyAccounts polls ten and a hundred accounts that listen all the time, in
// virtual time and without a budget, and tells what an hour of it costs.
func TestManyAccounts(t *testing.T) {
	if testing.Short() {
		t.Skip("an hour of a hundred listeners: not in short runs")
	}
	for _, accounts := range []int{10, 100} {
		t.Run(fmt.Sprint(accounts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				evening(w.user.Now())
				for i := range accounts - 1 {
					user := w.sim.AddUser(fmt.Sprint("user", i), "Listener")
					w.login(fmt.Sprint("user", i), user)
					evening(user.Now())
				}
				j := w.open()
				quota := collector.NewQuota(j, clientID, 0, clock.Clock{}, nil)
				c := w.start(j, collector.Options{Quota: quota})
				time.Sleep(10 * time.Minute) // the first steps cost more
				began, asked := cpu(t), len(w.sim.Requests())
				time.Sleep(time.Hour)
				took, requests := cpu(t)-began, len(w.sim.Requests())-asked
				debug.FreeOSMemory()
				t.Logf("%d accounts: %.1f s of CPU for an hour (%.2f %% of a core), %.2f s an account, %.2f ms a request of %d (the simulator included), %d MB",
					accounts, took.Seconds(), 100*took.Hours(), took.Seconds()/float64(accounts), 1000*took.Seconds()/float64(requests), requests, rss(t)>>20)
				for _, a := range c.State().Accounts {
					if !*a.Up || a.Failures[spotify.ReasonNetwork] > 0 {
						t.Errorf("%+v", a)
					}
				}
				if requests < 100*accounts {
					t.Errorf("only %d requests", requests)
				}
			})
		})
	}
}

// rss is how much memory this process has.
func rss(t testing.TB) int64 {
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(content), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
