package main

// poller shows how the exporter fares: each account, what it asks of Spotify, what it has
// recorded, and what InfluxDB takes.
func poller() board {
	b := newBoard("spotify-poller", "Poller", "Whether everything is recorded, and if not, what to do.",
		timeRange{"now-24h", "now"}, prometheusVariable(), jobVariable(), followedVariable())
	b.Refresh = "1m"
	b.Annotations.List = append(b.Annotations.List, annotation{
		Name: "Starts", Datasource: promSource, Enable: true, IconColor: other, TitleFormat: "The exporter was started",
		Target: &target{RefID: "Anno", Datasource: promSource, Expr: "changes(" + ofJob("process_start_time_seconds") + "[$__rate_interval]) > 0", Range: true},
	})
	b.add(healthPanels()...)
	b.add(row("Requests to Spotify"))
	b.add(requestPanels()...)
	b.add(row("History"))
	b.add(historyPanels()...)
	b.add(row("InfluxDB"))
	b.add(influxPanels()...)
	b.add(row("Public snapshot"))
	b.add(snapshotPanels()...)
	b.add(row("Exporter"))
	b.add(exporterPanels()...)
	return b
}

const day = 86400 // s

// good, warn and bad are the colors of thresholds.
const (
	good = listened
	warn = average
	bad  = skipped
)

// causes are the colors of failures by what caused them, which are the same on all panels.
// None has the color of what is good.
var causes = []struct{ color, reasons string }{
	{skipped, "auth|client|unauthorized|forbidden|privacy"},
	{found, "premium|not_registered|not_found|board|too_old"},
	{average, "rate_limited|quota|repeated"},
	{other, "network|query"},
	{played, "server|check"},
	{before, "decode|journal|invalid|unprocessable|too_large|refused|data_dir"},
}

// byCause colors series whose names are causes, or end with them. Any other is red.
func (p panel) byCause() panel {
	p = p.colored(bad)
	for _, of := range causes {
		p = p.override(matcher{"byRegexp", "/(^|: )(" + of.reasons + ")$/"}, fixed(of.color))
	}
	return p
}

