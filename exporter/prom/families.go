package prom

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
)

// family is one metric name of the contract.
type family struct {
	desc      *prometheus.Desc
	valueType prometheus.ValueType
}

// send emits one series. Label values must be valid UTF-8: see label.
func (f family) send(ch chan<- prometheus.Metric, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(f.desc, f.valueType, value, labels...)
}

// sendTime emits a time in seconds since 1970, and nothing if it is not known:
// 0 would be a date, and `time() - 0` an alert.
func (f family) sendTime(ch chan<- prometheus.Metric, t time.Time, labels ...string) {
	if !t.IsZero() {
		f.send(ch, float64(t.UnixMilli())/1000, labels...)
	}
}

// sendBool emits 1 for true and 0 for false.
func (f family) sendBool(ch chan<- prometheus.Metric, value bool, labels ...string) {
	number := 0.0
	if value {
		number = 1
	}
	f.send(ch, number, labels...)
}

// families are the names of the contract, except for the histograms.
type families struct {
	all []family

	buildInfo family

	up, lastSuccess, lastListen, authorizationExpiry, nextPoll, nextReason           family
	polls, pollFailures, pollFailing                                                 family
	rateLimitedUntil, budgetUsed, budgetLimit, quotaShared                           family
	listensRecorded, unreadable, listsStarts, gaps, openGaps, heldRatio              family
	playing, progress, duration, volume, shuffle, nowPlaying                         family
	journalUp, journalPlays, pending, rejected, oldestPending, journalSize, diskFree family
	influxUp, influxLastSuccess, written, deleted, influxRejected, retries           family
	writeFailures, bucketWarning                                                     family

	journalInPlace, journalRescued, journalIntact family

	alertingUp family

	snapshotLastSuccess, snapshotDuration, snapshotSize, snapshotPanels, snapshotFailures family
}

