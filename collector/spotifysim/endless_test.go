package spotifysim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// TestPlayOn looks every ten minutes for a hundred days at a listener that never stops.
func TestPlayOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const days, kept = 100, 48 * time.Hour
		start := time.Now()
		s := spotifysim.New(spotifysim.Options{Fail: t.Errorf, RequestsKept: kept, DailyQuota: 1000, AccessTokenLife: 2 * days * 24 * time.Hour})
		me := s.AddUser("me", "Me")
		listening := spotifysim.NewDays(1, start, spotifysim.Habits{})
		var given []spotifysim.Given
		me.PlayOn(func() []spotifysim.Given {
			list := listening.Next(7)
			given = append(given, list...)
			return list
		})
		client := newClient(t, s, me)
		most := 0
		for time.Since(start) < days*24*time.Hour {
			if status, _, body := client.get("/v1/me/player"); status >= 400 {
				t.Fatalf("%d %s", status, body)
			}
			time.Sleep(10 * time.Minute)
			most = max(most, len(s.Requests()))
		}
		if perKept := int(kept / (10 * time.Minute)); most < perKept || most > 2*perKept+2 {
			t.Errorf("up to %d requests are remembered, of %d in %v", most, perKept, kept)
		}
		daily := make(map[int]int)
		played := me.Played(time.Now())
		for _, p := range played {
			daily[int(p.EndedAt.Sub(start)/(24*time.Hour))]++
		}
		silent := 0
		for day := range days {
			if daily[day] == 0 {
				silent++
			}
		}
		if silent > days/10 || daily[days-1]+daily[days-2] == 0 {
			t.Errorf("nothing plays on %d of %d days: %v", silent, days, daily)
		}
		for i := range played {
			if played[i].Item.URI != given[i].Item.URI || played[i].MSPlayed != given[i].MSPlayed {
				t.Fatalf("play %d is %+v, want %+v", i, played[i], given[i])
			}
		}
	})
}
