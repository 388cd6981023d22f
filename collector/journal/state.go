package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// State is the journal in numbers.
type State struct {
	Plays          int64
	PendingPoints  int64 // entries of the outbox that are not sent yet, those not due included
	RejectedPoints int64
	OldestPending  time.Time            // when the oldest entry that is due was queued; zero: none is due
	SizeBytes      int64                // of the file and its log
	DiskFreeBytes  int64                // of the disk that it is on
	OpenGaps       map[string]int64     // by account, for all accounts
	LastListen     map[string]time.Time // end of the newest play that is not in the future, by account
}

// State counts.
func (j *Journal) State(ctx context.Context) (State, error) {
	s := State{OpenGaps: map[string]int64{}, LastListen: map[string]time.Time{}}
	err := j.read(ctx, func(tx *transaction) error {
		var oldest int64
		err := tx.get(`SELECT (SELECT count(*) FROM play), (SELECT count(*) FROM outbox) - (SELECT count(*) FROM outbox WHERE rejected <> ''),
			(SELECT count(*) FROM outbox WHERE rejected <> ''),
			coalesce((SELECT min(since) FROM (
				-- What is due at once is queued in the order of time.
				SELECT * FROM (SELECT created_ms AS since FROM outbox WHERE rejected = '' AND due_ms = 0 ORDER BY seq LIMIT 1)
				UNION ALL SELECT max(created_ms, due_ms) FROM outbox WHERE rejected = '' AND due_ms <> 0 AND due_ms <= ?)), 0)`, []any{j.now()}, []any{&s.Plays, &s.PendingPoints, &s.RejectedPoints, &oldest})
		if err != nil {
			return err
		}
		s.OldestPending = fromMilli(oldest)
		rows, err := tx.query(`SELECT alias, (SELECT count(*) FROM gap WHERE gap.account = account.id AND closed_ms = 0),
			coalesce((SELECT ended_ms FROM play WHERE play.account = account.id AND point_ns < ? ORDER BY point_ns DESC LIMIT 1), 0) FROM account`, (j.now()+aheadMS)*1_000_000)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var alias string
			var gaps, last int64
			if err := rows.Scan(&alias, &gaps, &last); err != nil {
				return err
			}
			s.OpenGaps[alias] = gaps
			if last != 0 {
				s.LastListen[alias] = fromMilli(last)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return State{}, fmt.Errorf("count: %w", explainSQLite(j.path, err))
	}
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(j.path + suffix); err == nil {
			s.SizeBytes += info.Size()
		}
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(j.path), &disk); err != nil {
		return State{}, fmt.Errorf("ask for free space: %w", err)
	}
	s.DiskFreeBytes = int64(disk.Bavail) * int64(disk.Bsize)
	return s, nil
}
