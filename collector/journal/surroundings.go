package journal

import (
	"cmp"
	"database/sql"
	"fmt"
	"maps"
	"slices"
)

// apart splits reports into groups that are looked at one by one, each with all
// that lies between its first and its last: where that is little, as in an import
// of years that nobody has recorded, few groups cost least; where it is much, as
// around the plays of one item, it must not be read.
func (r *recording) apart(reports []*reportRow) ([][]*reportRow, error) {
	slices.SortFunc(reports, compareReports)
	var groups [][]*reportRow
	for _, group := range split(reports, 7*24*3_600_000) {
		var held int
		reach, most := reachOf(group), 2*len(group)
		err := r.tx.get("SELECT count(*) FROM (SELECT 1 FROM report WHERE account = ? AND ended_ms BETWEEN ? AND ? LIMIT ?)",
			[]any{r.account, reach.from, reach.until, most}, []any{&held})
		if err != nil {
			return nil, fmt.Errorf("read reports: %w", err)
		}
		if held < most {
			groups = append(groups, group)
		} else {
			groups = append(groups, split(group, 6*3_600_000)...)
		}
	}
	return groups, nil
}

// split splits reports, which are in order, where nothing reaches for so many ms.
func split(reports []*reportRow, gapMS int64) [][]*reportRow {
	var groups [][]*reportRow
	var until int64
	begin := 0
	for i, r := range reports {
		reach := r.reach()
		if i > begin && reach.from-until > gapMS {
			groups = append(groups, reports[begin:i:i])
			begin = i
		}
		if i == begin {
			until = reach.until
		}
		until = max(until, reach.until)
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
	if err := r.catalogue.loadItems(); err != nil {
		return nil, err
	}
	for _, row := range reports {
		r.interpret(row)
	}
	return reports, nil
}

// around reads all reports that may be in one chain with the touched ones, which
// may be new or gone, under the titles that these have or had. A chain may lead
// from report to report further and further away; it is followed until nothing
// more turns up.
func (r *recording) around(touched []*reportRow) ([]*reportRow, error) {
	s := surroundings{recording: r, reports: map[[16]byte]*reportRow{}, chains: map[string]span{}, read: map[string]span{}}
	var stored []int64
	var near []*reportRow
	for _, t := range touched {
		for _, title := range r.titles(t) {
			s.follow(title, t)
		}
		if t.id == 0 {
			s.reports[t.digest] = t
		} else {
			stored = append(stored, t.id) // and may have come to another play since it was read
		}
		if !t.vague() {
			near = append(near, t)
		}
	}
	if len(stored) > 0 {
		found, err := r.reports("id "+inList, list(stored))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			s.reports[f.digest] = f
		}
	}
	if len(near) > 0 {
		reach := reachOf(near)
		if err := s.look(precise, reach, nil); err != nil {
			return nil, err
		}
		// Of the two months around there may be more of others than of those few.
		var titles []string
		if len(s.chains) <= fewTitles {
			titles = slices.Collect(maps.Keys(s.chains))
		}
		if err := s.look(vague, reach, titles); err != nil {
			return nil, err
		}
		for title := range s.chains {
			s.read[title] = reach
		}
	}
	for {
		s.followAll()
		// Few chains lead far, so what is not theirs is left out there: between an old
		// play and its upload a month of others may lie.
		var far []string
		var reach span
		for title, chain := range s.chains {
			if read, ok := s.read[title]; ok && read.has(chain) {
				continue
			}
			if len(far) == 0 {
				reach = chain
			}
			reach = reach.and(chain)
			far = append(far, title)
		}
		if len(far) == 0 {
			break
		}
		// A track on repeat makes a chain of thousands: each time twice as far.
		reach = span{reach.from - (reach.until-reach.from)/2, reach.until + (reach.until-reach.from)/2}
		for _, certainty := range []certainty{precise, vague} {
			if err := s.look(certainty, reach, far); err != nil {
				return nil, err
			}
		}
		for _, title := range far {
			s.read[title] = reach
		}
	}
	return slices.SortedFunc(maps.Values(s.reports), compareReports), nil
}

// surroundings are the reports that were found around others.
type surroundings struct {
	*recording
	reports map[[16]byte]*reportRow
	chains  map[string]span // by title, how far its reports reach
	read    map[string]span // by title, in which time all of it have been read
}

// follow makes the chain of a title as wide as a report of it.
func (s *surroundings) follow(title string, report *reportRow) {
	reach := report.reach()
	if chain, ok := s.chains[title]; ok {
		reach = reach.and(chain)
	}
	s.chains[title] = reach
}

