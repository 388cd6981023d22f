package main

import "fmt"

// now shows what plays, as the player was seen last.
func now() board {
	b := newBoard("spotify-now", "Now playing", "What plays, and what was heard today. As new as the exporter's last look at the player.",
		timeRange{"now-24h", "now"}, prometheusVariable(), jobVariable(), influxVariable(), bucketVariable(), followedVariable(), zoneVariable())
	b.Refresh = "10s"

	info := ofAccounts("spotify_now_playing_info")
	progress := ofAccounts("spotify_playback_progress_seconds")
	duration := ofAccounts("spotify_playback_duration_seconds")
	b.add(
		table("Playing", "What plays, as of the last look at the player, and how far it has come. Click a title to open it in Spotify, artists for all that was heard of the first one.", 16, 8).
			promRows(withFirst(withPage(info+" * on (account, instance, job) group_left () ("+progress+" / "+duration+") or on (account, instance, job) 0 * "+info))).
			empty("Nothing plays").slim().cells("lg").
			columns("image_url", "track", "artist", "Value", "album", "account", "first", "page", "track_id").
			field("image_url", append(cover(), width(60))...).
			field("track", name("Title"), wrap(), links(openInSpotify)).
			field("artist", name("Artists"), wrap(), links(toArtist("first"))).
			field("first", hide()...).
			field("album", name("Album"), wrap()).
			field("Value", append([]property{name("Progress"), inUnit("percentunit"), decimals(0), {"max", 1}}, bar(listened)...)...).
			field("account", name("Account"), width(110), links(toListening)).
			field("page", hide()...).
			field("track_id", hide()...),
		stat("Today", "Time listened since midnight where the listener lives (${zone}). A play counts once it is over and Spotify's list has it, a quarter of an hour later at most.", "sum", 4, 4).
			flux(`today(field: "ms_played") |> map(fn: (r) => ({account: r.account, hours: float(v: r._value) / 3600000.0}))`).rows("/^hours$/").
			unit(hours, 1).empty("Nothing yet"),
		stat("Plays today", "Plays since midnight where the listener lives (${zone}) that were long enough to count.", "sum", 4, 4).
			flux(`today(field: "plays") |> map(fn: (r) => ({account: r.account, plays: r._value}))`).rows("/^plays$/").
			unit("locale", 0).colored(played).empty("None yet"),
		stat("Player", "Whether something plays. Nothing is shown for an account whose player could not be looked at.", "lastNotNull", 4, 4).
			promNow(perAccount(ofAccounts("spotify_playing")), "{{account}}").
			maps("0", "silent", before, "1", "plays", listened).empty("Not known"),
		stat("Volume", "Volume of the device that plays, if it tells.", "lastNotNull", 4, 4).
			promNow(perAccount(ofAccounts("spotify_playback_volume_ratio")), "{{account}}").
			unit("percentunit", 0).bounds(0, 1).colored(other).empty("Not known"),
		stat("Position", "How far what plays, or is paused, has come.", "lastNotNull", 4, 4).
			promNow(perAccount(progress), "{{account}}").unit("dthms", 0).empty("Nothing plays"),
		stat("Left", "How long what plays, or is paused, goes on.", "lastNotNull", 4, 4).
			promNow(perAccount(duration+" - "+progress), "{{account}}").unit("dthms", 0).colored(other).empty("Nothing plays"),
		stat("Shuffle", "Whether shuffle is on.", "lastNotNull", 4, 4).
			promNow(perAccount(ofAccounts("spotify_playback_shuffle")), "{{account}}").
			maps("0", "off", before, "1", "on", found).empty("Nothing plays"),
		stat("Last look", "How long ago the exporter asked Spotify with success. It looks more often while something plays. If it does not look at all, see the board Poller.", "lastNotNull", 4, 4).
			promNow(perAccount(since(ofAccounts("spotify_last_success_timestamp_seconds"))), "{{account}}").unit("s", 0).colored(before).empty("Never").
			links(link{Title: "Poller", URL: "/d/spotify-poller?${__url_time_range}&${account:queryparam}"}),
		stat("Next look", "When the exporter asks Spotify again.", "lastNotNull", 4, 4).
			promNow(perAccount("clamp_min("+ofAccounts("spotify_next_poll_timestamp_seconds")+" - time(), 0)"), "{{account}}").unit("s", 0).colored(before).empty("Not known"),
		stat("Last play", "When the newest play that is recorded ended.", "lastNotNull", 4, 4).
			promNow(perAccount("1000 * "+ofAccounts("spotify_last_listen_timestamp_seconds")), "{{account}}").unit("dateTimeFromNow", 0).colored(before).empty("None yet"),
		stateTimeline("When something played", "When the player was seen to play.", 24, 5).
			prom(perAccount(ofAccounts("spotify_playing")), "{{account}}").
			maps("0", "silent", before, "1", "plays", listened).empty("Nobody was looked at"),
		table("Just heard", "The plays that were recorded last. Click a title to open it in Spotify, an artist for all that was heard of them.", 24, 14).
			flux(`heard(fields: `+anyOf("image_url", "track", "artist", "album", "ms_played", "skipped", "device", "kind", "track_id")+`)
    |> pivot(rowKey: ["_time", "account"], columnKey: ["_field"], valueColumn: "_value")
    |> group()
    |> sort(columns: ["_time"], desc: true)
    |> limit(n: 10)
    |> map(fn: (r) => ({r with page: pageOf(kind: r.kind)}))
    |> keep(columns: ["_time", "image_url", "track", "artist", "album", "ms_played", "skipped", "device", "account", "page", "track_id"])`).
			cells("md").
			columns("_time", "image_url", "track", "artist", "album", "ms_played", "skipped", "device", "account", "page", "track_id").
			field("_time", name("Ended"), inUnit("dateTimeFromNow"), width(150)).
			field("image_url", cover()...).
			field("track", name("Title"), wrap(), links(openInSpotify)).
			field("artist", name("Artist"), wrap(), links(link{
				Title: "All about ${__value.text}", URL: "/d/spotify-artist?var-account=${__data.fields.account:percentencode}&var-artist=${__data.fields.artist:percentencode}",
			})).
			field("album", name("Album"), wrap()).
			field("ms_played", name("Listened"), inUnit("ms"), decimals(1), width(90)).
			field("skipped", name("Skipped"), width(90), mapTo(map[string]mapped{"true": {Text: "skipped", Color: skipped, Index: 0}, "false": {Text: " ", Index: 1}})).
			field("device", name("Device"), width(140)).
			field("account", name("Account"), width(110), links(toListening)).
			field("page", hide()...).
			field("track_id", hide()...),
	)
	return b
}

// firstName finds the first of the names that semicolons separate, as Prometheus searches: from
// the first letter to the last.
const firstName = "(.*?)(; .*)?"

// withFirst adds the label first, the first of the names in the label artist.
func withFirst(expr string) string {
	return fmt.Sprintf(`label_replace(%s, "first", "$1", "artist", %q)`, expr, firstName)
}

// withPage adds the label page, as pageOf of flux/listening.flux.
func withPage(expr string) string {
	for _, of := range []struct{ kinds, page string }{{"track", "track"}, {"local", "search"}, {"episode|chapter", "episode"}} {
		expr = fmt.Sprintf(`label_replace(%s, "page", %q, "kind", %q)`, expr, of.page, of.kinds)
	}
	return expr
}