func healthPanels() []panel {
	reason := ofAccounts("spotify_poll_failing")
	coloredBy := func(base string, steps ...step) []property {
		return []property{{"thresholds", thresholds{"absolute", append([]step{{Color: base}}, steps...)}}, {"color", color{Mode: "thresholds"}}, cell(cellType{Type: "color-text"})}
	}
	column := func(title, unit string, colors ...property) []property {
		places := 0
		if unit == "s" { // 1.5 hours
			places = 1
		}
		return append([]property{name(title), inUnit(unit), decimals(places)}, colors...)
	}
	return []panel{
		stat("Scrapes", "Whether Prometheus gets an answer from the exporter."+onAlert("SpotifyExporterDown", "SpotifyExporterAbsent"), "lastNotNull", 4, 4).
			promNow(ofJob("up"), "{{instance}}").background().
			maps("0", "does not answer", "", "1", "runs", "").limits(bad, at(1, good)).missing("Not scraped"),
		stat("Accounts that fail", "Accounts whose last poll failed. The table beside says why."+
			onAlert("SpotifyAuthorizationLost", "SpotifyClientRefused", "SpotifyPollsFailing", "SpotifyPremiumLapsed", "SpotifyNotRegistered", "SpotifyHistoryAtRisk", "SpotifyJournalFailing"), "lastNotNull", 4, 4).
			promNow("sum(1 - "+perAccount(ofAccounts("spotify_up"))+")", "accounts").background().
			unit("locale", 0).limits(good, at(1, bad)).empty("Nobody is followed"),
		table("Accounts", "How each account fares. A login ends six months after it was made, whatever is done with it: log in again before."+
			onAlert("SpotifyAuthorizationLost", "SpotifyAuthorizationEnds", "SpotifyNobodyLoggedIn"), 16, 8).
			promRows(perAccount(ofAccounts("spotify_up"))).
			promRows("max by (account, reason) ("+reason+")").
			promRows(perAccount(since(ofAccounts("spotify_last_success_timestamp_seconds")))).
			promRows(perAccount(since(ofAccounts("spotify_last_listen_timestamp_seconds")))).
			promRows(perAccount(ofAccounts("spotify_next_poll_timestamp_seconds")+" - time()")).
			promRows(perAccount("("+ofAccounts("spotify_authorization_expiry_timestamp_seconds")+" - time()) / 86400")).
			promRows("sum by (account) (increase("+ofAccounts("spotify_polls_total")+"[$__range]))").
			promRows("sum by (account) (increase("+ofAccounts("spotify_poll_failures_total")+"[$__range]))").
			empty("Nobody is logged in").
			transform("merge", struct{}{}).
			columns("account", "Value #A", "reason", "Value #C", "Value #D", "Value #E", "Value #F", "Value #G", "Value #H").
			field("account", name("Account"), links(toListening)).
			field("Value #A", append(column("Last poll", "none", coloredBy(bad, at(1, good))...),
				mapTo(map[string]mapped{"0": {Text: "failed", Index: 0}, "1": {Text: "worked", Index: 1}}))...).
			field("reason", name("Why")).
			field("Value #C", column("Last success", "s", coloredBy(good, at(1800, warn), at(7200, bad))...)...).
			field("Value #D", column("Last play", "s")...).
			field("Value #E", column("Next poll in", "s")...).
			field("Value #F", column("Login ends in", "suffix:days", coloredBy(bad, at(1, warn), at(30, good))...)...).
			field("Value #G", column("Polls", "none")...).
			field("Value #H", column("Failed", "none")...),
		stat("Shortest login", "Until the first login ends, six months after it was made: log in again before."+onAlert("SpotifyAuthorizationEnds"), "lastNotNull", 4, 4).
			promNow("min("+ofAccounts("spotify_authorization_expiry_timestamp_seconds")+" - time()) / 86400", "days").
			unit("suffix:days", 0).limits(bad, at(1, warn), at(30, good)).empty("Nobody is logged in"),
		stat("50 of 50", "Share of the plays on Spotify's last page that are found in the stores, the least of all."+onAlert("SpotifyRecentPlaysMissing"), "lastNotNull", 4, 4).
			promNow("min("+ofAccounts("spotify_recent_plays_held_ratio")+")", "held").
			unit("percentunit", 0).limits(bad, at(1, good)).empty("Not known"),
		stat("Alerts are told", "Whether somebody would be told if plays were no longer recorded: Alertmanager answers, gets the Watchdog of the rules, and can deliver."+onAlert("Watchdog"), "lastNotNull", 4, 5).
			promNow("min("+ofJob("spotify_alerting_up")+")", "alerts").
			maps("0", "to nobody", "", "1", "yes", "").limits(bad, at(1, good)).empty("Not known"),
		stateTimeline("Alerts", "Alerts of the rules in deploy/prometheus that fired. Each has a section of its name in the [runbook]("+runbookURL+"watchdog).", 20, 5).
			prom(`max by (alertname, account) (ALERTS{alertname=~"Spotify.+", alertstate="firing"})`, "{{alertname}} {{account}}").
			maps("1", "fires", bad).empty("None has fired"),
		stateTimeline("Polls", "Whether polls worked, and for what reason they did not: auth, client, premium, not_registered, rate_limited, quota, network, server, decode, journal."+onAlert("SpotifyPollsFailing"), 24, 6).
			prom("max by (account, reason) ("+reason+")", "{{account}}: {{reason}}").
			prom(perAccount(ofAccounts("spotify_up")), "{{account}}").
			maps("0", "fails", warn, "1", "works", good).
			override(matcher{"byFrameRefID", "A"}, mapTo(map[string]mapped{"1": {Text: "fails", Color: bad}})).
			empty("Nobody is followed"),
	}
}

