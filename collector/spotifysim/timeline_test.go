package spotifysim_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// told is a play in short: what, how long it lasted and sounded, how it ended.
func told(played []spotifysim.Played) []string {
	told := []string{}
	for _, p := range played {
		told = append(told, fmt.Sprintf("%s %v %dms %s→%s", p.Item.Name, p.EndedAt.Sub(p.StartedAt), p.MSPlayed, p.ReasonStart, p.ReasonEnd))
	}
	return told
}

// TestListener holds what was played against what each story says.
func TestListener(t *testing.T) {
	type moment = spotifysim.Moment
	const s = time.Second
	tests := []struct {
		name string
		tell func(m moment)
		want []string
	}{
		{"an album to its end", func(m moment) { m.Play(lantern, harbour) },
			[]string{"Lantern 3m20s 200000ms clickrow→trackdone", "Harbour 3m0s 180000ms trackdone→trackdone"}},
		{"a pause", func(m moment) { m.Play(lantern).After(60 * s).Pause().After(90 * s).Resume() },
			[]string{"Lantern 4m50s 200000ms clickrow→trackdone"}},
		{"a pause for ever", func(m moment) { m.Play(lantern, harbour).After(60 * s).Pause() },
			[]string{"Lantern 11m0s 60000ms clickrow→logout"}},
		{"left and resumed", func(m moment) { m.Play(lantern).After(60 * s).Pause().After(20 * 60 * s).Resume() },
			[]string{"Lantern 11m0s 60000ms clickrow→logout", "Lantern 2m20s 140000ms playbtn→trackdone"}},
		{"replaced while paused", func(m moment) { m.Play(lantern).After(60 * s).Pause().After(30 * s).Play(harbour) },
			[]string{"Lantern 1m30s 60000ms clickrow→endplay", "Harbour 3m0s 180000ms clickrow→trackdone"}},
		{"seek forward and back", func(m moment) { m.Play(lantern).After(10 * s).Seek(190 * s).After(5 * s).Seek(100 * s) },
			[]string{"Lantern 1m55s 115000ms clickrow→trackdone"}},
		{"seek while paused", func(m moment) { m.Play(lantern).After(10 * s).Pause().After(5 * s).Seek(190 * s).After(5 * s).Resume() },
			[]string{"Lantern 30s 20000ms clickrow→trackdone"}},
		{"repeat one", func(m moment) { m.Repeat("track").Play(lantern).After(250 * s).Repeat("off") },
			[]string{"Lantern 3m20s 200000ms clickrow→trackdone", "Lantern 3m20s 200000ms trackdone→trackdone"}},
		{"repeat all", func(m moment) { m.Repeat("context").Play(lantern, harbour).After(400 * s).Stop() },
			[]string{"Lantern 3m20s 200000ms clickrow→trackdone", "Harbour 3m0s 180000ms trackdone→trackdone", "Lantern 20s 20000ms trackdone→logout"}},
		{"next, next, previous", func(m moment) {
			m.Play(lantern, harbour, heron).After(10 * s).Next().After(20 * s).Next().After(5 * s).Previous()
		}, []string{"Lantern 10s 10000ms clickrow→fwdbtn", "Harbour 20s 20000ms fwdbtn→fwdbtn", "Heron 5s 5000ms fwdbtn→backbtn",
			"Harbour 3m0s 180000ms backbtn→trackdone", "Heron 4m0s 240000ms trackdone→trackdone"}},
		{"next at the end", func(m moment) { m.Play(lantern).After(10 * s).Next() },
			[]string{"Lantern 10s 10000ms clickrow→fwdbtn"}},
		{"the same twice in a row", func(m moment) { m.Play(lantern, lantern) },
			[]string{"Lantern 3m20s 200000ms clickrow→trackdone", "Lantern 3m20s 200000ms trackdone→trackdone"}},
		{"crossfade", func(m moment) { m.Crossfade(12*s).Play(lantern, harbour) },
			[]string{"Lantern 3m8s 188000ms clickrow→trackdone", "Harbour 2m48s 168000ms trackdone→trackdone"}},
		{"hand-over", func(m moment) { m.Play(lantern).After(60 * s).Device(spotifysim.Device{Name: "Kitchen"}) },
			[]string{"Lantern 3m20s 200000ms clickrow→trackdone"}},
		{"an ad is no play", func(m moment) {
			m.Play(lantern, spotifysim.Item{Kind: spotifysim.Ad, Duration: 30 * s}, harbour).After(600 * s).Play(spotifysim.Item{Kind: spotifysim.Unknown})
		}, []string{"Lantern 3m20s 200000ms clickrow→trackdone", "Harbour 3m0s 180000ms trackdone→trackdone"}},
		{"two in one millisecond", func(m moment) { m.Play(lantern).Play(harbour).Play(heron) },
			[]string{"Lantern 0s 0ms clickrow→endplay", "Harbour 0s 0ms clickrow→endplay", "Heron 4m0s 240000ms clickrow→trackdone"}},
		{"crossfade longer than the track", func(m moment) { m.Crossfade(12 * s).Play(spotifysim.NewTrack("Bell", "x", 8*s)) },
			[]string{"Bell 8s 8000ms clickrow→trackdone"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sim := newSim(t)
			u := sim.AddUser("ann", "Ann")
			start := time.Date(2024, 5, 1, 20, 0, 0, 0, time.UTC)
			test.tell(u.At(start))
			if got := told(u.Played(start.Add(24 * time.Hour))); !slices.Equal(got, test.want) {
				t.Errorf("played\n%q, want\n%q", got, test.want)
			}
		})
	}
}

