package main

import (
	"io"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
)

// table is rows under a head, each with a cell for every column, of which each is one
// line whatever it says.
type table struct{ rows [][]string }

func (t *table) add(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = clean.Line(cell)
	}
	t.rows = append(t.rows, row)
}

// write prints columns that are as wide as their widest cell. Where that is wider than
// width, which is 0 for no limit, each row is a paragraph: its first cell, and below it a
// line for each other one with the head of its column.
func (t *table) write(out io.Writer, width int) error {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	var b strings.Builder
	if width == 0 || total <= width {
		for _, row := range t.rows {
			var line strings.Builder
			for i, cell := range row {
				line.WriteString(cell + strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell)+2))
			}
			b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		}
	} else {
		t.paragraphs(&b, width)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func (t *table) paragraphs(b *strings.Builder, width int) {
	head := t.rows[0]
	names := 0
	for _, name := range head[1:] {
		names = max(names, uniseg.StringWidth(name))
	}
	for _, row := range t.rows[1:] {
		b.WriteString(wrap(strings.TrimSpace(head[0]+" "+row[0]), width, 2) + "\n")
		for i, cell := range row[1:] {
			name := "  " + head[i+1]
			beside := name + strings.Repeat(" ", 2+names-uniseg.StringWidth(head[i+1])+2) + cell
			if longest(cell) > width-4-names-2 { // it would be broken
				b.WriteString(name + "\n" + wrap("    "+cell, width, 4) + "\n")
				continue
			}
			b.WriteString(wrap(beside, width, 4+names+2) + "\n")
		}
	}
}

// longest is how wide the widest word is.
func longest(text string) (width int) {
	for word := range strings.FieldsSeq(text) {
		width = max(width, uniseg.StringWidth(word))
	}
	return width
}