func requestPanels() []panel {
	used, limit := ofJob("spotify_request_budget_used"), ofJob("spotify_request_budget_limit")
	failures := ofAccounts("spotify_poll_failures_total")
	return []panel{
		gauge("Budget used", "Requests to the Web API in the last 24 hours against the budget (SPOTIFY_REQUEST_BUDGET). Near its end the exporter asks less often, and recently-played first; it never goes beyond."+
			onAlert("SpotifyQuotaExceeded"), 4, 7).
			promNow(used+" / "+limit, "{{instance}}").unit("percentunit", 0).bounds(0, 1).limits(good, at(0.9, warn), at(1, bad)).empty("No limit is set"),
		lines("Requests in 24 hours", "Requests to the Web API in the 24 hours before, all accounts together, and how many there may be. The limit falls after a lock-out.", 14, 7).
			prom(used, "made").prom(limit, "allowed").unit("locale", 0).from(0).
			field("made", fixed(played)).field("allowed", fixed(before)).empty("No requests"),
		stat("May ask again in", "How long Spotify has told the app to wait (Retry-After). Nothing is asked before, by any account. Hours mean that the quota of the developer account is used up."+
			onAlert("SpotifyRateLimited", "SpotifyQuotaExceeded"), "lastNotNull", 6, 4).
			promNow("clamp_min("+ofJob("spotify_rate_limited_until_timestamp_seconds")+" - time(), 0) or 0 * "+used, "{{instance}}").
			unit("s", 1).maps("0", "now", "").limits(good, at(1, warn), at(600, bad)).empty("Not known"),
		stat("Quota shared", "Whether another program seems to use the same Spotify developer account."+onAlert("SpotifyQuotaShared"), "lastNotNull", 6, 3).
			promNow(ofJob("spotify_quota_shared"), "{{instance}}").
			maps("0", "no", "", "1", "yes", "").limits(good, at(1, bad)).empty("Not known"),
		bars("Requests by answer", "Answered requests a minute, by route and status. 429 is told to wait, 5xx an error of Spotify.", 12, 8).
			prom("60 * ("+rateOf("spotify_api_request_duration_seconds", "endpoint, code")+")", "{{endpoint}} {{code}}").
			windows("5m").unit("reqpm", 1).stacked("normal").empty("No requests").
			override(matcher{"byRegexp", "/ 2\\d\\d$/"}, fixed(played)).
			override(matcher{"byRegexp", "/ [45]\\d\\d$/"}, fixed(bad)).
			override(matcher{"byRegexp", "/ 429$/"}, fixed(warn)),
		bars("Failed polls by cause", "Failed polls a minute. auth: log in again. client: compare the client id and secret with the app. premium, not_registered: see the app at developer.spotify.com. rate_limited, quota: wait. network: see this machine's way to the internet. server, decode: wait, or look for a newer release. journal: see the disk."+
			onAlert("SpotifyPollsFailing"), 12, 8).
			prom("60 * sum by (account, reason) (rate("+failures+"[$__rate_interval])) > 0", "{{account}}: {{reason}}").
			windows("5m").unit("suffix:/min", 1).stacked("normal").byCause().empty("None failed"),
		stateTimeline("What is asked next", "What each account's next request is for. idle: whether something plays. playing: whether it still does. item_end: what comes after. recently_played: Spotify's list of the last plays. budget: it is used up. failure: the last one failed.", 24, 6).
			prom("max by (account, reason) ("+ofAccounts("spotify_next_poll_reason")+")", "{{account}}: {{reason}}").
			maps("1", "next", played).empty("Nobody is followed"),
		lines("Spotify's answers take", "Time to the head of an answer of the Web API.", 24, 7).
			quantiles("spotify_api_request_duration_seconds").windows("5m").autoUnit("s").from(0).empty("No requests"),
	}
}

