package main

// The colors of things are the same on all boards. They are those of Okabe and Ito,
// which people with any kind of color vision tell apart, and read on a dark and on a
// light ground.
const (
	listened = "#009E73" // hours, and whatever is good
	played   = "#56B4E9" // plays
	average  = "#E69F00" // means; what needs a look
	found    = "#CC79A7" // what is new
	skipped  = "#D55E00" // skips, and whatever is bad
	before   = "#8E8E8E" // another time to compare with, and what is off
	other    = "#0072B2"
)
