package influx_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/secret"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
)

// inBubble runs do in virtual time with a journal that has n plays in it.
func inBubble(t *testing.T, n int, do func(t *testing.T, j *journal.Journal)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(t.Context(), path, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}()
		for i := range n {
			record(t, j, "me", heard(i, time.Now().Add(time.Duration(i-n)*3*time.Minute).Add(24*time.Hour)))
		}
		do(t, j)
	})
}

// everyWrite answers every write, empty or not.
func everyWrite(status int, header http.Header, body string) func(*http.Request, string) (*http.Response, error) {
	return func(req *http.Request, _ string) (*http.Response, error) {
		if req.URL.Path != "/api/v2/write" {
			return nil, nil
		}
		return answer(req, status, header, body), nil
	}
}

func TestRetriesForEverFromASecondToAMinute(t *testing.T) {
	for name, fault := range map[string]func(*http.Request, string) (*http.Response, error){
		"no answer": func(*http.Request, string) (*http.Response, error) {
			return nil, errors.New("dial tcp 10.0.0.1:8086: connection refused")
		},
		"500":                everyWrite(500, http.Header{"Content-Type": {"application/json"}}, `{"code":"internal error","message":"oh"}`),
		"502 in HTML":        everyWrite(502, http.Header{"Content-Type": {"text/html"}}, "<html>bad gateway</html>"),
		"503 with no JSON":   everyWrite(503, http.Header{"Content-Type": {"application/json"}}, ""),
		"503 while starting": everyWrite(503, http.Header{"Content-Type": {"application/json"}}, `{"status":"starting"}`),
		"429":                everyWrite(429, nil, ""),
		"408":                everyWrite(408, nil, ""),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, j *journal.Journal) {
				m := &memory{fault: fault}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				e := inMemory(t, m, j)
				go func() { done <- e.Run(ctx) }()
				time.Sleep(4 * time.Hour)
				synctest.Wait()
				m.mu.Lock()
				made := m.requests
				m.fault = nil
				m.mu.Unlock()
				want := time.Second
				for i := 1; i < len(made); i++ {
					if wait := made[i].Sub(made[i-1]); wait > want || wait < want*4/5 {
						t.Errorf("retry %d after %v, want %v less up to a fifth", i, wait, want)
					}
					want = min(2*want, time.Minute)
				}
				if len(made) < 4*60 {
					t.Errorf("%d attempts in four hours: it has given up", len(made))
				}
				state := e.State()
				if *state.Up || !state.LastSuccess.IsZero() || state.WriteRetries < 4*60 || state.Paused != "" {
					t.Errorf("state %+v", state)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := m.listens(); n != 3 {
					t.Errorf("%d listens after it recovered, want 3", n)
				}
				if state := e.State(); !*state.Up || state.LastSuccess.IsZero() {
					t.Errorf("state after it recovered %+v", state)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "1.5": 0, "0": 0, "17": 17 * time.Second, "86400": time.Hour, "9999999999": time.Hour, "18446744073709551616": time.Hour,
		"Sun, 01 Mar 2026 12:00:30 GMT": 30 * time.Second, "Sun, 01 Mar 2026 11:00:00 GMT": 0, "Mon, 02 Mar 2026 12:00:00 GMT": time.Hour, "Fri, 31 Dec 9999 23:59:59 GMT": time.Hour,
	} {
		if got := influx.RetryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	inBubble(t, 1, func(t *testing.T, j *journal.Journal) {
		for header, want := range map[string]time.Duration{
			"90": 90 * time.Second,
			time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat): 2 * time.Minute,
		} {
			m := &memory{fault: everyWrite(429, http.Header{"Retry-After": {header}}, "")}
			if wait, err := inMemory(t, m, j).Step(t.Context()); wait != want {
				t.Errorf("Retry-After %q: wait %v (%v), want %v", header, wait, err, want)
			}
		}
	})
}

// TestSettingsThatCannotBeRead has a server that takes writes and does not tell, or does not change, the settings of the
// bucket. The points arrive all the same, and the warning is there until the settings are known.
func TestSettingsThatCannotBeRead(t *testing.T) {
	inJSON := http.Header{"Content-Type": {"application/json"}}
	const short = `{"buckets":[{"id":"1","name":"spotify","retentionRules":[{"type":"expire","everySeconds":0,"shardGroupDurationSeconds":604800}]}]}`
	type fault = func(*http.Request, string) (*http.Response, error)
	onBuckets := func(method string, status int, body string) fault {
		return func(req *http.Request, _ string) (*http.Response, error) {
			if !strings.HasPrefix(req.URL.Path, "/api/v2/buckets") {
				return nil, nil
			}
			if req.Method != method {
				return answer(req, http.StatusOK, inJSON, short), nil
			}
			if status == 0 {
				return nil, errors.New("connection reset by peer")
			}
			return answer(req, status, inJSON, body), nil
		}
	}
	for name, fault := range map[string]fault{
		"the look: 400":       onBuckets(http.MethodGet, 400, `{"code":"invalid","message":"oh"}`),
		"the look: 422":       onBuckets(http.MethodGet, 422, ""),
		"the look: 429":       onBuckets(http.MethodGet, 429, ""),
		"the look: 500":       onBuckets(http.MethodGet, 500, `{"code":"internal error","message":"oh"}`),
		"the look: 503":       onBuckets(http.MethodGet, 503, "<html>"),
		"the look: no answer": onBuckets(http.MethodGet, 0, ""),
		"the change: 403":     onBuckets(http.MethodPatch, 403, ""),
		"the change: 503":     onBuckets(http.MethodPatch, 503, ""),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, j *journal.Journal) {
				m := &memory{fault: fault}
				e := inMemory(t, m, j)
				drain(t, e)
				if state := e.State(); m.listens() != 3 || !*state.Up || state.Paused != "" {
					t.Errorf("%d listens, want 3; state %+v", m.listens(), state)
				}
				if e.State().BucketWarning == "" {
					t.Error("no warning")
				}
				if strings.HasPrefix(name, "the look") {
					m.fault = nil // the token may not see the bucket
				} else {
					m.fault = func(req *http.Request, _ string) (*http.Response, error) {
						if !strings.HasPrefix(req.URL.Path, "/api/v2/buckets") {
							return nil, nil
						}
						return answer(req, http.StatusOK, inJSON, strings.Replace(short, "604800", "31449600", 1)), nil
					}
				}
				time.Sleep(11 * time.Minute)
				drain(t, e)
				if w := e.State().BucketWarning; w != "" {
					t.Errorf("warning after it was put right: %s", w)
				}
			})
		})
	}
}

