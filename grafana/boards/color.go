package main

// The colors of things are the same on all boards. They are those of Okabe and Ito,
// which people with any kind of color vision tell apart, some a little changed: on
// Grafana's dark and on its light ground each has a contrast of 3 to 1 or more.
const (
	listened = "#009E73" // hours, and whatever is good
	played   = "#3399DA" // plays
	average  = "#C48800" // means; what needs a look
	found    = "#CC79A7" // what is new
	skipped  = "#C04A00" // skips, and whatever is bad
	before   = "#8E8E8E" // another time to compare with, and what is off
	other    = "#5B6BC9"
)
