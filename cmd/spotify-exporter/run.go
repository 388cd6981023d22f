package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

type runCommand struct{}

// Run is the daemon. It starts without a login and without InfluxDB: it says what
// is missing, serves its metrics and goes on when it is there.
func (runCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(needsClient)
	if err != nil {
		return err
	}
	log := p.newLogger(config.LogLevel, config.LogFormat)
	for _, warning := range config.warnings() {
		log.Warn("configuration", "warning", warning)
	}
	if err := config.makeDataDir(); err != nil {
		return err
	}
	d := &daemon{config: &config, clock: p.clock, spotify: spotify.NewTransport(), log: log}
	web, err := prom.Listen(config.WebListenAddress, config.WebConfigFile)
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return err // which may pass: systemd does not start again what is wrong for good
	case errors.Is(err, syscall.EADDRINUSE):
		return errors.Join(err, d.tryLock(ctx)) // likewise
	case err != nil:
		return configError{err}
	}
	if web.OnLoopback() {
		log.Info("only this machine can reach the metrics and the status page", "address", web.Addr().String(),
			"hint", "they tell what plays; WEB_LISTEN_ADDRESS=:10178 opens them to everybody in the network")
	} else {
		log.Info("whoever can reach this address sees the metrics and the status page, which tell what plays", "address", web.Addr().String(),
			"hint", "WEB_LISTEN_ADDRESS=127.0.0.1:10178 keeps them for this machine")
	}
	err = d.run(ctx, web, func(opened *parts) {
		version, _ := buildVersion()
		log.Info("started", "version", version, "address", web.Addr().String(), "journal", opened.journal.Path(), "time_zone", config.Zones.String())
		if opened.influx == nil {
			log.Info("no InfluxDB: the journal is the only store", "hint", "set INFLUX_URL, INFLUX_ORG, INFLUX_BUCKET and INFLUX_TOKEN to send plays there too")
		}
		notifySystemd(log, "READY=1")
	})
	if ctx.Err() != nil {
		log.Info("stopped", "cause", context.Cause(ctx).Error())
	}
	return err
}

// tryLock tells whether another run uses the journal: the likeliest reason for a
// port in use.
func (d *daemon) tryLock(ctx context.Context) error {
	j, err := d.config.openJournal(ctx, d.clock)
	if err != nil {
		return err
	}
	return errors.Join(j.Lock(), j.Close())
}

// notifySystemd tells systemd about a service of Type=notify (sd_notify(3)).
func notifySystemd(log *slog.Logger, state string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	connection, err := net.Dial("unixgram", socket)
	if err == nil {
		_, err = connection.Write([]byte(state))
		err = errors.Join(err, connection.Close())
	}
	if err != nil {
		log.Warn("systemd cannot be notified", "err", err)
	}
}
