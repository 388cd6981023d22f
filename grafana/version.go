package grafana

import (
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// fixes are the first versions of Grafana with the fix of CVE-2026-28380, without which
// every editor can delete any snapshot. Of a minor version that is not among them and
// older than the last one, none has it.
var fixes = []string{"v11.6.14", "v12.2.8", "v12.3.6", "v12.4.3", "v13.0.1"}

// safe finds out by Grafana's version, "" if it hides it, whether it has the fix of
// CVE-2026-28380. Its error is an *Error; with Options.Force there is a warning in the log
// instead.
func (p *Publisher) safe(version string) error {
	if version == "" || hasFix(version) {
		return nil
	}
	const risk = "every editor of this Grafana can delete any snapshot (CVE-2026-28380), so that visitors get nothing until the next one"
	if p.options.Force {
		p.log.Warn("published although Grafana lacks a security fix: "+risk, "grafana", version)
		return nil
	}
	return failure(TooOld, "this is Grafana %q: as far as its version tells, %s. Update it to 11.6.14, 12.2.8, 12.3.6, 12.4.3, 13.0.1 or newer ones of the same line; spotify-exporter snapshot --force publishes all the same", version, risk)
}

// hasFix reports whether a version is known to have the fix. A build of another kind
// (12.2.8+security-01, in tags 12.2.8-security-01) has what its version has; a pre-release
// is older than its version, and so is one of Grafana Cloud, such as 12.4.0-85518.patch7.
func hasFix(version string) bool {
	version = "v" + strings.TrimPrefix(version, "v")
	if core, _, found := strings.Cut(version, "-security-"); found {
		version = core
	}
	if !semver.IsValid(version) {
		return false
	}
	return semver.Compare(version, fixes[len(fixes)-1]) >= 0 || slices.ContainsFunc(fixes, func(fix string) bool {
		return semver.MajorMinor(version) == semver.MajorMinor(fix) && semver.Compare(version, fix) >= 0
	})
}