func newFamilies() families {
	var f families
	add := func(valueType prometheus.ValueType) func(name, help string, labels ...string) family {
		return func(name, help string, labels ...string) family {
			added := family{prometheus.NewDesc(name, help, labels, nil), valueType}
			f.all = append(f.all, added)
			return added
		}
	}
	gauge, counter := add(prometheus.GaugeValue), add(prometheus.CounterValue)

	f.buildInfo = gauge("spotify_exporter_build_info",
		"Always 1. What the running program was built from.", "version", "revision", "goversion")

	f.up = gauge("spotify_up",
		"Whether the last poll of the account worked. Polls run on their own schedule, never because of a scrape.", "account")
	f.lastSuccess = gauge("spotify_last_success_timestamp_seconds",
		"When a poll of the account worked last.", "account")
	f.lastListen = gauge("spotify_last_listen_timestamp_seconds",
		"End of the account's newest play in the journal (Spotify's played_at), as of the last poll.", "account")
	f.authorizationExpiry = gauge("spotify_authorization_expiry_timestamp_seconds",
		"When Spotify ends the account's login, six months after it; log in again before.", "account")
	f.nextPoll = gauge("spotify_next_poll_timestamp_seconds",
		"When the account is polled next.", "account")
	f.nextReason = gauge("spotify_next_poll_reason",
		"Always 1. Why the account is polled next: idle, playing, item_end, recently_played, budget or failure.", "account", "reason")
	f.polls = counter("spotify_polls_total",
		"Polls of the account, whether they worked or not.", "account")
	f.pollFailures = counter("spotify_poll_failures_total",
		"Polls of the account that failed, by what was wrong.", "account", "reason")
	f.pollFailing = gauge("spotify_poll_failing",
		"Always 1. What is wrong with the account's polls now, waiting for the end of a Retry-After included; absent while they work.", "account", "reason")

	f.rateLimitedUntil = gauge("spotify_rate_limited_until_timestamp_seconds",
		"No request leaves before this time (Spotify's Retry-After); absent without such a deadline.")
	f.budgetUsed = gauge("spotify_request_budget_used",
		"Requests to the Web API in the last 24 hours, all accounts together.")
	f.budgetLimit = gauge("spotify_request_budget_limit",
		"Requests to the Web API that are allowed in 24 hours, all accounts together; absent without a limit.")
	f.quotaShared = gauge("spotify_quota_shared",
		"Whether another program seems to use the same Spotify developer account: Spotify's quota ran out far below the request budget.")

	f.listensRecorded = counter("spotify_listens_recorded_total",
		"Plays recorded since start, by the witness that was the first to report them.", "account", "witness")
	f.unreadable = counter("spotify_unreadable_rows_total",
		"Rows of Spotify's list of plays that could not be read since start, such as those without a track or a time, or with a time out of bounds: each counts once, and the others of its page are recorded.", "account")
	f.listsStarts = gauge("spotify_played_at_is_start",
		"Whether Spotify's list has the starts of plays in played_at, and not their ends, as five plays in a row have shown. Plays are derived accordingly.", "account")
	f.gaps = counter("spotify_history_gaps_total",
		"Holes in the account's history found since start: Spotify's last page of plays did not reach back to one that was held.", "account")
	f.openGaps = gauge("spotify_history_open_gaps",
		"Holes in the account's history that may have lost plays: neither covered by an import nor accepted.", "account")
	f.heldRatio = gauge("spotify_recent_plays_held_ratio",
		"Share of the plays on Spotify's last page of recently played items that a query after the commit finds in the store.", "account", "store")

	f.playing = gauge("spotify_playing",
		"Whether something plays (Spotify's is_playing), as of the last poll of the player; absent if that is not known.", "account")
	f.progress = gauge("spotify_playback_progress_seconds",
		"Position in the current item (Spotify's progress_ms), carried forward from the last poll of the player to the scrape while it plays, never beyond the duration.", "account")
	f.duration = gauge("spotify_playback_duration_seconds",
		"Length of the current item (Spotify's duration_ms), as of the last poll of the player.", "account")
	f.volume = gauge("spotify_playback_volume_ratio",
		"Volume of the active device from 0 to 1 (Spotify's volume_percent), as of the last poll of the player; absent if the device does not tell.", "account")
	f.shuffle = gauge("spotify_playback_shuffle",
		"Whether shuffle is on (Spotify's shuffle_state), as of the last poll of the player.", "account")
	f.nowPlaying = gauge("spotify_now_playing_info",
		"Always 1. What plays, as of the last poll of the player; absent while nothing does. artist holds all credited names, separated by semicolons. These labels are listening history in the monitoring store: NOW_PLAYING_INFO=false leaves them out.",
		"account", "kind", "track", "artist", "album", "track_id", "image_url")

	f.journalUp = gauge("spotify_journal_up",
		"Whether the journal answered this scrape in time; absent before it is open. If it did not, its other series and those of the request budget are absent.")
	f.journalPlays = gauge("spotify_journal_plays",
		"Plays in the journal, all accounts together.")
	f.pending = gauge("spotify_journal_pending_points",
		"Points that wait to be written to InfluxDB or deleted from it.")
	f.rejected = gauge("spotify_journal_rejected_points",
		"Points that InfluxDB refused for good; they stay in the journal.")
	f.oldestPending = gauge("spotify_journal_oldest_pending_timestamp_seconds",
		"Since when the oldest point that may be sent waits for it; absent if none does.")
	f.journalSize = gauge("spotify_journal_size_bytes",
		"Size of the journal's files.")
	f.diskFree = gauge("spotify_journal_disk_free_bytes",
		"Space that is left on the journal's disk.")

	f.journalInPlace = gauge("spotify_journal_in_place",
		"Whether the journal's files are those that the exporter has open. 0: they were removed or replaced, and what they held could not be written anywhere else yet.")
	f.journalRescued = gauge("spotify_journal_rescued",
		"Copies in DATA_DIR, and notes, of journals whose files were removed or replaced while they were in use; they wait for somebody to look at them.")
	f.journalIntact = gauge("spotify_journal_intact",
		"Whether the journal was sound when it was last read as a whole, which is at the start and daily; absent before.")

	f.influxUp = gauge("spotify_influx_up",
		"Whether InfluxDB answered the last request as it should; absent before the first one. With nothing to write, it is asked every minute.")
	f.influxLastSuccess = gauge("spotify_influx_last_success_timestamp_seconds",
		"When InfluxDB took a write, an empty one too, or a delete last.")
	f.written = counter("spotify_influx_points_written_total",
		"Points that InfluxDB took; one that is sent again counts again.")
	f.deleted = counter("spotify_influx_points_deleted_total",
		"Points deleted from InfluxDB, because their play has moved or is gone.")
	f.influxRejected = counter("spotify_influx_points_rejected_total",
		"Points that InfluxDB refused for good.")
	f.retries = counter("spotify_influx_write_retries_total",
		"Requests to InfluxDB that had to be repeated.")
	f.writeFailures = counter("spotify_influx_write_failures_total",
		"Requests to InfluxDB that it did not take, by why.", "reason")
	f.bucketWarning = gauge("spotify_influx_bucket_warning",
		"Whether the bucket's settings are wrong for a life of listening: it forgets points, or keeps them in short shard groups. What to do is on the status page.")

	f.alertingUp = gauge("spotify_alerting_up",
		"Whether somebody would be told of a failure: Alertmanager answers, gets the Watchdog of the rules, and can deliver. If not, the status page says what to do.")

	f.snapshotLastSuccess = gauge("spotify_snapshot_last_success_timestamp_seconds",
		"When the public snapshot was published last; absent if it never was.")
	f.snapshotDuration = gauge("spotify_snapshot_duration_seconds",
		"How long the last publishing of the snapshot took, from reading the board to seeing it as a visitor.")
	f.snapshotSize = gauge("spotify_snapshot_size_bytes",
		"Size of the snapshot that was published last.")
	f.snapshotPanels = gauge("spotify_snapshot_panels",
		"Panels with data in the snapshot that was published last.")
	f.snapshotFailures = counter("spotify_snapshot_failures_total",
		"Times that the snapshot could not be published, by why. Visitors keep the old one.", "reason")
	return f
}

// maxLabelBytes bounds label values that others decide: an episode's title may
// be as long as its maker likes.
const maxLabelBytes = 128

// label makes a label value of what others say. Prometheus insists on UTF-8.
func label(value string) string { return clean.Short(value, maxLabelBytes) }

// code is an answer's status as label value.
func code(response *http.Response) string { return strconv.Itoa(response.StatusCode) }
