package main

import (
	"context"
	"fmt"

	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

type healthCommand struct{}

// Run succeeds if an exporter serves on this machine at the configured address. What
// else is configured may be wrong by now, and is no sign of bad health.
func (healthCommand) Run(ctx context.Context, p *program) error {
	env, err := readEnvironment()
	if err != nil {
		return err
	}
	if !isListenAddress(env.WebListenAddress) {
		return configError{errListenAddress(env.WebListenAddress)}
	}
	if err := prom.Probe(ctx, env.WebListenAddress); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, "healthy")
	return err
}
