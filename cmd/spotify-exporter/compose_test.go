package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// loadCompose loads a compose file as docker compose does from a fresh clone whose
// owner has copied .env.example and changed nothing but some "NAME=value", with all
// profiles.
func loadCompose(t *testing.T, name string, changes ...string) *types.Project {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(root, ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	variables, err := dotenv.ParseWithLookup(bytes.NewReader(example), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`\$\{?([A-Z_]+)`).FindAllStringSubmatch(string(content), -1) {
		if _, ok := variables[match[1]]; !ok {
			t.Errorf("%s: %s is not in .env.example", name, match[1])
		}
	}
	var environ []string
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	environ = append(environ, changes...)
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, name)},
		cli.WithWorkingDirectory(root), cli.WithEnv(environ), cli.WithProfiles([]string{"*"}), cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// oneShots are the services that do something and end.
var oneShots = []string{"hand-over", "setup", "setup-grafana", "demo-hand-over", "demo-setup"}

func TestComposeIsHardened(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z/]+:v?\d+\.\d+\.\d+(@sha256:[0-9a-f]{64})?$`)
	for _, file := range []string{"docker-compose.yml", "deploy/compose.exporter.yml"} {
		for name, service := range loadCompose(t, file).Services {
			wrong := func(format string, args ...any) {
				t.Helper()
				t.Errorf("%s: service %s: %s", file, name, fmt.Sprintf(format, args...))
			}
			switch {
			case service.Build != nil:
				if service.Build.Context != absolute(t, root) {
					wrong("is built in %s", service.Build.Context)
				}
			case !pinned.MatchString(service.Image):
				wrong("image %q has no exact tag", service.Image)
			}
			if user, _, _ := strings.Cut(service.User, ":"); user == "" || user == "0" || user == "root" {
				wrong("user %q", service.User)
			}
			if !service.ReadOnly || service.Privileged || !slices.Equal(service.CapDrop, []string{"ALL"}) || len(service.CapAdd) > 0 ||
				!slices.Equal(service.SecurityOpt, []string{"no-new-privileges:true"}) || service.Pid != "" || service.NetworkMode != "" && service.NetworkMode != "none" {
				wrong("is not locked in")
			}
			if service.Deploy == nil || service.Deploy.Resources.Limits == nil || service.Deploy.Resources.Limits.MemoryBytes == 0 ||
				service.Deploy.Resources.Limits.NanoCPUs == 0 || service.Deploy.Resources.Limits.Pids == 0 {
				wrong("may take all of the machine")
			}
			if service.Logging == nil || service.Logging.Options["max-size"] == "" || service.Logging.Options["max-file"] == "" {
				wrong("its log grows for ever")
			}
			restart, probed := types.RestartPolicyUnlessStopped, service.Build != nil || service.HealthCheck != nil // ours is in the image
			if slices.Contains(oneShots, name) {
				restart, probed = types.RestartPolicyNo, service.HealthCheck != nil && service.HealthCheck.Disable
			}
			if service.Restart != restart {
				wrong("restart %q, want %q", service.Restart, restart)
			}
			if !probed {
				wrong("nobody asks how it is")
			}
			for _, mount := range service.Volumes {
				if mount.Type != types.VolumeTypeBind {
					continue
				}
				if _, err := os.Stat(mount.Source); err != nil || !mount.ReadOnly {
					wrong("mounts %s, read-only %v: %v", mount.Source, mount.ReadOnly, err)
				}
			}
			for _, port := range service.Ports {
				address, _ := netip.ParseAddr(port.HostIP)
				if !address.IsLoopback() {
					wrong("is published on %s:%s", port.HostIP, port.Published)
				}
			}
		}
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestComposeStack(t *testing.T) {
	project := loadCompose(t, "docker-compose.yml")
	for _, want := range []struct{ service, on, condition string }{
		{"setup", "influxdb", types.ServiceConditionHealthy},
		{"setup", "hand-over", types.ServiceConditionCompletedSuccessfully},
		{"demo-setup", "demo-hand-over", types.ServiceConditionCompletedSuccessfully},
		{"spotify-exporter", "setup", types.ServiceConditionCompletedSuccessfully},
		{"grafana", "setup", types.ServiceConditionCompletedSuccessfully},
		{"setup-grafana", "grafana", types.ServiceConditionHealthy},
		{"demo-setup", "demo-influxdb", types.ServiceConditionHealthy},
		{"demo", "demo-setup", types.ServiceConditionCompletedSuccessfully},
		{"demo-grafana", "demo-setup", types.ServiceConditionCompletedSuccessfully},
	} {
		if got := project.Services[want.service].DependsOn[want.on]; got.Condition != want.condition || !got.Required {
			t.Errorf("%s waits for %s: %+v, want %s", want.service, want.on, got, want.condition)
		}
	}

	// Nothing but what is needed to record keeps the exporter waiting.
	if waits := project.Services["spotify-exporter"].DependsOn; len(waits) != 1 {
		t.Errorf("the exporter waits for %v", waits)
	}

	// The versions are those that the tests run with.
	for script, images := range map[string]map[string]string{
		"exporter/influxtest/build-influxd":  {"2.9.1": "influxdb:2.9.1"},
		"exporter/promtest/build-prometheus": {"prometheus=3.16.0": "prom/prometheus:v3.16.0", "alertmanager=0.35.0": "prom/alertmanager:v0.35.0"},
	} {
		content, err := os.ReadFile(filepath.Join(root, script))
		if err != nil {
			t.Fatal(err)
		}
		for version, image := range images {
			used := slices.ContainsFunc(slices.Collect(maps.Values(project.Services)), func(s types.ServiceConfig) bool { return s.Image == image })
			if !strings.Contains(string(content), version) || !used {
				t.Errorf("%s builds %s: %v; the stack has %s: %v", script, version, strings.Contains(string(content), version), image, used)
			}
		}
	}

	var published []string
	for name, service := range project.Services {
		demo := slices.Contains(service.Profiles, "demo")
		if demo != strings.HasPrefix(name, "demo") {
			t.Errorf("%s has profiles %v", name, service.Profiles)
		}
		for _, port := range service.Ports {
			published = append(published, name+" "+port.HostIP+":"+port.Published)
		}
		for _, mount := range service.Volumes {
			if mount.Type == types.VolumeTypeVolume && strings.HasPrefix(mount.Source, "demo-") != demo {
				t.Errorf("%s mounts %s", name, mount.Source)
			}
		}
		for network := range service.Networks {
			if strings.HasPrefix(network, "demo") != demo {
				t.Errorf("%s is in network %s", name, network)
			}
		}
		if bucket := service.Environment["INFLUX_BUCKET"]; bucket != nil && *bucket == "spotify-demo" != demo {
			t.Errorf("%s uses bucket %s", name, *bucket)
		}
	}
	slices.Sort(published)
	if want := []string{"demo-grafana 127.0.0.1:3001", "grafana 127.0.0.1:3000", "spotify-exporter 127.0.0.1:10178"}; !slices.Equal(published, want) {
		t.Errorf("published: %q, want %q", published, want)
	}

	// By default the program serves its own machine alone, which a container is of its own.
	for _, name := range []string{"spotify-exporter", "demo"} {
		if address := project.Services[name].Environment["WEB_LISTEN_ADDRESS"]; address == nil || *address != ":10178" {
			t.Errorf("%s: Prometheus does not reach it: WEB_LISTEN_ADDRESS is not :10178", name)
		}
	}
	for _, name := range []string{"grafana", "demo-grafana"} {
		environment := project.Services[name].Environment
		for variable, want := range map[string]string{
			"GF_AUTH_ANONYMOUS_ENABLED": "false", "GF_USERS_ALLOW_SIGN_UP": "false", "GF_SECURITY_ALLOW_EMBEDDING": "false",
			"GF_SNAPSHOTS_EXTERNAL_ENABLED": "false", "GF_SNAPSHOTS_PUBLIC_MODE": "false", "GF_ANALYTICS_REPORTING_ENABLED": "false",
			"GF_PLUGINS_PREINSTALL_AUTO_UPDATE": "false", "GF_SECURITY_CONTENT_SECURITY_POLICY": "true",
			"GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/spotify/" + grafanaPasswordFile, "GF_SECURITY_SECRET_KEY__FILE": "/run/spotify/" + grafanaKeyFile,
		} {
			if got := environment[variable]; got == nil || *got != want {
				t.Errorf("%s: %s is not %q", name, variable, want)
			}
		}
		home := environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
		if _, err := os.Stat(filepath.Join(root, "grafana/dashboards", filepath.Base(*home))); err != nil {
			t.Errorf("%s: home board: %v", name, err)
		}
		if slices.Index(project.Services[name].GroupAdd, "472") < 0 {
			t.Errorf("%s is not in the group that may read its files", name)
		}
	}
}

// TestComposeProvisioning holds what Grafana's provisioning expects against what
// the services give it.
func TestComposeProvisioning(t *testing.T) {
	environment := loadCompose(t, "docker-compose.yml").Services["grafana"].Environment
	files, err := filepath.Glob(filepath.Join(root, "grafana/provisioning/*/*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no provisioning (%v)", err)
	}
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`\$\{([A-Z_]+)\}`).FindAllStringSubmatch(string(content), -1) {
			if value := environment[match[1]]; value == nil || *value == "" {
				t.Errorf("%s: %s is not in Grafana's environment", path, match[1])
			}
		}
		for _, match := range regexp.MustCompile(`\$__file\{([^}]+)\}`).FindAllStringSubmatch(string(content), -1) {
			if match[1] != "/run/spotify/"+grafanaInfluxTokenFile {
				t.Errorf("%s: nobody makes %s", path, match[1])
			}
		}
	}
}

// TestComposeCommands holds commands and environment of our own services against
// this program.
func TestComposeCommands(t *testing.T) {
	var known []string
	for field := range reflect.TypeFor[environment]().Fields() {
		known = append(known, field.Tag.Get("envconfig"))
	}
	for field := range reflect.TypeFor[stackEnvironment]().Fields() {
		known = append(known, field.Tag.Get("envconfig")) // in .env, all of which the exporter gets
	}
	for _, file := range []string{"docker-compose.yml", "deploy/compose.exporter.yml"} {
		for name, service := range loadCompose(t, file).Services {
			if service.Build == nil {
				continue
			}
			parser, err := kong.New(&commands{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(service.Command); err != nil {
				t.Errorf("%s: service %s: %v", file, name, err)
			}
			if path := service.Environment["GRAFANA_TOKEN_FILE"]; path != nil && *path != "" {
				t.Errorf("%s: service %s: publishes without being asked to", file, name)
			}
			for variable := range service.Environment {
				if !slices.Contains(known, variable) {
					t.Errorf("%s: service %s: %s has no meaning", file, name, variable)
				}
			}
		}
	}
}

// TestComposeConfiguration gives the exporter what it has in the stack of somebody
// who has copied .env.example: nothing is wrong with it but what only they can know,
// and what setup leaves.
func TestComposeConfiguration(t *testing.T) {
	for file, want := range map[string][]string{
		"docker-compose.yml":          {"SPOTIFY_CLIENT_ID: required", "INFLUX_TOKEN_FILE: must be a file"},
		"deploy/compose.exporter.yml": {"SPOTIFY_CLIENT_ID: required"},
	} {
		service := loadCompose(t, file).Services["spotify-exporter"]
		setEnvironment(t, nil)
		example, err := dotenv.Read(filepath.Join(root, ".env.example"))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range example {
			t.Setenv(name, value)
		}
		container := t.TempDir() // whose files this machine may have, too
		for name, value := range service.Environment {
			if filepath.IsAbs(*value) {
				t.Setenv(name, filepath.Join(container, *value))
			} else {
				t.Setenv(name, *value)
			}
		}
		env, err := readEnvironment()
		if err != nil {
			t.Fatal(err)
		}
		_, mistakes := env.check(needsClient)
		if len(mistakes) != len(want) {
			t.Fatalf("%s: mistakes %v, want %q", file, mistakes, want)
		}
		for i, mistake := range mistakes {
			if !strings.HasPrefix(mistake.Error(), want[i]) {
				t.Errorf("%s: %v, want %s", file, mistake, want[i])
			}
		}
		var set []string
		for name := range example {
			set = append(set, name+"=")
		}
		if warnings := unknownVariables(set); len(warnings) > 0 {
			t.Errorf("%s: %q", file, warnings)
		}
	}
}

// TestComposeImage holds that one variable chooses the image of all services that
// run the program, and that without it they run what is built from the clone.
func TestComposeImage(t *testing.T) {
	const published = "registry.example.org/spotify-exporter:v1.2.3"
	for _, file := range []string{"docker-compose.yml", "deploy/compose.exporter.yml"} {
		for image, changes := range map[string][]string{
			"localhost/spotify-exporter:local": nil,
			published:                          {"SPOTIFY_EXPORTER_IMAGE=" + published},
		} {
			ours := 0
			for name, service := range loadCompose(t, file, changes...).Services {
				if service.Build == nil {
					continue
				}
				ours++
				if service.Image != image || service.Build.Context != loadCompose(t, file).WorkingDir || service.PullPolicy != "" {
					t.Errorf("%s: %s runs %s, is built from %s and pulled %q, want %s", file, name, service.Image, service.Build.Context, service.PullPolicy, image)
				}
			}
			if ours == 0 {
				t.Errorf("%s builds nothing", file)
			}
		}
	}
}
