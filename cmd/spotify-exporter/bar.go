package main

import "github.com/schollz/progressbar/v3"

// besideBar is how wide what the library writes around a bar is at most: the percentage,
// the ends of the bar, blanks, and a column that stays free, for a line that reaches the
// last one is two lines in some terminals.
const besideBar = 13

// barTheme is how a progress bar looks in this locale.
func barTheme() progressbar.Theme {
	if symbol("x", "") == "" {
		return progressbar.Theme{Saucer: "=", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}
	}
	return progressbar.ThemeDefault
}