// TestServersThatRepeatTheToken have what they were sent in their answer, as proxies and debugging servers do.
func TestServersThatRepeatTheToken(t *testing.T) {
	for name, header := range map[string]string{"text/plain": "", "text/html": "<pre>", "application/json": `{"code":"unauthorized","message":"`} {
		for _, status := range []int{400, 401, 403, 407, 500} {
			inBubble(t, 1, func(t *testing.T, j *journal.Journal) {
				m := &memory{fault: func(req *http.Request, _ string) (*http.Response, error) {
					said := header + "Authorization: " + req.Header.Get("Authorization")
					if name == "application/json" {
						said += `"}`
					}
					return answer(req, status, http.Header{"Content-Type": {name}}, said), nil
				}}
				_, err := inMemory(t, m, j).Step(t.Context())
				if err == nil || strings.Contains(err.Error(), "secret-token") || !strings.Contains(err.Error(), secret.Mark) {
					t.Errorf("%s, %d: %v", name, status, err)
				}
			})
		}
	}
}

func TestWhatNeedsSomebodyPauses(t *testing.T) {
	inJSON := http.Header{"Content-Type": {"application/json"}}
	for name, test := range map[string]struct {
		fault  func(*http.Request, string) (*http.Response, error)
		reason influx.Reason
		hint   string
	}{
		"wrong token":       {everyWrite(401, inJSON, `{"code":"unauthorized","message":"unauthorized access"}`), influx.Unauthorized, "INFLUX_TOKEN"},
		"read-only token":   {everyWrite(403, inJSON, `{"code":"forbidden","message":"no"}`), influx.Forbidden, "INFLUX_TOKEN"},
		"no bucket":         {everyWrite(404, inJSON, `{"code":"not found","message":"bucket \"spotify\" not found"}`), influx.NotFound, "influx bucket create"},
		"redirect to https": {everyWrite(301, http.Header{"Location": {"https://influx.example/api/v2/write?org=home"}}, ""), influx.NotFound, "INFLUX_URL"},
		"a login page":      {everyWrite(200, http.Header{"Content-Type": {"text/html; charset=utf-8"}}, "<html>log in</html>"), influx.NotFound, "INFLUX_URL"},
		"a TLS port":        {everyWrite(400, http.Header{"Content-Type": {"text/plain"}}, "Client sent an HTTP request to an HTTPS server."), influx.Invalid, "INFLUX_URL"},
		"a teapot":          {everyWrite(418, nil, ""), influx.NotFound, "INFLUX_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, j *journal.Journal) {
				m := &memory{fault: test.fault}
				e := inMemory(t, m, j)
				queued := pending(t, j)
				for _, want := range []time.Duration{1, 2, 3, 4, 5, 5} {
					wait, err := e.Step(t.Context())
					if f := failure(t, err); f.Reason != test.reason || wait != want*time.Minute {
						t.Errorf("wait %v after %v (%s), want %v and %s", wait, err, f.Reason, want*time.Minute, test.reason)
					}
					if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "org=") {
						t.Errorf("error tells too much: %v", err)
					}
				}
				state := e.State()
				if *state.Up || !strings.Contains(state.Paused, test.hint) || state.WriteFailures[test.reason] != 6 || !state.LastSuccess.IsZero() {
					t.Errorf("state %+v", state)
				}
				if pending(t, j) != queued || len(rejected(t, j)) > 0 {
					t.Errorf("the outbox had %d entries, has %d", queued, pending(t, j))
				}
				m.fault = nil
				drain(t, e)
				if state := e.State(); m.listens() != 3 || !*state.Up || state.Paused != "" {
					t.Errorf("%d listens after it was put right, state %+v", m.listens(), state)
				}
			})
		})
	}
}