func historyPanels() []panel {
	return []panel{
		stat("Open gaps", "Holes in the history that may have lost plays: more than 50 plays passed without a poll. Import the extended history, or accept the gap."+onAlert("SpotifyHistoryGap"), "lastNotNull", 4, 4).
			promNow(perAccount(ofAccounts("spotify_history_open_gaps")), "{{account}}").
			unit("locale", 0).limits(good, at(1, bad)).empty("Not known"),
		stat("Journal holds", "Plays in the journal, all accounts together.", "lastNotNull", 4, 4).
			promNow(ofJob("spotify_journal_plays"), "{{instance}}").unit("locale", 0).empty("Not known"),
		bars("Plays recorded", "Plays that were recorded, an hour, by the witness that saw them first: playback while they played, recently_played afterwards, extended_history and account_data by an import.", 16, 8).
			prom("3600 * sum by (account, witness) (rate("+ofAccounts("spotify_listens_recorded_total")+"[$__rate_interval])) > 0", "{{account}}: {{witness}}").
			windows("1h").unit("suffix:/h", 0).stacked("normal").empty("None was recorded"),
		stat("Last play", "How long ago the newest play that is recorded ended."+onAlert("SpotifyLongSilence"), "lastNotNull", 8, 4).
			promNow(perAccount(since(ofAccounts("spotify_last_listen_timestamp_seconds"))), "{{account}}").
			unit("s", 1).limits(good, at(day, warn), at(3*day, bad)).empty("None yet"),
		lines("Recent plays held", "Share of the plays on Spotify's last page that a query finds in the journal and in InfluxDB.", 24, 6).
			prom("min by (account, store) ("+ofAccounts("spotify_recent_plays_held_ratio")+")", "{{account}}: {{store}}").
			autoUnit("percentunit").bounds(0, 1).empty("Not known"),
	}
}

func influxPanels() []panel {
	pending := ofJob("spotify_journal_pending_points")
	oldest := ofJob("spotify_journal_oldest_pending_timestamp_seconds")
	return []panel{
		stat("InfluxDB answers", "Whether InfluxDB answered the last request as it should. Nothing is lost while it does not: plays wait in the journal."+onAlert("SpotifyInfluxDown", "SpotifyInfluxRefuses"), "lastNotNull", 4, 4).
			promNow(ofJob("spotify_influx_up"), "{{instance}}").background().
			maps("0", "fails", "", "1", "works", "").limits(bad, at(1, good)).empty("Not configured"),
		stat("Oldest in the queue", "How long the oldest point waits to be written to InfluxDB."+onAlert("SpotifyInfluxBacklog"), "lastNotNull", 4, 4).
			promNow(since(oldest)+" or 0 * "+pending, "{{instance}}").
			unit("s", 1).maps("0", "none waits", "").limits(good, at(900, warn), at(3600, bad)).empty("Not known"),
		lines("Queue", "Points that wait to be written to InfluxDB or deleted from it.", 16, 8).
			prom("sum("+pending+")", "points").legend(noLegend).unit("locale", 0).from(0).empty("Not known"),
		stat("Refused points", "Points that InfluxDB refused for good. They stay in the journal and are missing in boards."+onAlert("SpotifyPointsRejected"), "lastNotNull", 4, 4).
			promNow(ofJob("spotify_journal_rejected_points"), "{{instance}}").
			unit("locale", 0).limits(good, at(1, bad)).empty("Not known"),
		stat("Bucket", "Whether the bucket's settings are right for a life of listening."+onAlert("SpotifyBucketSettings"), "lastNotNull", 4, 4).
			promNow(ofJob("spotify_influx_bucket_warning"), "{{instance}}").
			maps("0", "right", "", "1", "wrong", "").limits(good, at(1, bad)).empty("Not known"),
		bars("Points", "Points a minute that InfluxDB took, had deleted, or refused for good. One that is sent again counts again.", 12, 7).
			prom("60 * sum(rate("+ofJob("spotify_influx_points_written_total")+"[$__rate_interval]))", "written").
			prom("60 * sum(rate("+ofJob("spotify_influx_points_deleted_total")+"[$__rate_interval]))", "deleted").
			prom("60 * sum(rate("+ofJob("spotify_influx_points_rejected_total")+"[$__rate_interval]))", "refused").
			windows("5m").unit("suffix:/min", 0).stacked("normal").
			field("written", fixed(good)).field("deleted", fixed(before)).field("refused", fixed(bad)).empty("None"),
		bars("Failed requests by cause", "Requests a minute that InfluxDB did not take, and those that had to be repeated. network: is it there? unauthorized, forbidden, not_found: token, organization or bucket are wrong. invalid, unprocessable: points are refused."+
			onAlert("SpotifyInfluxDown", "SpotifyInfluxRefuses"), 12, 7).
			prom("60 * sum by (reason) (rate("+ofJob("spotify_influx_write_failures_total")+"[$__rate_interval])) > 0", "{{reason}}").
			prom("60 * sum(rate("+ofJob("spotify_influx_write_retries_total")+"[$__rate_interval])) > 0", "repeated").
			windows("5m").unit("suffix:/min", 1).stacked("normal").byCause().empty("None failed"),
		lines("InfluxDB's answers take", "Time to the head of an answer of InfluxDB.", 24, 7).
			quantiles("spotify_influx_request_duration_seconds").windows("5m").autoUnit("s").from(0).empty("No requests"),
	}
}