// TestItemEndsAtItsMillisecond checks the last and the first ms around an end.
func TestItemEndsAtItsMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		c := newClient(t, sim, u)
		u.Play(lantern, harbour)
		for _, step := range []struct {
			wait time.Duration
			want string
		}{
			{0, "Lantern playing at 0"},
			{200*time.Second - time.Millisecond, "Lantern playing at 199999"},
			{time.Millisecond, "Harbour playing at 0"},
			{180*time.Second - time.Millisecond, "Harbour playing at 179999"},
			{time.Millisecond, "Harbour paused at 0"},
			{10*time.Minute - time.Millisecond, "Harbour paused at 0"},
			{time.Millisecond, "204"},
			{24 * time.Hour, "204"},
		} {
			time.Sleep(step.wait)
			if got := c.player().String(); got != step.want {
				t.Errorf("%v later: %s, want %s", step.wait, got, step.want)
			}
		}
		if got := len(u.Played(time.Now())); got != 2 {
			t.Errorf("%d plays have ended", got)
		}
	})
}

func TestPlayerFollowsTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		c := newClient(t, sim, u)
		if got := c.player().String(); got != "204" {
			t.Errorf("before anything: %s", got)
		}
		// The whole evening is told beforehand.
		m := u.Now().Context(&spotifysim.Context{Type: "album", URI: "spotify:album:x"}).Shuffle(true).Play(lantern, harbour)
		m.After(30 * time.Second).Volume(35).
			After(30 * time.Second).Pause().
			After(60 * time.Second).Resume().
			After(10 * time.Second).Device(spotifysim.Device{Name: "Kitchen", Type: "Speaker", FixedVolume: true}).Private(true).
			After(10 * time.Second).Seek(5 * time.Second).
			After(10 * time.Second).Private(false).Offline(true).
			After(10 * time.Second).Offline(false).Play(podcast)
		at := m.Time()
		for _, step := range []struct {
			at   int
			want string
		}{
			{59, "Lantern playing at 59000"},
			{60, "Lantern paused at 60000"},
			{119, "Lantern paused at 60000"},
			{125, "Lantern playing at 65000"},
			{141, "Lantern playing at 6000"},
			{150, "204"},
			{161, "On Moss playing at 1000"},
		} {
			time.Sleep(time.Until(at.Add(time.Duration(step.at) * time.Second)))
			p := c.player()
			if p.String() != step.want {
				t.Errorf("at %d s: %s, want %s", step.at, p, step.want)
			}
			switch step.at {
			case 59:
				if p.Context == nil || p.Context.URI != "spotify:album:x" || !p.ShuffleState || p.Device.ID == nil || *p.Device.VolumePercent != 35 {
					t.Errorf("%+v", p)
				}
			case 125:
				if p.Timestamp != at.Add(120*time.Second).UnixMilli() {
					t.Errorf("timestamp %d is not that of the resume", p.Timestamp)
				}
			case 141:
				if p.Device.Name != "Kitchen" || p.Device.ID != nil || p.Device.VolumePercent != nil || !p.Device.IsPrivateSession {
					t.Errorf("device %+v", p.Device)
				}
			}
		}
		// Without additional_types an episode is null.
		status, _, body := c.get("/v1/me/player")
		var p player
		decode(t, body, &p)
		if status != 200 || p.Item != nil || p.Type != "episode" || !p.IsPlaying {
			t.Errorf("without additional_types: %d %s", status, body)
		}
	})
}

func TestAdAndUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		c := newClient(t, sim, u)
		u.Play(spotifysim.Item{Kind: spotifysim.Ad, Duration: 30 * time.Second}, spotifysim.Item{Kind: spotifysim.Unknown})
		time.Sleep(5 * time.Second)
		if p := c.player(); p.Type != "ad" || p.String() != "nothing playing at 5000" {
			t.Errorf("ad: %+v", p)
		}
		time.Sleep(time.Minute)
		if p := c.player(); p.Type != "unknown" || p.String() != "nothing playing at -" {
			t.Errorf("unknown: %+v", p)
		}
	})
}

func TestRewritingWhatWasShownPanics(t *testing.T) {
	sim := newSim(t)
	u := sim.AddUser("ann", "Ann")
	start := time.Date(2024, 5, 1, 20, 0, 0, 0, time.UTC)
	u.At(start).Play(lantern, harbour)
	u.Played(start.Add(time.Hour))
	defer func() {
		if recover() == nil {
			t.Error("a play that was shown could be paused afterwards")
		}
	}()
	u.At(start.Add(time.Minute)).Pause()
}

func TestRecentlyPlayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		c := newClient(t, sim, u)
		if page := c.recentlyPlayed(""); len(page.Items) != 0 || page.Next != nil || page.Cursors != nil || page.Limit != 20 {
			t.Errorf("empty page: %+v", page)
		}
		start := time.Now()
		u.Play(lantern)
		time.Sleep(205*time.Second - time.Millisecond)
		if got := c.names(); len(got) != 0 {
			t.Errorf("appeared before its delay: %v", got)
		}
		time.Sleep(time.Millisecond)
		page := c.recentlyPlayed("?limit=50")
		if len(page.Items) != 1 || page.Items[0].Track.URI != lantern.URI {
			t.Fatalf("%+v", page)
		}
		if want := start.Add(200 * time.Second).UTC().Format("2006-01-02T15:04:05.000Z"); page.Items[0].PlayedAt != want {
			t.Errorf("played_at %s, want the end %s", page.Items[0].PlayedAt, want)
		}

		// What never appears: short, private, episode, local file. What does: a skip after 30 s.
		u.Now().Play(harbour, heron).
			After(29999 * time.Millisecond).Next().
			After(30 * time.Second).Private(true).Next().
			Play(harbour).After(time.Minute).Private(false).
			After(time.Minute).Play(podcast).
			After(2 * time.Hour).Play(tape).
			After(time.Hour).Play(heron).After(30 * time.Second).Next()
		time.Sleep(12 * time.Hour)
		if got := c.names(); !slices.Equal(got, []string{"Heron", "Lantern"}) {
			t.Errorf("recently played: %v", got)
		}
	})
}

