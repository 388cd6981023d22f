package prom

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range m.families.all {
		ch <- f.desc
	}
	m.spotifyDuration.Describe(ch)
	m.influxDuration.Describe(ch)
}

// Collect implements prometheus.Collector. The series are made anew at every
// scrape, so what is over (a track, an account) is gone with the next one.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	f := &m.families
	f.buildInfo.send(ch, 1, label(m.options.Version), label(m.options.Revision), runtime.Version())

	state := m.options.Collector()
	now := m.options.Now()
	for _, account := range state.Accounts {
		f.collectAccount(ch, account)
		if account.Playback != nil {
			f.collectPlayback(ch, label(account.Account), account.Playback, now, m.options.NowPlayingInfo)
		}
	}
	read := m.readJournal()
	if m.options.Journal != nil && m.options.Ready() {
		f.journalUp.sendBool(ch, read.err == nil)
	}
	if read.quota != nil {
		f.collectQuota(ch, read.quota)
	}
	if read.state != nil {
		f.collectJournal(ch, state.Accounts, read.state)
	}
	if m.options.JournalFiles != nil {
		if files := m.options.JournalFiles(); files != nil {
			f.collectJournalFiles(ch, files)
		}
	}
	if m.options.Influx != nil {
		f.collectInflux(ch, m.options.Influx())
	}
	if m.options.Alerting != nil {
		if up := m.options.Alerting(); up != nil {
			f.alertingUp.sendBool(ch, *up)
		}
	}
	if m.options.Snapshot != nil {
		f.collectSnapshot(ch, m.options.Snapshot())
	}
	m.spotifyDuration.Collect(ch)
	m.influxDuration.Collect(ch)
}

func (f *families) collectAccount(ch chan<- prometheus.Metric, account collector.AccountState) {
	alias := label(account.Account)
	if account.Up != nil {
		f.up.sendBool(ch, *account.Up, alias)
	}
	f.lastSuccess.sendTime(ch, account.LastSuccess, alias)
	f.lastListen.sendTime(ch, account.LastListen, alias)
	f.authorizationExpiry.sendTime(ch, account.AuthorizationExpiry, alias)
	f.nextPoll.sendTime(ch, account.NextPoll, alias)
	if account.NextReason != "" {
		f.nextReason.send(ch, 1, alias, string(account.NextReason))
	}

	f.polls.send(ch, float64(account.Polls), alias)
	for _, reason := range collector.Reasons() {
		f.pollFailures.send(ch, float64(account.Failures[reason]), alias, string(reason))
	}
	if reason := account.FailingFor(); reason != "" {
		f.pollFailing.send(ch, 1, alias, string(reason))
	}
	for _, witness := range journal.Witnesses {
		f.listensRecorded.send(ch, float64(account.Recorded[witness]), alias, witness.String())
	}
	f.unreadable.send(ch, float64(account.Unreadable), alias)
	f.listsStarts.sendBool(ch, account.ListsStarts, alias)
	f.gaps.send(ch, float64(account.Gaps), alias)
	if account.HeldRatio != nil {
		f.heldRatio.send(ch, *account.HeldRatio, alias, "journal")
	}
}

func (f *families) collectPlayback(ch chan<- prometheus.Metric, alias string, playback *collector.Playback, now time.Time, info bool) {
	f.playing.sendBool(ch, playback.Playing, alias)
	if playback.Volume != nil {
		f.volume.send(ch, *playback.Volume, alias)
	}
	if !playback.Playing && playback.Item == nil {
		return // nothing is loaded: there is no position and no shuffling
	}
	f.shuffle.sendBool(ch, playback.Shuffle, alias)
	if playback.Duration > 0 {
		f.progress.send(ch, progress(playback, now).Seconds(), alias)
		f.duration.send(ch, playback.Duration.Seconds(), alias)
	}
	if info && playback.Playing && playback.Item != nil {
		item := playback.Item
		f.nowPlaying.send(ch, 1, alias, label(item.Kind), label(item.Name), label(playback.Artists()),
			label(item.Album), label(item.ID), label(item.ImageURL))
	}
}

// progress is how far the item has come by now.
func progress(playback *collector.Playback, now time.Time) time.Duration {
	position := playback.Progress
	if playback.Playing && now.After(playback.At) {
		position += now.Sub(playback.At)
	}
	return max(0, min(position, playback.Duration))
}

func (f *families) collectQuota(ch chan<- prometheus.Metric, quota *collector.QuotaState) {
	f.rateLimitedUntil.sendTime(ch, quota.Until)
	f.budgetUsed.send(ch, float64(quota.Used))
	if quota.Limit > 0 {
		f.budgetLimit.send(ch, float64(quota.Limit))
	}
	f.quotaShared.sendBool(ch, quota.Shared)
}

func (f *families) collectJournal(ch chan<- prometheus.Metric, accounts []collector.AccountState, state *journal.State) {
	f.journalPlays.send(ch, float64(state.Plays))
	f.pending.send(ch, float64(state.PendingPoints))
	f.rejected.send(ch, float64(state.RejectedPoints))
	f.oldestPending.sendTime(ch, state.OldestPending)
	f.journalSize.send(ch, float64(state.SizeBytes))
	f.diskFree.send(ch, float64(state.DiskFreeBytes))
	for _, account := range accounts {
		f.openGaps.send(ch, float64(state.OpenGaps[account.Account]), label(account.Account))
	}
}

func (f *families) collectInflux(ch chan<- prometheus.Metric, state influx.State) {
	if state.Up != nil {
		f.influxUp.sendBool(ch, *state.Up)
		f.bucketWarning.sendBool(ch, state.BucketWarning != "")
	}
	f.influxLastSuccess.sendTime(ch, state.LastSuccess)
	f.written.send(ch, float64(state.PointsWritten))
	f.deleted.send(ch, float64(state.PointsDeleted))
	f.influxRejected.send(ch, float64(state.PointsRejected))
	f.retries.send(ch, float64(state.WriteRetries))
	for reason, failures := range state.WriteFailures {
		f.writeFailures.send(ch, float64(failures), string(reason))
	}
	for account, ratio := range state.HeldRatio {
		f.heldRatio.send(ch, ratio, label(account), "influx")
	}
}

func (f *families) collectSnapshot(ch chan<- prometheus.Metric, state grafana.State) {
	if published := state.Published; published != nil {
		f.snapshotLastSuccess.sendTime(ch, published.At)
		f.snapshotDuration.send(ch, published.Duration.Seconds())
		f.snapshotSize.send(ch, float64(published.Size))
		f.snapshotPanels.send(ch, float64(published.Panels))
	}
	for reason, failures := range state.Failures {
		f.snapshotFailures.send(ch, float64(failures), string(reason))
	}
}
