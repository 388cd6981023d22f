package journal_test

import (
	"slices"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// A right export mends the names of one that has lost letters, in either order, in one
// import or two, and the play stays one.
func TestARightExportMendsNames(t *testing.T) {
	right := other(song(1), func(i *journal.Item) { i.Name, i.Album = "Straße nach Ñandú", "Début" })
	lost := other(song(1), func(i *journal.Item) { i.Name, i.Album = "Stra\ufffde nach \ufffdand\ufffd", "D\ufffdbut" })
	for name, reports := range map[string][2]journal.Report{
		"of the extended history":                  {inHistory(lost, noon, 180_000), inHistory(right, noon, 180_000)},
		"of the extended history, without the uri": {inHistory(other(lost, func(i *journal.Item) { i.URI = "" }), noon, 180_000), inHistory(right, noon, 180_000)},
		"of the account data":                      {inAccountData(lost, noon, 180_000), inHistory(right, noon, 180_000)},
	} {
		for _, reversed := range []bool{false, true} {
			for _, together := range []bool{false, true} {
				j, influx := open(t, journal.Options{}), newDatabase()
				order := reports[:]
				if reversed {
					order = []journal.Report{reports[1], reports[0]}
				}
				if together {
					record(t, j, order...)
				} else {
					record(t, j, order[0])
					influx.drain(t, j, 100)
					record(t, j, order[1])
				}
				influx.drain(t, j, 100)
				all := plays(t, j)
				if len(all) != 1 || all[0].Item.Name != right.Name || all[0].Item.Album != right.Album || all[0].Item.URI != right.URI {
					t.Errorf("%s, reversed %v, together %v: got %+v", name, reversed, together, all)
					continue
				}
				if len(influx.points) != 1 || influx.points[place(all[0])] != describe(all[0]) {
					t.Errorf("%s, reversed %v, together %v: in InfluxDB is %v", name, reversed, together, influx.points)
				}
			}
		}
	}
}

// What an import mends is told, once.
func TestMendedReportsAreUpgraded(t *testing.T) {
	j := open(t, journal.Options{})
	right := inHistory(other(song(1), func(i *journal.Item) { i.Name = "Café" }), noon, 180_000)
	lost := inHistory(other(song(1), func(i *journal.Item) { i.Name = "Caf\ufffd" }), noon, 180_000)
	var outcomes []journal.Outcome
	for _, r := range []journal.Report{lost, lost, right, right, lost} {
		batch, err := j.StartBatch(t.Context(), "me", "a.zip")
		if err != nil {
			t.Fatal(err)
		}
		recorded, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: []journal.Report{r}, Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, recorded.Outcomes...)
	}
	if want := []journal.Outcome{journal.New, journal.Known, journal.Upgraded, journal.Known, journal.Known}; !slices.Equal(outcomes, want) {
		t.Errorf("got %v, want %v", outcomes, want)
	}
}