func TestRecentlyPlayedShowsOfflinePlaysLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		c := newClient(t, sim, u)
		u.Now().Play(lantern).
			After(time.Hour).Offline(true).Play(harbour).
			After(time.Hour).Offline(false).Play(heron)
		time.Sleep(110 * time.Minute)
		if got := c.names(); !slices.Equal(got, []string{"Lantern"}) {
			t.Errorf("while offline: %v", got)
		}
		time.Sleep(10*time.Minute + 5*time.Second)
		if got := c.names(); !slices.Equal(got, []string{"Harbour", "Lantern"}) {
			t.Errorf("online again: %v", got)
		}
		time.Sleep(10 * time.Minute)
		if got := c.names(); !slices.Equal(got, []string{"Heron", "Harbour", "Lantern"}) {
			t.Errorf("at the end: %v", got)
		}
		var offline []bool
		for _, p := range u.Played(time.Now()) {
			offline = append(offline, p.Offline)
		}
		if !slices.Equal(offline, []bool{false, true, false}) {
			t.Errorf("offline: %v", offline)
		}
	})
}

// TestRecentlyPlayedPages walks through 60 plays, of which 50 exist.
func TestRecentlyPlayedPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		c := newClient(t, sim, u)
		var items []spotifysim.Item
		for i := range 60 {
			items = append(items, spotifysim.NewTrack(fmt.Sprint(i), "Counting", 3*time.Minute))
		}
		u.Play(items...)
		time.Sleep(24 * time.Hour)

		if page := c.recentlyPlayed(""); len(page.Items) != 20 || page.Items[0].Track.Name != "59" {
			t.Errorf("default page: %d items", len(page.Items))
		}
		query, seen, pages := "?limit=20", []string{}, 0
		for ; pages < 10; pages++ {
			page := c.recentlyPlayed(query)
			for _, i := range page.Items {
				seen = append(seen, i.Track.Name)
			}
			if page.Next == nil {
				break
			}
			query = fmt.Sprintf("?before=%s&limit=20", page.Cursors.Before)
			if want := "https://api.spotify.com/v1/me/player/recently-played" + query; *page.Next != want {
				t.Errorf("next %s, want %s", *page.Next, want)
			}
		}
		if len(seen) != 50 || seen[0] != "59" || seen[49] != "10" || pages != 2 {
			t.Errorf("%d plays on %d pages: %v", len(seen), pages+1, seen)
		}
		all := c.recentlyPlayed("?limit=50")
		if all.Next == nil {
			t.Error("a full page names no next one")
		}
		if page := c.recentlyPlayed("?limit=50&before=" + all.Cursors.Before); len(page.Items) != 0 || page.Next != nil || page.Cursors != nil {
			t.Errorf("behind the 50th: %+v", page)
		}
		at := func(i int) string {
			played, err := time.Parse(time.RFC3339, all.Items[i].PlayedAt)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(played.UnixMilli())
		}
		if page := c.recentlyPlayed("?after=" + at(3)); len(page.Items) != 3 || page.Items[2].Track.Name != "57" {
			t.Errorf("after is not exclusive: %+v", page)
		}
	})
}

