package main

import (
	"context"
	"fmt"

	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

type healthCommand struct{}

// Run succeeds if an exporter with this configuration serves on this machine.
func (healthCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	if err := prom.Probe(ctx, config.WebListenAddress); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, "healthy")
	return err
}