// followAll makes the chains as wide as the reports that touch them.
func (s *surroundings) followAll() {
	byTitle := map[string][]span{}
	for _, f := range s.reports {
		if _, ok := s.chains[f.item.class]; ok {
			byTitle[f.item.class] = append(byTitle[f.item.class], f.reach())
		}
	}
	for title, spans := range byTitle {
		slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
		chain := s.chains[title]
		// What overlaps is one span already: at most one pass to either side.
		joined := spans[:1]
		for _, span := range spans[1:] {
			if last := &joined[len(joined)-1]; last.touches(span) {
				*last = last.and(span)
			} else {
				joined = append(joined, span)
			}
		}
		for _, span := range joined {
			if chain.touches(span) {
				chain = chain.and(span)
			}
		}
		for _, span := range slices.Backward(joined) {
			if chain.touches(span) {
				chain = chain.and(span)
			}
		}
		s.chains[title] = chain
	}
}

// certainty is how well the ends of reports are known that are looked for together.
type certainty struct {
	condition string
	marginMS  int64 // how far outside of their reach the ends may lie
}

var (
	precise = certainty{"", vagueMS + slackMS}
	vague   = certainty{"vague = 1 AND ", farMS + slackMS}
)

// fewTitles is up to how many titles it costs less to leave out the others.
const fewTitles = 50

// look reads the reports that may reach into a time, of the titles or, if they are
// nil, of all.
func (s *surroundings) look(certainty certainty, reach span, titles []string) error {
	where, values := "account = ? AND "+certainty.condition, []any{s.account}
	if titles != nil {
		// With the plus SQLite goes through that time, not through all plays of the items.
		where += "+item IN (SELECT id FROM item WHERE title_key " + inList + ") AND "
		values = append(values, list(titles))
	}
	found, err := s.recording.reports(where+"ended_ms BETWEEN ? AND ?", append(values, reach.from-certainty.marginMS, reach.until+certainty.marginMS)...)
	if err != nil {
		return err
	}
	for _, f := range found {
		if s.reports[f.digest] == nil {
			s.reports[f.digest] = f
		}
	}
	return nil
}

// chains splits reports, which are in order, into those of one title whose times
// touch.
func chains(reports []*reportRow) [][]*reportRow {
	byTitle := map[string][]*reportRow{}
	for _, r := range reports {
		byTitle[r.item.class] = append(byTitle[r.item.class], r)
	}
	var all [][]*reportRow
	for _, title := range slices.Sorted(maps.Keys(byTitle)) {
		group := byTitle[title]
		slices.SortFunc(group, func(a, b *reportRow) int {
			return cmp.Or(cmp.Compare(a.reach().from, b.reach().from), compareReports(a, b))
		})
		var until int64
		begin := 0
		for i, r := range group {
			reach := r.reach()
			if i > begin && reach.from > until {
				all = append(all, group[begin:i])
				begin = i
			}
			until = max(until, reach.until)
			if i == begin {
				until = reach.until
			}
		}
		all = append(all, group[begin:])
	}
	return all
}

// deriveAround derives the chains that the touched reports are in.
func (r *recording) deriveAround(touched []*reportRow) error {
	for {
		reports, err := r.around(touched)
		if err != nil {
			return err
		}
		stale, stirred := r.affected(touched, chains(reports))
		left, err := r.leftOut(stale, stirred)
		if err != nil {
			return err
		}
		namers, err := r.namers(stirred)
		if err != nil {
			return err
		}
		if len(left)+len(namers) > 0 {
			touched = slices.Concat(touched, left, namers)
			continue
		}
		d := derivation{recording: r, stale: stale}
		for _, chain := range stirred {
			d.clusters = append(d.clusters, merge(chain)...)
		}
		d.clusters = joinNameless(d.clusters)
		return d.apply()
	}
}

// leftOut reads those reports of the stale plays that are in none of the chains. A
// group that was derived before, in the same transaction, may have given a play that
// a touched report was part of to reports which that one has nothing to do with any
// more, since one of their items has left its class: what replaces the play would
// lose them.
func (r *recording) leftOut(stale map[int64]bool, chains [][]*reportRow) ([]*reportRow, error) {
	if len(stale) == 0 {
		return nil, nil
	}
	in := map[int64]bool{}
	for _, chain := range chains {
		for _, x := range chain {
			in[x.id] = true
		}
	}
	var left []int64
	err := r.tx.each("SELECT id FROM report WHERE play "+inList, []any{list(slices.Collect(maps.Keys(stale)))}, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		if !in[id] {
			left = append(left, id)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	if len(left) == 0 {
		return nil, nil
	}
	return r.reports("id "+inList, list(left))
}

// affected returns the plays that have to be derived anew, and the chains which
// their reports are in. Those are the chains around the touched reports, under the
// titles that these have or had: whoever leaves a chain makes room in it.
func (r *recording) affected(touched []*reportRow, waiting [][]*reportRow) (stale map[int64]bool, chains [][]*reportRow) {
	stirred := map[string][]span{} // by title
	stale = map[int64]bool{}
	for _, t := range touched {
		stale[t.play] = true
		for _, title := range r.titles(t) {
			stirred[title] = append(stirred[title], t.reach())
		}
	}
	stale[0] = false // of new reports
	for again := true; again; {
		again = false
		waiting = slices.DeleteFunc(waiting, func(chain []*reportRow) bool {
			if !slices.ContainsFunc(stirred[chain[0].item.class], reachOf(chain).touches) &&
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