func TestPlayDays(t *testing.T) {
	start := time.Date(2024, 5, 1, 20, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	noDuration := lantern
	noDuration.Duration = 0
	tests := []struct {
		name  string
		given []spotifysim.Given
		want  []string
	}{
		{"end and listening time", []spotifysim.Given{{Item: lantern, EndedAt: at(200), MSPlayed: 200000, ReasonStart: "clickrow", ReasonEnd: "trackdone"}},
			[]string{"Lantern 3m20s 200000ms clickrow→trackdone"}},
		{"a pause", []spotifysim.Given{{Item: lantern, StartedAt: at(0), EndedAt: at(5000), MSPlayed: 200000, ReasonEnd: "trackdone"}},
			[]string{"Lantern 1h23m20s 200000ms →trackdone"}},
		{"too little room", []spotifysim.Given{{Item: lantern, StartedAt: at(190), EndedAt: at(300), MSPlayed: 200000, ReasonEnd: "trackdone"}},
			[]string{"Lantern 3m20s 200000ms →trackdone"}},
		{"overlaps are played one after the other, in the order of their starts", []spotifysim.Given{
			{Item: harbour, StartedAt: at(100), MSPlayed: 50000, ReasonEnd: "fwdbtn"},
			{Item: lantern, StartedAt: at(0), MSPlayed: 200000, ReasonEnd: "trackdone"},
			{Item: heron, StartedAt: at(250), MSPlayed: 1000, ReasonEnd: "fwdbtn"},
		}, []string{"Lantern 3m20s 200000ms →trackdone", "Harbour 50s 50000ms →fwdbtn", "Heron 1s 1000ms →fwdbtn"}},
		{"nothing heard", []spotifysim.Given{{Item: lantern, StartedAt: at(0), ReasonEnd: "fwdbtn"}, {Item: lantern, StartedAt: at(0), ReasonEnd: "fwdbtn"}},
			[]string{"Lantern 0s 0ms →fwdbtn", "Lantern 0s 0ms →fwdbtn"}},
		{"longer than the item", []spotifysim.Given{{Item: lantern, StartedAt: at(0), MSPlayed: 700000, ReasonEnd: "trackdone"}},
			[]string{"Lantern 11m40s 700000ms →trackdone"}},
		{"an item whose duration nobody said", []spotifysim.Given{
			{Item: noDuration, StartedAt: at(0), MSPlayed: 199000, ReasonEnd: "trackdone"},
			{Item: noDuration, StartedAt: at(1000), MSPlayed: 199000, ReasonEnd: "trackdone"},
			{Item: noDuration, StartedAt: at(2000), MSPlayed: 250000, ReasonEnd: "trackdone"},
		}, []string{"Lantern 3m19s 199000ms →trackdone", "Lantern 3m19s 199000ms →trackdone", "Lantern 4m10s 250000ms →trackdone"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sim := newSim(t)
			u := sim.AddUser("ann", "Ann")
			u.PlayDays(test.given)
			played := u.Played(start.Add(24 * time.Hour))
			if got := told(played); !slices.Equal(got, test.want) {
				t.Errorf("played\n%q, want\n%q", got, test.want)
			}
			for s := range 6000 {
				if state := u.State(at(s)); state.Progress > state.Item.Duration {
					t.Fatalf("after %d s: %v of %v", s, state.Progress, state.Item.Duration)
				}
			}
			if test.name == "an item whose duration nobody said" && played[0].Item.Duration != 199*time.Second {
				t.Errorf("got a duration of %v", played[0].Item.Duration)
			}
		})
	}
}

// TestPlayDaysInTheAPI looks at given plays through the API: the place of the
// pause, the upload of offline plays.
func TestPlayDaysInTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		c := newClient(t, sim, u)
		start := time.Now()
		at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
		u.PlayDays([]spotifysim.Given{
			{Item: lantern, StartedAt: at(0), EndedAt: at(1000), MSPlayed: 200000, ReasonEnd: "trackdone"},
			{Item: harbour, StartedAt: at(2000), EndedAt: at(2700), MSPlayed: 100000, ReasonEnd: "logout"},
			{Item: heron, StartedAt: at(4000), MSPlayed: 240000, ReasonEnd: "trackdone", Offline: true},
			{Item: heron, StartedAt: at(5000), MSPlayed: 240000, ReasonEnd: "trackdone", Offline: true},
		})
		for _, step := range []struct {
			at   int
			want string
		}{
			{99, "Lantern playing at 99000"}, {100, "Lantern paused at 100000"}, {700, "204"},
			{899, "204"}, {901, "Lantern playing at 101000"}, {1001, "Lantern paused at 0"},
			{2101, "Harbour paused at 100000"}, {2699, "Harbour paused at 100000"}, {2700, "204"},
			{4100, "204"},
		} {
			time.Sleep(time.Until(at(step.at)))
			if got := c.player().String(); got != step.want {
				t.Errorf("at %d s: %s, want %s", step.at, got, step.want)
			}
		}
		time.Sleep(time.Until(at(5240 + 6*3600)))
		if got := c.names(); !slices.Equal(got, []string{"Harbour", "Lantern"}) {
			t.Errorf("before the upload: %v", got)
		}
		time.Sleep(5 * time.Second)
		if got := c.names(); !slices.Equal(got, []string{"Heron", "Heron", "Harbour", "Lantern"}) {
			t.Errorf("after the upload: %v", got)
		}
	})
}