func snapshotPanels() []panel {
	return []panel{
		stat("Published", "How long ago the snapshot for the website was published. Visitors keep the old one for as long as no other works."+onAlert("SpotifySnapshotStale"), "lastNotNull", 6, 5).
			promNow(since(ofJob("spotify_snapshot_last_success_timestamp_seconds")), "{{instance}}").
			unit("s", 1).limits(good, at(day, warn), at(26*3600, bad)).empty("Never"),
		bars("Failed publishings by cause", "Publishings that failed, an hour. privacy: something private would have been published. network: is Grafana there? unauthorized, forbidden: its token. board, query, not_found: the board. too_old: Grafana lacks a security fix.", 12, 5).
			prom("3600 * sum by (reason) (rate("+ofJob("spotify_snapshot_failures_total")+"[$__rate_interval])) > 0", "{{reason}}").
			windows("1h").unit("suffix:/h", 1).stacked("normal").byCause().empty("None failed"),
		stat("Publishing took", "From reading the board to seeing it as a visitor does.", "lastNotNull", 6, 5).
			promNow(ofJob("spotify_snapshot_duration_seconds"), "{{instance}}").unit("s", 1).colored(other).empty("Never"),
	}
}

func exporterPanels() []panel {
	return []panel{
		table("Build", "What the running program was built from.", 8, 4).
			promRows("max by (instance, version, revision, goversion) ("+ofJob("spotify_exporter_build_info")+")").
			columns("instance", "version", "revision", "goversion").
			field("instance", name("Instance"), width(150)).field("version", name("Version")).field("revision", name("Commit"), wrap()).field("goversion", name("Go")).slim().
			empty("Not scraped"),
		stat("Started", "When the exporter was started.", "lastNotNull", 4, 4).
			promNow("1000 * "+ofJob("process_start_time_seconds"), "{{instance}}").unit("dateTimeFromNow", 0).colored(before).empty("Not scraped"),
		stat("Memory", "Memory that the exporter takes (resident set).", "lastNotNull", 6, 4).
			prom(ofJob("process_resident_memory_bytes"), "{{instance}}").unit("bytes", 0).colored(other).spark().empty("Not scraped"),
		stat("Journal", "Size of the journal's files. 20 years of listening take 100 MB or so.", "lastNotNull", 3, 4).
			promNow(ofJob("spotify_journal_size_bytes"), "{{instance}}").unit("bytes", 0).colored(other).empty("Not known"),
		stat("Disk left", "Space that is left on the journal's disk. On a full disk nothing is recorded."+onAlert("SpotifyDiskNearlyFull"), "lastNotNull", 3, 4).
			promNow(ofJob("spotify_journal_disk_free_bytes"), "{{instance}}").
			unit("bytes", 0).limits(bad, at(1e9, warn), at(5e9, good)).empty("Not known"),
	}
}
