package journal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// apart splits reports into groups that are far enough from each other to be
// looked at one by one: an item that was played for ten years must not make us
// read ten years.
func apart(reports []*reportRow) [][]*reportRow {
	slices.SortFunc(reports, compareReports)
	var groups [][]*reportRow
	var until int64
	begin := 0
	for i, r := range reports {
		from, end := r.reach()
		if i > begin && from-until > 24*3_600_000 {
			groups = append(groups, reports[begin:i:i])
			begin, until = i, end
		}
		if i == begin {
			until = end
		}
		until = max(until, end)
	}
	if len(reports) > 0 {
		groups = append(groups, reports[begin:])
	}
	return groups
}

// reports reads reports and their items. Whoever looks for something else than a
// time must not name the account: SQLite would read all of it.
func (r *recording) reports(where string, values ...any) ([]*reportRow, error) {
	rows, err := r.tx.query("SELECT "+reportColumns+" FROM report WHERE "+where, values...)
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	reports, err := scanReports(rows, r.catalogue)
	if err != nil {
		return nil, err
	}
	return reports, r.catalogue.loadItems()
}

// around reads all reports that may be in one chain with the touched ones, which
// may be new or gone, under the titles that these have or had. A chain may lead
// from report to report further and further away; it is followed until nothing
// more turns up.
func (r *recording) around(touched []*reportRow) ([]*reportRow, error) {
	reach, titles := reachOf(touched), map[string]bool{}
	byDigest := map[[16]byte]*reportRow{}
	var stored []int64
	for _, t := range touched {
		for _, title := range r.catalogue.titles(t.item) {
			titles[title] = true
		}
		if t.id == 0 {
			byDigest[t.digest] = t
		} else {
			stored = append(stored, t.id) // and may have come to another play since it was read
		}
	}
	if len(stored) > 0 {
		found, err := r.reports("id "+inList, list(stored))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			byDigest[f.digest] = f
		}
	}
	look := func(bounds func(margin int64) (from, until int64)) error {
		for _, sort := range []struct {
			condition string
			margin    int64
		}{{"", vagueMS + slackMS}, {"vague = 1 AND ", farMS}} {
			from, until := bounds(sort.margin)
			found, err := r.reports("account = ? AND "+sort.condition+"ended_ms BETWEEN ? AND ?", r.account, from, until)
			if err != nil {
				return err
			}
			for _, f := range found {
				if byDigest[f.digest] == nil {
					byDigest[f.digest] = f
				}
			}
		}
		return nil
	}
	read := reach
	if err := look(func(margin int64) (int64, int64) { return read.from - margin, read.until + margin }); err != nil {
		return nil, err
	}
	for {
		for _, f := range byDigest {
			if from, until := f.reach(); titles[f.item.titleKey] && until >= reach.from && from <= reach.until {
				reach = span{min(reach.from, from), max(reach.until, until)}
			}
		}
		if reach == read {
			break
		}
		if reach.from < read.from {
			if err := look(func(margin int64) (int64, int64) { return reach.from - margin, read.from - margin }); err != nil {
				return nil, err
			}
		}
		if reach.until > read.until {
			if err := look(func(margin int64) (int64, int64) { return read.until + margin, reach.until + margin }); err != nil {
				return nil, err
			}
		}
		read = reach
	}
	return slices.SortedFunc(maps.Values(byDigest), compareReports), nil
}

// chains splits reports, which are in order, into those of one title whose times
// touch.
func chains(reports []*reportRow) [][]*reportRow {
	byTitle := map[string][]*reportRow{}
	for _, r := range reports {
		byTitle[r.item.titleKey] = append(byTitle[r.item.titleKey], r)
	}
	var all [][]*reportRow
	for _, title := range slices.Sorted(maps.Keys(byTitle)) {
		group := byTitle[title]
		slices.SortFunc(group, func(a, b *reportRow) int {
			aFrom, _ := a.reach()
			bFrom, _ := b.reach()
			return cmp.Or(cmp.Compare(aFrom, bFrom), compareReports(a, b))
		})
		var until int64
		begin := 0
		for i, r := range group {
			from, end := r.reach()
			if i > begin && from > until {
				all = append(all, group[begin:i])
				begin = i
			}
			until = max(until, end)
			if i == begin {
				until = end
			}
		}
		all = append(all, group[begin:])
	}
	return all
}

// deriveAround derives the chains that the touched reports are in.
func (r *recording) deriveAround(touched []*reportRow) error {
	reports, err := r.around(touched)
	if err != nil {
		return err
	}
	stale, stirred := r.affected(touched, chains(reports))
	d := derivation{recording: r, stale: stale}
	for _, chain := range stirred {
		d.clusters = append(d.clusters, merge(chain)...)
	}
	return d.apply()
}

// affected returns the plays that have to be derived anew, and the chains which
// their reports are in. Those are the chains around the touched reports, under the
// titles that these have or had: whoever leaves a chain makes room in it.
func (r *recording) affected(touched []*reportRow, waiting [][]*reportRow) (stale map[int64]bool, chains [][]*reportRow) {
	stirred := map[string][]span{} // by title
	stale = map[int64]bool{}
	for _, t := range touched {
		stale[t.play] = true
		from, until := t.reach()
		for _, title := range r.catalogue.titles(t.item) {
			stirred[title] = append(stirred[title], span{from, until})
		}
	}
	stale[0] = false // of new reports
	for again := true; again; {
		again = false
		waiting = slices.DeleteFunc(waiting, func(chain []*reportRow) bool {
			reach := reachOf(chain)
			touches := func(s span) bool { return s.until >= reach.from && s.from <= reach.until }
			if !slices.ContainsFunc(stirred[chain[0].item.titleKey], touches) &&
				!slices.ContainsFunc(chain, func(x *reportRow) bool { return stale[x.play] }) {
				return false
			}
			for _, x := range chain {
				if x.play != 0 && !stale[x.play] {
					stale[x.play] = true
					again = true // its other reports may be in another chain
				}
			}
			chains = append(chains, chain)
			return true
		})
	}
	delete(stale, 0)
	return stale, chains
}
