package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

func TestZeroClockIsTheBubblesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock.Clock
		before := c.Now()
		if err := c.Sleep(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := c.Now().Sub(before); got != 24*time.Hour {
			t.Errorf("a day of sleep took %v", got)
		}
	})
}

func TestScaledClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		epoch := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
		c := clock.New(epoch, 60)
		if got := c.Now(); !got.Equal(epoch) {
			t.Errorf("starts at %v", got)
		}
		real := time.Now()
		if err := c.Sleep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(real); got != time.Minute {
			t.Errorf("an hour at speed 60 took %v of real time", got)
		}
		if got := c.Now(); !got.Equal(epoch.Add(time.Hour)) {
			t.Errorf("after an hour the clock shows %v", got)
		}
	})
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		start := time.Now()
		if err := (clock.Clock{}).Sleep(ctx, time.Hour); !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("slept %v", got)
		}
		if err := (clock.Clock{}).Sleep(ctx, 0); !errors.Is(err, why) {
			t.Errorf("an ended context and nothing to sleep: got %v", err)
		}
	})
}

func TestSpeedThatIsNotAboveZeroIsReal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(time.Unix(0, 0), -3)
		if got := c.Real(time.Second); got != time.Second {
			t.Errorf("a second took %v", got)
		}
	})
}