// A server, or a proxy before it, that takes a request and never answers must not hold
// the exporter for ever: none of the requests has another end than its time.
func TestNoAnswerIsWaitedForForEver(t *testing.T) {
	for _, path := range []string{"/api/v2/write", "/api/v2/buckets"} {
		t.Run(path, func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, j *journal.Journal) {
				m := &memory{fault: func(req *http.Request, _ string) (*http.Response, error) {
					if req.URL.Path != path {
						return nil, nil
					}
					<-req.Context().Done()
					return nil, req.Context().Err()
				}}
				began := time.Now()
				_, err := inMemory(t, m, j).Step(t.Context())
				if path == "/api/v2/write" && failure(t, err).Reason != influx.Network {
					t.Errorf("error %v, want one of the network", err)
				}
				if path == "/api/v2/buckets" && (err != nil || m.listens() != 3) { // it is no condition of a write
					t.Errorf("error %v, %d listens, want none and 3", err, m.listens())
				}
				if took := time.Since(began); took != 30*time.Second {
					t.Errorf("waited %v, want 30 s", took)
				}
			})
		})
	}
}

// InfluxDB is asked for the plays of a page as soon as they are sent, and every ten
// minutes while nothing is.
func TestHeldPlaysAreAskedForWhenSomethingIsSent(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, j *journal.Journal) {
		asked := 0
		m := &memory{fault: func(_ *http.Request, body string) (*http.Response, error) {
			if strings.Contains(body, "keep(columns") {
				asked++
			}
			return nil, nil
		}}
		page := func(n int) {
			t.Helper()
			report := heard(n, time.Now())
			report.Witness, report.MSPlayed = journal.RecentlyPlayed, -1
			if _, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: []journal.Report{report}, Page: &journal.Page{FetchedAt: time.Now()}}); err != nil {
				t.Fatal(err)
			}
		}
		page(1)
		e := inMemory(t, m, j)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		within := func(d time.Duration, want int) {
			t.Helper()
			m.mu.Lock()
			before := asked
			m.mu.Unlock()
			time.Sleep(d)
			synctest.Wait()
			if n := asked - before; n != want {
				t.Errorf("asked %d times in %v, want %d", n, d, want)
			}
		}
		within(time.Minute, 1)
		within(time.Hour, 6)
		page(2)
		within(10*time.Second, 1)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Once writing has worked, a 400 to everything is not the fault of the entries.
func TestNothingIsRejectedWhileEmptyWritesAreRefused(t *testing.T) {
	inBubble(t, 20, func(t *testing.T, j *journal.Journal) {
		m := &memory{}
		e := inMemory(t, m, j)
		drain(t, e)
		record(t, j, "me", heard(100, time.Now()), heard(101, time.Now().Add(time.Hour)))
		m.fault = everyWrite(400, nil, "Client sent an HTTP request to an HTTPS server.")
		if _, err := e.Step(t.Context()); failure(t, err).Reason != influx.Invalid {
			t.Fatal(err)
		}
		if list := rejected(t, j); len(list) > 0 {
			t.Errorf("rejected %+v", list)
		}
	})
}

