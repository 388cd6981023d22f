package journal

import (
	"encoding/json"
	"fmt"
	"time"
)

// A report whose end cannot be is kept, and is no play: the import of an export leaves
// such rows out as well (bad_time). As a play it would be the first or the last one for
// ever, and InfluxDB takes no point of some of these times.

var earliestEnd = time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC) // the company was founded then

// aheadAtMost is how far ahead of our clock a play may have ended: devices' clocks, and
// ours, are off.
const aheadAtMost = 24 * time.Hour

// refuse keeps the reports with an end that cannot be, and returns the others and
// which of all they are. If all of a page are ahead of us it is our clock that is
// wrong, and none is refused.
func (r *recording) refuse(w *Witnessed) (reports []Report, indexes []int, err error) {
	now := fromMilli(r.journal.now())
	earliest, latest := earliestEnd, now.Add(aheadAtMost)
	if before := now.AddDate(-20, 0, 0); before.Before(earliest) { // by a clock that is wrong, or of a test
		earliest = before
	}
	ahead := 0
	var refused []*Report
	for i := range w.Reports {
		switch ended := w.Reports[i].EndedAt; {
		case ended.After(latest):
			ahead++
			refused = append(refused, &w.Reports[i])
		case ended.Before(earliest):
			refused = append(refused, &w.Reports[i])
		default:
			reports, indexes = append(reports, w.Reports[i]), append(indexes, i)
		}
	}
	if len(refused) == 0 || w.Page != nil && ahead == len(w.Reports) {
		indexes = indexes[:0]
		for i := range w.Reports {
			indexes = append(indexes, i)
		}
		return w.Reports, indexes, nil
	}
	for _, report := range refused {
		content, err := json.Marshal(report)
		if err != nil {
			return nil, nil, fmt.Errorf("keep a report: %w", err)
		}
		digest := report.identity()
		_, err = r.tx.exec("INSERT OR IGNORE INTO refused (account, digest, witness, ended_ms, seen_ms, content) VALUES (?, ?, ?, ?, ?, ?)",
			r.account, digest[:], report.Witness, unixMilli(report.EndedAt), r.journal.now(), string(content))
		if err != nil {
			return nil, nil, fmt.Errorf("keep a report: %w", err)
		}
	}
	return reports, indexes, nil
}
