package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// The export of another person of the household, imported into the wrong account,
// would be a mess to clear away. So before anything is written, plays that the
// account has are looked for in the export. An own export has nearly all of those
// between the first and the last row of one of its files; a stranger's has those that
// two people have happened to play at the same time. The export does say whose it is, but that is
// one of the things that are never read out of it.
const (
	strangerSample = 1_000            // plays of the account that are looked for
	strangerEnough = 20               // fewer of them in the time of the export prove nothing
	strangerShare  = 10               // an own export has one of so many at least
	strangerApart  = 10 * time.Minute // between two ends of one play, the minutes of the account data and paused plays included
)

// checkPerson is an error if the export is another person's than the plays that
// the account has.
func (i *importing) checkPerson(ctx context.Context) error {
	var begin time.Time // of the export
	for _, file := range i.balance.files {
		if !file.First.IsZero() && (begin.IsZero() || file.First.Before(begin)) {
			begin = file.First
		}
	}
	sample, err := i.journal.Sample(ctx, i.account, begin, strangerSample)
	if err != nil || len(sample) < strangerEnough {
		return err
	}
	byTitle := make(map[string][]int, len(sample)) // indexes into sample
	for n := range sample {
		title := journal.Fold(sample[n].Item.Name)
		byTitle[title] = append(byTitle[title], n)
	}
	found := make([]bool, len(sample))
	covered := make(map[int]journal.Covered) // by file, as far as the sample reaches
	from, until := sample[0].EndedAt.Add(-strangerApart), sample[len(sample)-1].EndedAt.Add(strangerApart)
	for row, err := range i.export.Rows(ctx) {
		if ctx.Err() != nil {
			return i.interrupted()
		}
		ended := row.Report.EndedAt
		if err != nil || row.Reason != "" || ended.Before(from) || ended.After(until) {
			continue // what is wrong is said when it is imported
		}
		span, known := covered[row.File]
		if !known || ended.Before(span.From) {
			span.From = ended
		}
		if ended.After(span.Until) {
			span.Until = ended
		}
		covered[row.File] = span
		for _, n := range byTitle[journal.Fold(row.Report.Item.Name)] {
			if sample[n].EndedAt.Sub(ended).Abs() <= strangerApart {
				found[n] = true
			}
		}
	}
	spans := slices.Collect(maps.Values(covered))
	looked, matched := 0, 0
	for n := range sample {
		ended := sample[n].EndedAt
		if slices.ContainsFunc(spans, func(s journal.Covered) bool { return !ended.Before(s.From) && !ended.After(s.Until) }) {
			looked++
			if found[n] {
				matched++
			}
		}
	}
	if looked >= strangerEnough && matched*strangerShare < looked {
		return fmt.Errorf("this looks like the history of another person than %[1]q: of %[2]d of the plays that %[1]q has in the time of this export, %[3]d are in it; "+
			"give --account NAME for the right one, or --force if it is this one all the same", i.account, looked, matched)
	}
	return nil
}
