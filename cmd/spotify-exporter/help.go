package main

import "github.com/alecthomas/kong"

type helpCommand struct {
	Command string `arg:"" optional:"" help:"The command to explain."`
}

// Run prints what --help does. With --help the parser takes an unknown command for no
// mistake, so it is asked without it first.
func (c *helpCommand) Run(parser *kong.Kong) error {
	var args []string
	if c.Command != "" {
		args = append(args, c.Command)
	}
	trace, err := kong.Trace(parser, args)
	if err != nil {
		return err
	}
	if trace.Error != nil {
		return usageError{inWords(trace.Error, parser, args)}
	}
	_, err = parser.Parse(append(args, "--help"))
	return err
}
