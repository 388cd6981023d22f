//go:build shared

package grafana_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// berlins is the export of the listener in Berlin: a real one, which is not part of the
// repository.
func berlins(testing.TB) string {
	return "../../shared/data/extended/history_a_2013-2024_oldkeys.my_spotify_data.zip"
}

// TestSharedHistory looks at a real listening history on every board.
func TestSharedHistory(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"listening": TestListening, "answers": TestEveryQueryAnswersItsPanel, "brief ranges": TestBriefRanges, "all time": TestAllTime, "artist": TestArtist, "year": TestYear,
		"now": TestNow, "public": TestPublic, "published": TestPublicBoard, "published until": TestPublicBoardEnds,
	} {
		t.Run(name, test)
	}
}

// TestSharedPage compares the keys with those of what Grafana's page posted for a snapshot
// of another board.
func TestSharedPage(t *testing.T) {
	content, err := os.ReadFile("../../shared/data/grafana/ui-snapshot-body.json")
	if err != nil {
		t.Fatal(err)
	}
	var captured map[string]any
	if err := json.Unmarshal(content, &captured); err != nil {
		t.Fatal(err)
	}
	for part, keys := range keysByPart(captured) {
		if got := strings.Join(slices.Sorted(maps.Keys(keys)), " "); got != pageKeys[part] {
			t.Errorf("%s: the page posts %s", part, got)
		}
	}
}
