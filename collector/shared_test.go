//go:build shared

package collector_test

import "testing"

// What is not part of the repository: recorded answers, and a real listening history of
// 2013 to 2024.
const (
	recordedAnswers = "../../shared/data/api/"
	historyA        = "../../shared/data/extended/history_a_2013-2024_oldkeys.my_spotify_data.zip"
)

func TestSharedPages(t *testing.T) {
	areRecorded(t, answers(t, recordedAnswers+"recently_played_*.json"))
}

func TestSharedTruncatedAnswers(t *testing.T) {
	players := answers(t, recordedAnswers+"*player_*.json")
	delete(players, "player_available_devices.json") // of another endpoint
	areCut(t, answers(t, recordedAnswers+"recently_played_*.json"), players)
}

func TestSharedPagesBecomePoints(t *testing.T) {
	for name, plays := range map[string]int{
		"recently_played_2026-02-25_limit48.json": 48,
		"recently_played_2024-10-06_limit20.json": 20,
		"recently_played_2017-05-27_limit20.json": 20,
	} {
		becomesPoints(t, name, answers(t, recordedAnswers+name)[name], plays)
	}
}

func TestSharedDaysBecomePoints(t *testing.T) {
	daysBecomePoints(t, realDays(t, historyA, window{700, 20}))
}

func TestSharedTruth(t *testing.T) {
	for _, w := range windows(t) {
		holdDays(t, realDays(t, historyA, w), w.days)
	}
}
