package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintln(p.stdout, versionLine())
	return err
}

// versionLine is what the command version and the flag --version print.
func versionLine() string {
	version, revision := buildVersion()
	return fmt.Sprintf("spotify-exporter %s (%s, %s, %s/%s)", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion returns what the Go command has stamped into the binary. Without
// version control around the build there is little.
func buildVersion() (version, revision string) {
	version, revision = "unknown", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision
	}
	if info.Main.Version != "" {
		version = info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			revision = setting.Value[:min(12, len(setting.Value))]
		}
	}
	return version, revision
}

// userAgent is how this program introduces itself to servers.
func userAgent() string {
	version, _ := buildVersion()
	return "spotify-exporter/" + version + " (+https://github.com/spotify-exporter/spotify-exporter)"
}
