package journal

import "slices"

// A title that Spotify has removed since is null in later exports: the row of one export
// names what the row of the next one does not. Reports without a title are no chain of
// any other one's title, so they get to their plays after those are made, and whatever
// stirs the one stirs the other.

// titles are the classes of the chains that a report has to do with: those of its item,
// and of a row of the extended history the nameless rows as well.
func (r *recording) titles(t *reportRow) []string {
	titles := r.catalogue.classes(t.item)
	if t.witness == ExtendedHistory && !slices.Contains(titles, "") {
		titles = append(titles, "")
	}
	return titles
}

// rowKey is what a row of the extended history has in common with itself in a later
// export.
type rowKey struct{ uploadedMS, msPlayed int64 }

func (r *reportRow) rowKey() rowKey { return rowKey{r.uploadedMS(), r.msPlayed} }

// isNameless reports whether the report is a row of the extended history without a
// title.
func (r *reportRow) isNameless() bool { return r.witness == ExtendedHistory && r.item.class == "" }

// joinNameless adds the plays of nameless rows to those of the rows that name them. A
// play has each row once.
func joinNameless(plays []*cluster) []*cluster {
	named := map[rowKey][]*cluster{}
	var nameless []*cluster
	for _, play := range plays {
		switch row := play.by(ExtendedHistory); {
		case row == nil:
		case row.isNameless():
			nameless = append(nameless, play)
		default:
			named[row.rowKey()] = append(named[row.rowKey()], play)
		}
	}
	if len(nameless) == 0 {
		return plays
	}
	byEnd := func(a, b *cluster) int {
		return compareReports(a.by(ExtendedHistory), b.by(ExtendedHistory))
	}
	slices.SortFunc(nameless, byEnd)
	for _, same := range named {
		slices.SortFunc(same, byEnd)
	}
	complete, gone := map[*cluster]bool{}, map[*cluster]bool{}
	for _, play := range nameless {
		row := play.by(ExtendedHistory)
		for _, to := range named[row.rowKey()] {
			if complete[to] || !to.mayBe(row) {
				continue
			}
			complete[to], gone[play] = true, true
			at := len(to.reports)
			if by := to.by(ExtendedHistory); by.startedMS == 0 && row.startedMS != 0 {
				at = slices.Index(to.reports, by) // the one that knows more is asked first
			}
			to.reports = slices.Insert(to.reports, at, play.reports...)
			break
		}
	}
	return slices.DeleteFunc(plays, func(play *cluster) bool { return gone[play] })
}

// mayBe reports whether nothing contradicts that the play is that of a nameless row.
func (c *cluster) mayBe(row *reportRow) bool {
	for _, have := range c.reports {
		switch {
		case have.witness != ExtendedHistory:
		case have.startedMS != 0 && row.startedMS != 0 && have.startedMS != row.startedMS,
			have.item.uri != "" && row.item.uri != "",
			row.item.Kind != Unknown && row.item.Kind != have.item.Kind:
			return false
		}
	}
	return true
}

// namers reads the reports that name the nameless rows of chains and are in none of
// them.
func (r *recording) namers(chains [][]*reportRow) ([]*reportRow, error) {
	wanted := map[rowKey]bool{}
	in := map[[16]byte]bool{}
	var uploads []int64
	for _, chain := range chains {
		for _, x := range chain {
			in[x.digest] = true
			if x.isNameless() {
				wanted[x.rowKey()] = true
				uploads = append(uploads, x.uploadedMS())
			}
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	slices.Sort(uploads)
	uploads = slices.Compact(uploads)
	ended, err := r.reports("account = ? AND ended_ms "+inList+" AND witness = ? AND stamp_ms = 0", r.account, list(uploads), ExtendedHistory)
	if err != nil {
		return nil, err
	}
	uploaded, err := r.reports("account = ? AND vague = 1 AND ended_ms BETWEEN ? AND ? AND witness = ? AND stamp_ms "+inList,
		r.account, uploads[0]-farMS, uploads[len(uploads)-1], ExtendedHistory, list(uploads))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(append(ended, uploaded...), func(x *reportRow) bool {
		return in[x.digest] || !wanted[x.rowKey()] || x.isNameless()
	}), nil
}
