// Package clock gives the time that a run lives in: the real one, or, for the
// demo and for tests against real servers, one that runs faster.
//
// Everything else uses plain time, so that testing/synctest can stand in for
// it; a zero Clock inside a synctest bubble tells the bubble's time.
package clock

import (
	"context"
	"time"
)

// Clock is a time that may run faster than the real one. The zero value is the
// real time. A Clock is a value; copies tell the same time.
type Clock struct {
	epoch time.Time // what the clock showed at start
	start time.Time // real time (with its monotonic reading) of epoch
	speed float64   // seconds of this clock per real second; 0 stands for 1
}

// New returns a clock that shows epoch now and runs speed times as fast as the
// real one. A speed that is not above 0 counts as 1.
func New(epoch time.Time, speed float64) Clock {
	if !(speed > 0) {
		speed = 1
	}
	return Clock{epoch: epoch, start: time.Now(), speed: speed}
}

// Now returns what the clock shows, in UTC. For the zero Clock it is
// time.Now().UTC(), which keeps its monotonic reading.
func (c Clock) Now() time.Time {
	if c.start.IsZero() {
		return time.Now().UTC()
	}
	return c.epoch.Add(time.Duration(float64(time.Since(c.start)) * c.speed)).UTC()
}

// Real returns how long d of this clock takes in real time.
func (c Clock) Real(d time.Duration) time.Duration {
	if c.start.IsZero() {
		return d
	}
	return time.Duration(float64(d) / c.speed)
}

// Sleep waits until d of this clock has passed or ctx has ended, in which case
// it returns the cause of that. A d that is not above 0 returns at once.
func (c Clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(c.Real(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