// TestNothingIsRejectedForAWhile has something refuse everything that is not empty, for some seconds or now and then: a
// proxy with a limit, a server that is out of memory, an answer that breaks off. All of it arrives thereafter.
func TestNothingIsRejectedForAWhile(t *testing.T) {
	inJSON := http.Header{"Content-Type": {"application/json"}}
	refused := func(status int, header http.Header, body string) func(*http.Request) *http.Response {
		return func(req *http.Request) *http.Response { return answer(req, status, header, body) }
	}
	for name, refuse := range map[string]func(*http.Request) *http.Response{
		"413 of a proxy": refused(413, http.Header{"Content-Type": {"text/html"}}, "<html>Request Entity Too Large</html>"),
		"400 in JSON":    refused(400, inJSON, `{"code":"invalid","message":"unable to parse points"}`),
		"422 in JSON":    refused(422, inJSON, `{"code":"unprocessable entity","message":"failure writing points to database"}`),
		"400 that is cut": func(req *http.Request) *http.Response {
			resp := answer(req, 400, inJSON, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"code":"invalid","mess`), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp
		},
	} {
		for every, long := range map[int]time.Duration{1: 10 * time.Minute, 3: 25 * time.Hour} {
			if every > 1 && name != "400 in JSON" {
				continue // a day of looking at the outbox takes seconds
			}
			t.Run(fmt.Sprintf("%s, every %d", name, every), func(t *testing.T) {
				inBubble(t, 20, func(t *testing.T, j *journal.Journal) {
					m, writes, until := &memory{}, 0, time.Now().Add(30*time.Second)
					m.fault = func(req *http.Request, body string) (*http.Response, error) {
						if body == "" || !time.Now().Before(until) {
							return nil, nil
						}
						if writes++; writes%every == 0 {
							return refuse(req), nil
						}
						return nil, nil
					}
					ctx, cancel := context.WithCancel(t.Context())
					done := make(chan error)
					e := inMemory(t, m, j)
					go func() { done <- e.Run(ctx) }()
					time.Sleep(long) // what was refused now and then is tried again after a day
					cancel()
					if err := <-done; err != nil {
						t.Error(err)
					}
					if list := rejected(t, j); len(list) > 0 || pending(t, j) > 0 || m.distinct() != 20 {
						t.Errorf("%d listens, %d pending, rejected %+v; want 20, 0 and none", m.distinct(), pending(t, j), list)
					}
					if every == 1 && e.State().PointsRejected > 0 {
						t.Errorf("%d points were rejected for a while", e.State().PointsRejected)
					}
				})
			})
		}
	}
}

// TestRejectedIsTriedAgain mends a bucket in which a field had another type. The entries arrive after the next start.
func TestRejectedIsTriedAgain(t *testing.T) {
	inBubble(t, 20, func(t *testing.T, j *journal.Journal) {
		m := &memory{fault: func(req *http.Request, body string) (*http.Response, error) {
			if strings.Contains(body, "listen,") {
				return answer(req, 422, http.Header{"Content-Type": {"application/json"}}, `{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict: input field \"ms_played\" on measurement \"listen\" is type integer, already exists as type float dropped=1"}`), nil
			}
			return nil, nil
		}}
		drain(t, inMemory(t, m, j))
		if n := len(rejected(t, j)); n != 20 {
			t.Fatalf("%d rejected, want 20", n)
		}
		m.fault = nil
		drain(t, inMemory(t, m, j))
		if list := rejected(t, j); len(list) > 0 || m.listens() != 20 {
			t.Errorf("%d listens, rejected %+v", m.listens(), list)
		}
	})
}

// A bucket with a retention takes no old points. They must not stand in the way
// of new ones, wherever they are in the queue, and cost a handful of requests.
func TestOldPointsDoNotHoldUpNewOnes(t *testing.T) {
	for name, refuse := range map[string]http.Response{
		"2.x": {StatusCode: 422, Status: `{"code":"unprocessable entity","message":"failure writing points to database: partial write: dropped 3 points outside retention policy of duration 24h0m0s"}`},
		"1.8": {StatusCode: 400, Status: `{"error":"partial write: points beyond retention policy dropped=3"}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 0, func(t *testing.T, j *journal.Journal) {
				time.Sleep(365 * 24 * time.Hour)
				var reports []journal.Report
				for i := range 500 {
					reports = append(reports, heard(i, time.Now().Add(-time.Duration(1+i%2*100*24)*time.Hour-time.Duration(i)*5*time.Minute)))
				}
				record(t, j, "me", reports...)
				limit := time.Now().Add(-50 * 24 * time.Hour).UnixNano()
				m := &memory{}
				m.fault = func(req *http.Request, body string) (*http.Response, error) {
					for one := range strings.Lines(body) {
						l, err := decode(strings.TrimSuffix(one, "\n"))
						if err != nil {
							t.Fatal(err)
						}
						if l.time < limit {
							return answer(req, refuse.StatusCode, http.Header{"Content-Type": {"application/json"}}, refuse.Status), nil
						}
					}
					return nil, nil
				}
				e := inMemory(t, m, j)
				drain(t, e)
				if n := m.listens(); n < 250 {
					t.Errorf("%d of the 250 new listens arrived", n)
				}
				plays := 0
				for _, r := range rejected(t, j) {
					if r.Kind == journal.EntryPlay {
						plays++
					}
					if !strings.Contains(r.Reason, "retention") {
						t.Errorf("rejected for %q", r.Reason)
					}
				}
				if plays != 250 || pending(t, j) != 0 {
					t.Errorf("%d plays rejected, %d entries pending; want the 250 old ones and none", plays, pending(t, j))
				}
				if len(m.requests) > 25 { // a search and a write for each batch
					t.Errorf("%d requests for 500 plays", len(m.requests))
				}
			})
		})
	}
}

func TestOrderOfWritesAndDeletes(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, j *journal.Journal) {
		var order []string
		m := &memory{fault: func(req *http.Request, body string) (*http.Response, error) {
			order = append(order, strings.TrimPrefix(req.URL.Path, "/api/v2/")+" "+strings.Repeat("|", strings.Count(body, "listen,")))
			return answer(req, http.StatusNoContent, nil, ""), nil
		}}
		play := func() journal.Entry { return entryOf(full()) }
		gone := journal.Entry{Kind: journal.EntryPlayGone, Account: "me", TimeNS: full().PointNS}
		e := inMemory(t, m, j)
		if err := e.Drain(t.Context(), []journal.Entry{play(), play(), gone, play(), gone, gone, play(), play()}); err != nil {
			t.Fatal(err)
		}
		want := "write ||, delete , delete , write |, delete , delete , delete , delete , write ||"
		if got := strings.Join(order, ", "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestRequestsStayWithinTheirLimits(t *testing.T) {
	inBubble(t, 400, func(t *testing.T, j *journal.Journal) {
		most := 0
		m := &memory{fault: func(_ *http.Request, body string) (*http.Response, error) {
			most = max(most, strings.Count(body, "\n"))
			return nil, nil
		}}
		drain(t, inMemory(t, m, j, func(o *influx.Options) { o.BatchSize = 100 }))
		if most > 100 || most < 50 || m.listens() != 400 {
			t.Errorf("%d listens in requests of up to %d lines, want 400 in 100", m.listens(), most)
		}
	})
}

func TestRunNoticesNewEntries(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, j *journal.Journal) {
		m := &memory{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- inMemory(t, m, j).Run(ctx) }()
		time.Sleep(time.Hour + time.Second/2)
		synctest.Wait()
		record(t, j, "me", heard(1, time.Now()))
		synctest.Wait() // woken, at once
		if n := m.listens(); n != 1 {
			t.Errorf("%d listens, want the one that Record has woken it for", n)
		}
		// Another process has the same journal open: nobody wakes us.
		other, err := journal.Open(ctx, j.Path(), journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		record(t, other, "me", heard(2, time.Now().Add(time.Hour)))
		time.Sleep(5*time.Second + time.Second/2)
		synctest.Wait()
		if n := m.listens(); n != 2 {
			t.Errorf("%d listens, want 2: another process has added one", n)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestErrorsOfTheJournal are told as what they are, and not as InfluxDB's.
func TestErrorsOfTheJournal(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, j *journal.Journal) {
		db, err := sql.Open("sqlite", j.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE outbox RENAME TO lost"); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		e := inMemory(t, &memory{}, j, func(o *influx.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		go func() { done <- e.Run(ctx) }()
		time.Sleep(10 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if text := log.String(); strings.Contains(text, "InfluxDB does not take") || !strings.Contains(text, "the journal cannot be used") {
			t.Errorf("logged:\n%s", text)
		}
	})
}

func TestRunTriesOnceMoreAtTheEndAndNoLongerThanFiveSeconds(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, j *journal.Journal) {
		ctx, cancel := context.WithCancel(t.Context())
		m := &memory{}
		done := make(chan error)
		go func() { done <- inMemory(t, m, j).Run(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		// The server stops answering while a write is under way.
		m.mu.Lock()
		stuck := 0
		m.fault = func(req *http.Request, _ string) (*http.Response, error) {
			stuck++
			<-req.Context().Done()
			return nil, req.Context().Err()
		}
		m.mu.Unlock()
		record(t, j, "me", heard(1, time.Now()))
		synctest.Wait()
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 5*time.Second || stuck != 2 {
			t.Errorf("ended after %v and %d requests, want 5s and 2", took, stuck)
		}
	})
}

func TestARowOfErrorsIsAFewLines(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, j *journal.Journal) {
		var log bytes.Buffer
		m := &memory{fault: everyWrite(503, nil, "")}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		e := inMemory(t, m, j, func(o *influx.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		go func() { done <- e.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		m.mu.Lock()
		attempts := len(m.requests)
		m.fault = nil
		m.mu.Unlock()
		time.Sleep(2 * time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		text := log.String()
		if n := strings.Count(text, "does not take"); n >= attempts || n < 5 || strings.Count(text, "outbox is sent to InfluxDB again") != 1 {
			t.Errorf("%d attempts made %d lines:\n%s", attempts, n, text)
		}
		if strings.Contains(text, "secret") || strings.Contains(text, "canceled") {
			t.Errorf("log tells too much:\n%s", text)
		}
	})
}

// While there is nothing to write, an empty write asks every minute.
func TestAnIdleExporterNoticesAnOutage(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, j *journal.Journal) {
		m := &memory{}
		e := inMemory(t, m, j)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		m.mu.Lock()
		if n := len(m.requests); n < 55 || n > 75 {
			t.Errorf("%d requests in an idle hour, want about 60", n)
		}
		m.fault = everyWrite(503, nil, "")
		m.mu.Unlock()
		last := e.State().LastSuccess
		time.Sleep(2 * time.Minute)
		if state := e.State(); *state.Up || state.LastSuccess.Sub(last) > time.Minute {
			t.Errorf("two minutes into an outage: %+v", state)
		}
		cancel()
		<-done
	})
}

// Hour and weekday are in every point, so a new time zone rewrites them; a new
// bucket must get everything; a new account is no reason for either.
func TestSettingsThatChangePointsReplayThem(t *testing.T) {
	inBubble(t, 5, func(t *testing.T, j *journal.Journal) {
		m := &memory{}
		start := func(change ...func(*influx.Options)) int {
			before := m.listens()
			drain(t, inMemory(t, m, j, change...))
			return m.listens() - before
		}
		berlin := func(o *influx.Options) {
			o.Zone = func(string) *time.Location { return mustZone(t, "Europe/Berlin") }
		}
		other := func(o *influx.Options) { berlin(o); o.Bucket = "other" }
		short := func(o *influx.Options) { other(o); o.CountedFrom = time.Second }
		if n := start(); n != 5 {
			t.Errorf("first start sent %d, want 5", n)
		}
		if n := start(); n != 0 {
			t.Errorf("second start sent %d, want none", n)
		}
		if n := start(berlin); n != 5 {
			t.Errorf("a new time zone sent %d, want 5", n)
		}
		if n := start(other); n != 5 {
			t.Errorf("a new bucket got %d, want 5", n)
		}
		if n := start(short); n != 5 {
			t.Errorf("another rule of counting sent %d, want 5", n)
		}
		record(t, j, "you", heard(1, time.Now()))
		if n := start(short); n != 1 {
			t.Errorf("a new account's play sent %d, want 1", n)
		}
		if n := start(short); n != 0 {
			t.Errorf("the start after it sent %d, want none", n)
		}
		if n := start(other); n != 6 {
			t.Errorf("back again sent %d, want 6", n)
		}
		// An account that comes while the exporter runs is remembered too.
		e := inMemory(t, m, j, other)
		drain(t, e)
		record(t, j, "them", heard(1, time.Now()))
		drain(t, e)
		if n := start(other, func(o *influx.Options) {
			o.Zone = func(account string) *time.Location {
				if account == "them" {
					return mustZone(t, "Asia/Tokyo")
				}
				return mustZone(t, "Europe/Berlin")
			}
		}); n != 7 {
			t.Errorf("their new time zone sent %d, want 7", n)
		}
		start(other)
		// What a version wrote whose points had other fields.
		stored, err := j.Setting(t.Context(), "influx.settings")
		if err != nil {
			t.Fatal(err)
		}
		older := regexp.MustCompile(`"points":\d+`).ReplaceAllString(stored, `"points":1`)
		if err := j.SetSetting(t.Context(), "influx.settings", older); err != nil {
			t.Fatal(err)
		}
		if n := start(other); n != 7 {
			t.Errorf("points of an older version: %d sent, want 7", n)
		}
	})
}

// TestANameThatIsKnownLater has an account whose plays came by an import, and which logs in later: that is when its name
// is known.
func TestANameThatIsKnownLater(t *testing.T) {
	inBubble(t, 5, func(t *testing.T, j *journal.Journal) {
		m, name := &memory{}, "me"
		e := inMemory(t, m, j, func(o *influx.Options) { o.Name = func(string) string { return name } })
		drain(t, e)
		name = "Anna Example"
		time.Sleep(2 * time.Minute)
		drain(t, e)
		drain(t, e)
		last := ""
		for _, line := range m.lines {
			if strings.HasPrefix(line, "account,") {
				last = line
			}
		}
		if !strings.Contains(last, `name="Anna Example"`) || m.listens() != 5 {
			t.Errorf("the account is %s; %d listens were written, want 5 once", last, m.listens())
		}
		sent := len(m.lines)
		time.Sleep(2 * time.Minute)
		drain(t, e)
		if len(m.lines) != sent {
			t.Errorf("%d lines were written though nothing has changed", len(m.lines)-sent)
		}
		// A name that changes while the exporter does not run.
		name = "Anna"
		drain(t, inMemory(t, m, j, func(o *influx.Options) { o.Name = func(string) string { return name } }))
		if last := m.lines[len(m.lines)-1]; !strings.Contains(last, `name="Anna"`) {
			t.Errorf("the account is %s", last)
		}
	})
}

// InfluxDB is asked for the plays of a page when the page has changed, and every
// ten minutes.
func TestHeldPlaysAreAskedForNowAndThen(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, j *journal.Journal) {
		asked := 0
		m := &memory{fault: func(req *http.Request, body string) (*http.Response, error) {
			if req.URL.Path != "/api/v2/query" {
				return nil, nil
			}
			asked++
			if !strings.Contains(body, `r.account == \"me\"`) {
				t.Errorf("query %s", body)
			}
			return answer(req, http.StatusOK, http.Header{"Content-Type": {"text/csv"}}, ""), nil
		}}
		e := inMemory(t, m, j)
		page := func(n int) {
			var reports []journal.Report
			for i := range n {
				r := heard(i, time.Date(2000, 1, 1, 1, 5*i, 0, 0, time.UTC))
				r.Witness, r.MSPlayed = journal.RecentlyPlayed, -1
				reports = append(reports, r)
			}
			if _, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports, Page: &journal.Page{FetchedAt: time.Now()}}); err != nil {
				t.Fatal(err)
			}
		}
		idle := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				drain(t, e)
				time.Sleep(5 * time.Second)
			}
		}
		idle(time.Hour)
		if asked != 0 {
			t.Errorf("asked %d times though nobody has played anything", asked)
		}
		page(3)
		idle(time.Hour)
		if asked < 6 || asked > 7 {
			t.Errorf("asked %d times in an hour, want every ten minutes", asked)
		}
		if ratio, ok := e.State().HeldRatio["me"]; !ok || ratio != 0 {
			t.Errorf("ratio %v %v, want 0: the answer has no rows", ratio, ok)
		}
		before := asked
		page(4)
		idle(5 * time.Second)
		if asked != before+1 {
			t.Errorf("asked %d times after the page had changed, want once", asked-before)
		}
	})
}

