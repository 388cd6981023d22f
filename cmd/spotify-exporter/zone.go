package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // for images and machines without

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// zones are where the listeners live. The zero value is UTC for all.
type zones struct {
	fallback  *time.Location
	byAccount map[string]*time.Location
	source    string // TIMEZONE, TZ or the file that fallback is from; "" if nothing says it
	warning   string // "" if nothing is wrong; fix says what to do about it
	fix       string
}

// newZones reads TIMEZONE ("Zone", or "alias=Zone" for each account, or both,
// comma separated), TZ, and what the link localtime points to, the first one that
// is there. The hour and the weekday of a play are stored, so that a name is
// needed that means the same on every machine: "Local" is none.
func newZones(timezone, tz, localtime string, container bool) (zones, error) {
	z := zones{byAccount: make(map[string]*time.Location)}
	for part := range strings.SplitSeq(timezone, ",") {
		part = strings.TrimSpace(part)
		alias, name, named := strings.Cut(part, "=")
		if !named {
			alias, name = "", part
		}
		if part == "" && timezone == "" {
			break
		}
		location, err := loadZone(name)
		if err != nil {
			return zones{}, given("TIMEZONE", `must be an IANA name such as Europe/Berlin, or account=name for each account, comma separated`, timezone)
		}
		if !named {
			if z.fallback != nil {
				return zones{}, given("TIMEZONE", "may have one name without an account", timezone)
			}
			z.fallback, z.source = location, "TIMEZONE"
			continue
		}
		if err := spotify.CheckAlias(alias); err != nil {
			return zones{}, fmt.Errorf("TIMEZONE: %w", err)
		}
		if z.byAccount[alias] != nil {
			return zones{}, given("TIMEZONE", "must name each account once", timezone)
		}
		z.byAccount[alias] = location
	}
	if z.fallback == nil {
		z.fallback, z.source = systemZone(tz, localtime)
	}
	switch {
	case len(z.byAccount) > 0: // somebody has thought about it
	case z.source == "":
		z.warning = "UTC, since nothing says where the listener lives; hours and weekdays in the statistics will be off"
	case z.source == localtime && z.fallback.String() == "UTC" && container:
		z.warning = "UTC, as in every container that is not told otherwise; hours and weekdays in the statistics will be off"
	}
	if z.warning != "" {
		z.fix = "set TIMEZONE, for example TIMEZONE=Europe/Berlin, or TIMEZONE=UTC if that is meant"
	}
	return z, nil
}

// systemZone returns the time zone of the machine and where it is from.
func systemZone(tz, localtime string) (location *time.Location, source string) {
	name := strings.TrimPrefix(tz, ":")
	if _, after, ok := strings.Cut(name, "zoneinfo/"); ok {
		name = after
	}
	if location, err := loadZone(name); err == nil {
		return location, "TZ"
	}
	target, err := filepath.EvalSymlinks(localtime)
	if err == nil {
		_, name, _ := strings.Cut(target, "zoneinfo/")
		if location, err := loadZone(name); err == nil {
			return location, localtime
		}
	}
	return time.UTC, ""
}

// loadZone is time.LoadLocation for names that mean the same everywhere. All
// names of UTC are one.
func loadZone(name string) (*time.Location, error) {
	switch name {
	case "", "Local":
		return nil, errors.New("no time zone")
	case "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal", "GMT", "Etc/GMT":
		return time.UTC, nil
	}
	return time.LoadLocation(name)
}

// inContainer tells whether this process is in a container, as far as one can
// know.
func inContainer() bool {
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	return os.Getenv("KUBERNETES_SERVICE_HOST") != "" || os.Getenv("container") != ""
}

// of returns the time zone of an account.
func (z *zones) of(account string) *time.Location {
	if location := z.byAccount[account]; location != nil {
		return location
	}
	if z.fallback == nil {
		return time.UTC
	}
	return z.fallback
}

// checkAccounts finds names in TIMEZONE that are no accounts.
func (z *zones) checkAccounts(accounts []string) error {
	for _, alias := range slices.Sorted(maps.Keys(z.byAccount)) {
		if len(accounts) > 0 && !slices.Contains(accounts, alias) {
			return fmt.Errorf("TIMEZONE: account %q is not in SPOTIFY_ACCOUNTS (%s)", alias, strings.Join(accounts, ","))
		}
	}
	return nil
}

// String says which zones these are.
func (z *zones) String() string {
	parts := []string{z.of("").String()}
	for _, alias := range slices.Sorted(maps.Keys(z.byAccount)) {
		parts = append(parts, alias+"="+z.byAccount[alias].String())
	}
	return strings.Join(parts, ",")
}
