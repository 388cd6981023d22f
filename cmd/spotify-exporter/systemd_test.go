package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// deploy returns the path of a file under deploy.
func deploy(elements ...string) string {
	return filepath.Join(slices.Concat([]string{"..", "..", "deploy"}, elements)...)
}

// needTool skips a test of deploy where a program is not installed; CI has them all.
func needTool(t *testing.T, path, get string) {
	t.Helper()
	if _, err := exec.LookPath(path); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not there: %s", path, get)
	}
	t.Skipf("not tested: %s is not there: %s", path, get)
}

// runTool runs a program that has to succeed.
func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func readText(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestSystemdUnit has systemd read the unit, alone and with the drop-in.
func TestSystemdUnit(t *testing.T) {
	needTool(t, "systemd-analyze", "apt-get install systemd")
	const name, program = "spotify-exporter.service", "/usr/local/bin/spotify-exporter"
	unit := filepath.Join(t.TempDir(), name)
	copyUnit := func(from, to string) {
		t.Helper()
		content := readText(t, from)
		if !strings.Contains(content, "ExecStart="+program) && !strings.Contains(content, " "+program) {
			t.Errorf("%s does not start %s", from, program)
		}
		content = strings.ReplaceAll(content, program, os.Args[0]) // which is there
		if err := os.WriteFile(to, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	verify := func() {
		t.Helper()
		if said := runTool(t, "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit); strings.Contains(said, name) {
			t.Errorf("systemd says: %s", said)
		}
		// In tenths: 1.1 of 10, of which 1.0 is to speak to networks and to systemd.
		runTool(t, "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=11", unit)
	}
	copyUnit(deploy("systemd", name), unit)
	verify()
	if err := os.Mkdir(unit+".d", 0o755); err != nil {
		t.Fatal(err)
	}
	copyUnit(deploy("systemd", name+".d", "influxdb.conf"), filepath.Join(unit+".d", "influxdb.conf"))
	verify()
}

func TestSystemdUser(t *testing.T) {
	needTool(t, "systemd-sysusers", "apt-get install systemd")
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	sysusers, err := filepath.Abs(deploy("systemd", "sysusers.conf"))
	if err != nil {
		t.Fatal(err)
	}
	runTool(t, "systemd-sysusers", "--root="+root, sysusers)
	users := readText(t, filepath.Join(root, "etc", "passwd"))
	if !strings.HasPrefix(users, "spotify-exporter:") || !strings.Contains(users, ":/var/lib/spotify-exporter:") {
		t.Errorf("users: %s", users)
	}
}

// TestSystemdFilesAgree holds the files of the service against each other.
func TestSystemdFilesAgree(t *testing.T) {
	unit := readText(t, deploy("systemd", "spotify-exporter.service"))
	for _, line := range []string{
		"Type=notify", "User=spotify-exporter", "StateDirectory=spotify-exporter", "Environment=DATA_DIR=/var/lib/spotify-exporter",
		"EnvironmentFile=/etc/spotify-exporter/environment", "RestartPreventExitStatus=78",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit does not have %s", line)
		}
	}
	var known []string
	for field := range reflect.TypeFor[environment]().Fields() {
		known = append(known, field.Tag.Get("envconfig"))
	}
	given := map[string]string{}
	for line := range strings.Lines(readText(t, deploy("systemd", "environment"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			given[name] = value
			if !slices.Contains(known, name) {
				t.Errorf("%s has no meaning", name)
			}
		}
	}
	if given["DATA_DIR"] != "/var/lib/spotify-exporter" {
		t.Errorf("commands of root look for the journal in %q", given["DATA_DIR"])
	}
	// Who plays what is for this machine alone, which is the default.
	if address, set := given["WEB_LISTEN_ADDRESS"]; set || strings.Contains(unit, "WEB_LISTEN_ADDRESS") {
		t.Errorf("the service listens on %q, not on the default", address)
	}
}