// What InfluxDB 1.8 is told in place of the delete that it does not have.
func TestADeleteOn18IsInfluxQL(t *testing.T) {
	inBubble(t, 0, func(t *testing.T, j *journal.Journal) {
		var statements []string
		refused, result := 0, `{"results":[{"statement_id":0}]}`
		m := &memory{fault: func(req *http.Request, _ string) (*http.Response, error) {
			switch req.URL.Path {
			case "/api/v2/delete":
				refused++
				return answer(req, http.StatusNotFound, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, "404 page not found\n"), nil
			case "/query":
				if db := req.URL.Query().Get("db"); db != "music" {
					t.Errorf("database %q", db)
				}
				statements = append(statements, req.URL.Query().Get("q"))
				return answer(req, http.StatusOK, http.Header{"Content-Type": {"application/json"}}, result), nil
			}
			return nil, nil
		}}
		e := inMemory(t, m, j, func(o *influx.Options) { o.Bucket = "music/autogen" })
		gone := journal.Entry{Kind: journal.EntryPlayGone, Account: `O'B"r\ien`, TimeNS: 1_700_000_000_000_000_001}
		for range 2 {
			if err := e.Drain(t.Context(), []journal.Entry{gone}); err != nil {
				t.Fatal(err)
			}
		}
		want := `DELETE FROM "listen" WHERE time >= 1700000000000000001 AND time <= 1700000000000000001 AND "account" = 'O\'B"r\\ien'`
		if len(statements) != 4 || statements[0] != want || refused != 1 {
			t.Errorf("%d refused, then %q; want %q first of 4", refused, statements, want)
		}
		if n := e.State().PointsDeleted; n != 4 {
			t.Errorf("%d points deleted", n)
		}
		result = `{"results":[{"statement_id":0,"error":"shard is read-only"}]}`
		record(t, j, "me", heard(1, time.Now()))
		if err := e.Drain(t.Context(), []journal.Entry{gone}); err != nil {
			t.Fatal(err)
		}
		if state := e.State(); state.PointsDeleted != 4 || state.PointsRejected != 1 {
			t.Errorf("an error in a 200: %+v", state)
		}
	})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for _, o := range []influx.Options{
		{URL: "influxdb:8086", Bucket: "b"}, {URL: "", Bucket: "b"}, {URL: "ftp://influxdb", Bucket: "b"}, {URL: "http://", Bucket: "b"},
		{URL: "http://influxdb:8086"}, {URL: "http://influxdb:8086", Bucket: "b", BatchSize: -1},
	} {
		if _, err := influx.New(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestThePathOfTheURLIsKept(t *testing.T) {
	for _, url := range []string{"http://proxy/influx", "http://proxy/influx/"} {
		inBubble(t, 1, func(t *testing.T, j *journal.Journal) {
			m := &memory{}
			paths := map[string]bool{}
			m.fault = func(req *http.Request, _ string) (*http.Response, error) {
				paths[req.URL.Path] = true
				if agent := req.Header.Get("User-Agent"); agent != "spotify-exporter/1" {
					t.Errorf("User-Agent %q", agent)
				}
				if token := req.Header.Get("Authorization"); token != "Token secret-token" {
					t.Errorf("Authorization %q", token)
				}
				return answer(req, http.StatusNoContent, nil, ""), nil
			}
			e := inMemory(t, m, j, func(o *influx.Options) { o.URL, o.UserAgent = url, "spotify-exporter/1" })
			// 204 without JSON to the list of buckets is not InfluxDB, but its write is told apart.
			_, _ = e.Step(t.Context())
			if !paths["/influx/api/v2/write"] {
				t.Errorf("%s: asked %v", url, paths)
			}
		})
	}
}

func TestGzipIsForServersFarAway(t *testing.T) {
	for host, near := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "::1": true, "192.168.1.5": true, "10.0.0.1": true, "fd00::1": true, "fe80::1": true,
		"influxdb": true, "nas.local": true, "host.docker.internal": true, "influx.example.com": false, "203.0.113.5": false, "2001:db8::1": false,
	} {
		if got := influx.Near(host); got != near {
			t.Errorf("%s: near %v", host, got)
		}
	}
	for url, want := range map[string]string{"http://influxdb:8086": "", "https://influx.example.com": "gzip"} {
		inBubble(t, 1, func(t *testing.T, j *journal.Journal) {
			m := &memory{}
			m.fault = func(req *http.Request, body string) (*http.Response, error) {
				if got := req.Header.Get("Content-Encoding"); body != "" && got != want {
					t.Errorf("%s: Content-Encoding %q, want %q", url, got, want)
				}
				return nil, nil
			}
			drain(t, inMemory(t, m, j, func(o *influx.Options) { o.URL = url }))
			if m.listens() != 1 {
				t.Errorf("%s: %d listens", url, m.listens())
			}
		})
	}
}

func TestACanceledStepIsNoFailure(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, j *journal.Journal) {
		e := inMemory(t, &memory{}, j)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Step(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if state := e.State(); state.Up != nil || state.WriteRetries > 0 {
			t.Errorf("state %+v", state)
		}
	})
}

// While InfluxDB stores a batch, the next one is taken; if it is not stored, that
// is forgotten, and everything goes in its order when it has come back.
func TestNextBatchIsTakenWhileOneIsSent(t *testing.T) {
	inBubble(t, 9, func(t *testing.T, j *journal.Journal) {
		db, err := sql.Open("sqlite", "file:"+j.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var taken []int    // plays that may be in InfluxDB, at each write
		var sent [][]int64 // the plays of each write that InfluxDB took
		down := false
		m := &memory{fault: func(req *http.Request, body string) (*http.Response, error) {
			if req.URL.Path != "/api/v2/write" || !strings.Contains(body, "listen,") {
				return nil, nil
			}
			synctest.Wait() // nothing else is going on any more
			var n int
			if err := db.QueryRow("SELECT count(*) FROM play WHERE sent_ns <> 0").Scan(&n); err != nil {
				return nil, err
			}
			taken = append(taken, n)
			if down {
				return answer(req, http.StatusServiceUnavailable, nil, ""), nil
			}
			var points []int64
			for line := range strings.Lines(body) {
				if strings.HasPrefix(line, "listen,") {
					ns, err := strconv.ParseInt(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 10, 64)
					if err != nil {
						return nil, err
					}
					points = append(points, ns)
				}
			}
			sent = append(sent, points)
			return nil, nil
		}}
		e := inMemory(t, m, j, func(o *influx.Options) { o.BatchSize = 4 })
		step := func() error { _, err := e.Step(t.Context()); return err }
		// The account and three plays; then four of the other six while they are sent.
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if want := []int{7, 7}; !slices.Equal(taken, want) {
			t.Errorf("at the writes %v plays had been taken, want %v", taken, want)
		}
		down = true
		if err := step(); err == nil {
			t.Fatal("no error of a server that is down")
		}
		down = false
		drain(t, e)
		all := slices.Concat(sent...)
		if len(all) != 9 || !slices.IsSorted(all) {
			t.Errorf("sent %v, want the nine plays in their order", sent)
		}
	})
}

// Requests overlap with the journal's work: whichever fails, those before it have left the outbox
// and are not made again, and those after it are.
func TestWhatHasArrivedIsNotSentAgain(t *testing.T) {
	for failing := 1; failing <= 7; failing++ {
		t.Run(strconv.Itoa(failing), func(t *testing.T) {
			inBubble(t, 9, func(t *testing.T, j *journal.Journal) {
				writes := 0
				m := &memory{fault: func(req *http.Request, body string) (*http.Response, error) {
					if !strings.Contains(body, "listen,") {
						return nil, nil
					}
					if writes++; writes == failing {
						return answer(req, http.StatusServiceUnavailable, nil, ""), nil
					}
					return nil, nil
				}}
				e := inMemory(t, m, j, func(o *influx.Options) { o.BatchSize = 4 })
				failed := false
				for writes < failing {
					if wait, err := e.Step(t.Context()); err != nil {
						failed = true
					} else if wait > 0 {
						break // everything has been sent
					}
				}
				if failed {
					entries, err := j.Take(t.Context(), 0, 100)
					if err != nil {
						t.Fatal(err)
					}
					left := 0
					for _, entry := range entries {
						if entry.Kind == journal.EntryPlay {
							left++
						}
					}
					if arrived := m.listens(); arrived+left != 9 {
						t.Errorf("%d plays have arrived and %d are in the outbox, want nine", arrived, left)
					}
				}
				drain(t, e)
				if n := m.listens(); n != 9 || failed != (failing <= 5) {
					t.Errorf("%d listens, failed %v", n, failed)
				}
			})
		})
	}
}
