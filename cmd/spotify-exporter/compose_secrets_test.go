package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// readers are the services that may read a secret of the stack. Those of the demo
// are the same ones with "demo-" before them, and demo for the exporter.
var readers = map[string][]string{
	influxOperatorFile:     {"setup", "setup-grafana"},
	influxPasswordFile:     {"setup", "setup-grafana"},
	influxTokenFile:        {"setup", "setup-grafana", "spotify-exporter"},
	grafanaTokenFile:       {"setup", "setup-grafana", "spotify-exporter"},
	grafanaPasswordFile:    {"grafana", "setup", "setup-grafana"},
	grafanaKeyFile:         {"grafana", "setup", "setup-grafana"},
	grafanaInfluxTokenFile: {"grafana", "setup", "setup-grafana"},
}

// stack runs the services of docker-compose.yml that make secrets: as their users,
// on folders in the place of the volumes.
type stack struct {
	project *types.Project
	prefix  string            // of the names of services: "", or "demo-"
	program string            // this one
	volumes map[string]string // folder of each volume
}

// newStack makes the folders of all volumes as Docker does: with the owner and mode
// of the folder of our image that they are mounted over, else root's.
func newStack(t *testing.T, prefix string, changes ...string) *stack {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can start processes as other users")
	}
	s := &stack{project: loadCompose(t, "docker-compose.yml", changes...), prefix: prefix, volumes: make(map[string]string)}
	dir := t.TempDir()
	for path := dir; path != filepath.Clean(os.TempDir()) && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil { // other users go through it
			t.Fatal(err)
		}
	}
	s.program = filepath.Join(dir, "spotify-exporter")
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.program, content, 0o755); err != nil {
		t.Fatal(err)
	}
	for volume := range s.project.Volumes {
		s.volumes[volume] = filepath.Join(dir, "volumes", volume)
		// Whatever the umask.
		if err := errors.Join(os.MkdirAll(s.volumes[volume], 0o755), os.Chmod(s.volumes[volume], 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	folders := imageFolders(t)
	for _, service := range s.project.Services {
		for _, mount := range service.Volumes {
			folder, ours := folders[mount.Target]
			if service.Build == nil || mount.Type != types.VolumeTypeVolume || !ours {
				continue
			}
			s.own(t, s.volumes[mount.Source], folder.user, folder.group, folder.mode)
		}
	}
	for _, path := range []string{s.program, filepath.Join(dir, "volumes")} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *stack) own(t *testing.T, dir string, user, group int, mode os.FileMode) {
	t.Helper()
	if err := os.Chown(dir, user, group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
}

// credential is the user of a service and its groups.
func credential(t *testing.T, service types.ServiceConfig) *syscall.Credential {
	t.Helper()
	var c syscall.Credential
	if _, err := fmt.Sscanf(service.User, "%d:%d", &c.Uid, &c.Gid); err != nil {
		t.Fatalf("%s: user %q: %v", service.Name, service.User, err)
	}
	for _, name := range service.GroupAdd {
		group, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			t.Fatalf("%s: group %q: %v", service.Name, name, err)
		}
		c.Groups = append(c.Groups, uint32(group))
	}
	return &c
}

// as runs a program as somebody else. Its environment is that of a container.
func as(t *testing.T, user *syscall.Credential, environment []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = "/", environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run starts a service with its command, and returns what it has said. Servers that
// it speaks to are at other addresses here.
func (s *stack) run(t *testing.T, name string, servers ...string) (string, error) {
	t.Helper()
	service, ok := s.project.Services[s.prefix+name]
	if !ok {
		t.Fatalf("there is no service %s", s.prefix+name)
	}
	replace := slices.Clone(servers)
	for _, mount := range service.Volumes {
		if !mount.ReadOnly {
			replace = append(replace, mount.Target, s.volumes[mount.Source])
		}
	}
	words := slices.Concat(service.Entrypoint, service.Command)
	if service.Build != nil {
		words = append([]string{s.program}, words...)
	}
	for i, word := range words {
		if i == 0 && service.Build != nil {
			continue
		}
		if word == "/old" { // above two volumes: find goes into both
			words = slices.Concat(words[:i], []string{s.volumes[s.prefix+"tokens"], s.volumes[s.prefix+"setup"]}, words[i+1:])
			break
		}
		words[i] = strings.NewReplacer(replace...).Replace(word)
	}
	environment := []string{"PATH=" + os.Getenv("PATH"), childClock + "=0 0 1"}
	for variable, value := range service.Environment {
		environment = append(environment, variable+"="+strings.NewReplacer(servers...).Replace(*value))
	}
	return as(t, credential(t, service), environment, words[0], words[1:]...)
}

// up runs what comes before the exporter and Grafana start.
func (s *stack) up(t *testing.T, influxURL string) string {
	t.Helper()
	var said strings.Builder
	for _, name := range []string{"hand-over", "setup"} {
		out, err := s.run(t, name, "http://influxdb:8086", influxURL)
		if said.WriteString(out); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	return said.String()
}

// secrets returns what is in the files of setup, by the paths of the folders.
func (s *stack) secrets(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, dir := range s.volumes {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			found[filepath.Join(dir, file.Name())] = content(t, dir, file.Name())
		}
	}
	return found
}

// checkReaders holds who can read which file against who may: by the volumes that
// each service mounts, and by owners and modes alone, as if it had all of them.
func (s *stack) checkReaders(t *testing.T, files ...string) {
	t.Helper()
	found := make(map[string]string) // path of each secret
	for path := range s.secrets(t) {
		if name := filepath.Base(path); slices.Contains(setupFiles, name) {
			if found[name] != "" {
				t.Errorf("%s is in two places: %s and %s", name, path, found[name])
			}
			found[name] = path
		} else {
			t.Errorf("nobody knows what %s is for", path)
		}
	}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, slices.Sorted(slices.Values(files))) {
		t.Errorf("secrets %q, want %q", got, files)
	}
	var names []string
	for name, service := range s.project.Services {
		if slices.Contains(service.Profiles, "demo") == (s.prefix == "demo-") {
			names = append(names, name)
		}
	}
	for name, path := range found {
		var can []string
		for _, service := range names {
			user := credential(t, s.project.Services[service])
			mounts := slices.ContainsFunc(s.project.Services[service].Volumes, func(mount types.ServiceVolumeConfig) bool {
				return mount.Type == types.VolumeTypeVolume && s.volumes[mount.Source] == filepath.Dir(path)
			})
			_, err := as(t, user, []string{"PATH=" + os.Getenv("PATH")}, "cat", path)
			role := strings.TrimPrefix(service, "demo-")
			if role == "demo" {
				role = "spotify-exporter"
			}
			byModes := role
			if role == "hand-over" {
				byModes = "spotify-exporter" // whose user it is
			}
			if err == nil && !slices.Contains(readers[name], byModes) {
				t.Errorf("%s: the user of %s, %d:%d with groups %v, may read it, if it comes by it", path, service, user.Uid, user.Gid, user.Groups)
			}
			if err == nil && mounts {
				can = append(can, role)
			} else if mounts {
				t.Errorf("%s mounts the folder of %s, which it cannot read", service, path)
			}
		}
		var want []string
		for _, role := range readers[name] {
			if slices.ContainsFunc(names, func(service string) bool {
				return service == s.prefix+role || service == "demo" && role == "spotify-exporter"
			}) {
				want = append(want, role)
			}
		}
		if slices.Sort(can); !slices.Equal(can, want) {
			t.Errorf("%s can be read by %q, want %q", path, can, want)
		}
	}
}

// freshFiles are the secrets of a stack without snapshots.
var freshFiles = []string{influxOperatorFile, influxPasswordFile, influxTokenFile, grafanaPasswordFile, grafanaKeyFile, grafanaInfluxTokenFile}

func TestComposeSecretsHaveOneReader(t *testing.T) {
	influxtest.Require2(t)
	for _, prefix := range []string{"", "demo-"} {
		s := newStack(t, prefix)
		server := influxtest.Fresh(t)
		s.up(t, server.URL)
		s.checkReaders(t, freshFiles...)
		made := s.secrets(t)
		if said := s.up(t, server.URL); strings.Contains(said, "new token") || !maps.Equal(s.secrets(t), made) {
			t.Errorf("the second start makes something new: %s", said)
		}
	}
}

// The token of Grafana is there as long as snapshots are published.
func TestComposeGrafanaTokenIsForSnapshots(t *testing.T) {
	influxtest.Require2(t)
	server, double := influxtest.Fresh(t), grafanatest.New(t)
	with := newStack(t, "", "SNAPSHOT_INTERVAL=6h")
	with.up(t, server.URL)
	double.SetPassword(content(t, with.volumes["grafana-secrets"], grafanaPasswordFile))
	setupGrafana := func(s *stack) {
		t.Helper()
		if out, err := s.run(t, "setup-grafana", "http://influxdb:8086", server.URL, "http://grafana:3000", double.URL); err != nil {
			t.Fatalf("setup-grafana: %v\n%s", err, out)
		}
	}
	without := &stack{project: loadCompose(t, "docker-compose.yml"), program: with.program, volumes: with.volumes}
	setupGrafana(without)
	with.checkReaders(t, freshFiles...)

	setupGrafana(with)
	with.checkReaders(t, append([]string{grafanaTokenFile}, freshFiles...)...)
	token := content(t, with.volumes["exporter-secrets"], grafanaTokenFile)
	if !knowsToken(t, double, token) {
		t.Error("Grafana does not know the token")
	}

	setupGrafana(without)
	with.checkReaders(t, freshFiles...)
	if knowsToken(t, double, token) {
		t.Error("nobody publishes snapshots any more, and the token is still good")
	}
}

// oldUp is what docker-compose.yml ran before the secrets had a volume for each
// reader: as the exporter's user, into two volumes.
func (s *stack) oldUp(t *testing.T, influxURL, grafanaURL string) {
	t.Helper()
	tokens, setup := s.volumes[s.prefix+"tokens"], s.volumes[s.prefix+"setup"]
	s.own(t, tokens, 65532, 65532, 0o755)
	s.own(t, setup, 65532, 65532, 0o700)
	environment := []string{childClock + "=0 0 1", "INFLUX_URL=" + influxURL, "INFLUX_ORG=home", "INFLUX_BUCKET=" + *s.project.Services[s.prefix+"setup"].Environment["INFLUX_BUCKET"]}
	args := []string{"setup", "--to", tokens, "--operator-token", filepath.Join(setup, influxOperatorFile), "--grafana-group", "472"}
	if grafanaURL != "" {
		args = append(args, "--grafana", grafanaURL)
	}
	if out, err := as(t, &syscall.Credential{Uid: 65532, Gid: 65532, Groups: []uint32{472}}, environment, s.program, args...); err != nil {
		t.Fatalf("the setup of before: %v\n%s", err, out)
	}
}

// An older stack is moved over by the next start: every secret as it was, and
// nothing of it where more can read it than may.
func TestComposeMovesAnOlderStack(t *testing.T) {
	influxtest.Require2(t)
	for _, prefix := range []string{"", "demo-"} {
		s := newStack(t, prefix, "SNAPSHOT_INTERVAL=6h")
		server := influxtest.Fresh(t)
		s.oldUp(t, server.URL, "")
		files := freshFiles
		if prefix == "" {
			double := grafanatest.New(t)
			double.SetPassword(content(t, s.volumes["tokens"], grafanaPasswordFile))
			s.oldUp(t, server.URL, double.URL)
			files = append([]string{grafanaTokenFile}, freshFiles...)
		}
		before := make(map[string]string)
		for path, secret := range s.secrets(t) {
			before[filepath.Base(path)] = secret
		}
		// A start that broke off has left an unfinished file behind.
		unfinished := filepath.Join(s.volumes[prefix+"tokens"], ".new-1")
		if err := os.WriteFile(unfinished, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(unfinished, 65532, 65532); err != nil {
			t.Fatal(err)
		}

		for range 2 {
			if said := s.up(t, server.URL); strings.Contains(said, "new token") || strings.Contains(said, "warning") {
				t.Errorf("the first start after the upgrade: %s", said)
			}
			s.checkReaders(t, files...)
			for path, secret := range s.secrets(t) {
				if secret != before[filepath.Base(path)] {
					t.Errorf("%s is not what it was", path)
				}
			}
		}
	}
}

// A move that breaks off anywhere goes on the next time.
func TestComposeMoveGoesOn(t *testing.T) {
	influxtest.Require2(t)
	s := newStack(t, "")
	server := influxtest.Fresh(t)
	s.oldUp(t, server.URL, "")
	before := content(t, s.volumes["tokens"], influxTokenFile)
	key := content(t, s.volumes["tokens"], grafanaKeyFile)
	// One is at both places, and one whose new place has something else.
	for dir, file := range map[string]string{"exporter-secrets": influxTokenFile, "grafana-secrets": grafanaKeyFile} {
		path := filepath.Join(s.volumes[dir], file)
		secret := before
		if file == grafanaKeyFile {
			secret = "in use by Grafana"
		}
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 65531, 65531); err != nil {
			t.Fatal(err)
		}
	}
	said := s.up(t, server.URL)
	old := filepath.Join(s.volumes["tokens"], grafanaKeyFile)
	if !strings.Contains(said, "warning  secrets: "+old+" is not what is in use") || content(t, s.volumes["tokens"], grafanaKeyFile) != key {
		t.Errorf("of two keys the old one is not kept and named: %s", said)
	}
	if content(t, s.volumes["grafana-secrets"], grafanaKeyFile) != "in use by Grafana" || content(t, s.volumes["exporter-secrets"], influxTokenFile) != before {
		t.Error("what is in use was replaced")
	}
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	s.checkReaders(t, freshFiles...)
}
