package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/x509"
	"debug/buildinfo"
	"debug/elf"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// machines are the platforms of a release.
var machines = map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64, "linux/arm/v7": elf.EM_ARM}

// An entry is a file or folder in an archive.
type entry struct {
	mode        int64
	user, group int
	content     []byte // nil for a folder
}

// entries reads an archive.
func entries(t *testing.T, r io.Reader) map[string]entry {
	t.Helper()
	found := make(map[string]entry)
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		e := entry{mode: header.Mode, user: header.Uid, group: header.Gid}
		switch header.Typeflag {
		case tar.TypeReg:
			if e.content, err = io.ReadAll(archive); err != nil {
				t.Fatal(err)
			}
			if e.content == nil {
				e.content = []byte{}
			}
		case tar.TypeDir:
		default:
			t.Errorf("%s is of type %c", header.Name, header.Typeflag)
		}
		if _, ok := found[header.Name]; ok || header.Uname != "" || header.Gname != "" {
			t.Errorf("%s is there twice (%v), or names a user: %q, %q", header.Name, ok, header.Uname, header.Gname)
		}
		found[header.Name] = e
	}
}

func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program for each platform")
	}
	platforms := slices.Sorted(maps.Keys(machines))
	dir, err := release(t.Context(), platforms, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	version := filepath.Base(dir)
	files := make(map[string][]byte)
	for _, name := range []string{"linux_amd64.tar.gz", "linux_arm64.tar.gz", "linux_armv7.tar.gz", "image.tar"} {
		name = "spotify-exporter_" + version + "_" + name
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if line := fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name); !strings.Contains(string(sums), line) {
			t.Errorf("SHA256SUMS lacks %q:\n%s", line, sums)
		}
	}
	if lines := strings.Count(string(sums), "\n"); lines != len(files) {
		t.Errorf("SHA256SUMS has %d lines, want %d", lines, len(files))
	}

	images := readImages(t, version, files["spotify-exporter_"+version+"_image.tar"])
	for _, platform := range platforms {
		t.Run(platform, func(t *testing.T) {
			layer := checkImage(t, images[platform], version)
			program := layer["usr/bin/spotify-exporter"].content
			checkProgram(t, program, version, machines[platform], strings.HasSuffix(platform, "/"+runtime.GOARCH))
			checkLicenses(t, program, layer)
			folder := "spotify-exporter_" + version + "_linux_" + strings.ReplaceAll(strings.TrimPrefix(platform, "linux/"), "/", "")
			compressed, err := gzip.NewReader(bytes.NewReader(files[folder+".tar.gz"]))
			if err != nil {
				t.Fatal(err)
			}
			checkArchive(t, entries(t, compressed), folder, layer)
		})
	}

	t.Run("again", func(t *testing.T) {
		// Elsewhere, and as somebody with other settings.
		t.Setenv("TZ", "Pacific/Kiritimati")
		t.Setenv("LC_ALL", "C")
		t.Setenv("GOFLAGS", "-buildvcs=false")
		t.Setenv("GOAMD64", "v3")
		before := syscall.Umask(0o077)
		defer syscall.Umask(before)
		again, err := release(t.Context(), platforms, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(filepath.Join(again, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(other, sums) {
			t.Errorf("the same commit has given\n%s\nand\n%s", sums, other)
		}
	})
}

// readImages returns the images of an archive by their platforms.
func readImages(t *testing.T, version string, archive []byte) map[string]v1.Image {
	t.Helper()
	dir := t.TempDir()
	for name, e := range entries(t, bytes.NewReader(archive)) {
		file := filepath.Join(dir, name)
		if e.content == nil {
			if err := os.MkdirAll(file, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, e.content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outer, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("index.json has %v (%v), want one index", manifest, err)
	}
	if got := manifest.Manifests[0].Annotations; got["org.opencontainers.image.ref.name"] != version || got["io.containerd.image.name"] != "localhost/spotify-exporter:"+version {
		t.Errorf("the image is called %v", got)
	}
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	if manifest, err = index.IndexManifest(); err != nil {
		t.Fatal(err)
	}
	images := make(map[string]v1.Image)
	for _, m := range manifest.Manifests {
		if images[m.Platform.String()], err = index.Image(m.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := slices.Sorted(maps.Keys(images)), slices.Sorted(maps.Keys(machines)); !slices.Equal(got, want) {
		t.Fatalf("images for %v, want %v", got, want)
	}
	return images
}

const doc = "usr/share/doc/spotify-exporter/"

// imageEntries are the files and folders of the image, without those below licenses.
var imageEntries = map[string]entry{
	"usr/":                              {mode: 0o755},
	"usr/bin/":                          {mode: 0o755},
	"usr/bin/spotify-exporter":          {mode: 0o755},
	"usr/share/":                        {mode: 0o755},
	"usr/share/doc/":                    {mode: 0o755},
	doc:                                 {mode: 0o755},
	doc + "LICENSE":                     {mode: 0o644},
	"etc/":                              {mode: 0o755},
	"etc/ssl/":                          {mode: 0o755},
	"etc/ssl/certs/":                    {mode: 0o755},
	"etc/ssl/certs/ca-certificates.crt": {mode: 0o644},
	"data/":                             {mode: 0o700, user: 65532, group: 65532},
	"tmp/":                              {mode: 0o1777, user: 65532, group: 65532},
	"run/":                              {mode: 0o755, user: 65531, group: 65532},
	"run/spotify/":                      {mode: 0o750, user: 65531, group: 65532},
	"run/grafana/":                      {mode: 0o750, user: 65531, group: 472},
	"setup/":                            {mode: 0o700, user: 65531, group: 65531},
}

// checkImage returns the files and folders of an image.
func checkImage(t *testing.T, image v1.Image, version string) map[string]entry {
	t.Helper()
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, want 1 (%v)", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	layer := entries(t, content)
	size := 0
	for name, got := range layer {
		size += len(got.content)
		got.content = nil
		want, ok := imageEntries[name]
		if !ok && strings.HasPrefix(name, doc+"licenses/") {
			want, ok = entry{mode: 0o644}, true
			if strings.HasSuffix(name, "/") {
				want.mode = 0o755
			}
		}
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, want, ok)
		}
	}
	for name := range imageEntries {
		if _, ok := layer[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	if size > 30<<20 {
		t.Errorf("%d bytes, want at most 30 MiB", size)
	}
	t.Logf("%.1f MiB", float64(size)/(1<<20))
	checkCertificates(t, layer["etc/ssl/certs/ca-certificates.crt"].content)

	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	labels := file.Config.Labels
	file.Config.Labels = nil
	if want := (v1.Config{
		User: "65532:65532", Entrypoint: []string{"/usr/bin/spotify-exporter"}, Cmd: []string{"run"},
		Env: []string{"PATH=/usr/bin", "DATA_DIR=/data", "WEB_LISTEN_ADDRESS=:10178"}, Volumes: map[string]struct{}{"/data": {}}, ExposedPorts: map[string]struct{}{"10178/tcp": {}},
		Healthcheck: &v1.HealthConfig{
			Test: []string{"CMD", "/usr/bin/spotify-exporter", "health"}, Interval: 30 * time.Second, Timeout: 10 * time.Second, StartPeriod: time.Minute, Retries: 3,
		},
	}); !reflect.DeepEqual(file.Config, want) {
		t.Errorf("configuration %+v, want %+v", file.Config, want)
	}
	for name, want := range map[string]string{"title": "spotify-exporter", "licenses": "Apache-2.0", "version": version} {
		if got := labels["org.opencontainers.image."+name]; got != want {
			t.Errorf("label %s: %q, want %q", name, got, want)
		}
	}
	if revision := labels["org.opencontainers.image.revision"]; len(revision) != 40 {
		t.Errorf("revision %q", revision)
	}
	return layer
}

func checkCertificates(t *testing.T, text []byte) {
	t.Helper()
	names := make(map[string]bool)
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		names[root.Subject.CommonName] = true
	}
	for _, name := range []string{"DigiCert Global Root G2", "ISRG Root X1"} {
		if !names[name] {
			t.Errorf("%d certificates, without %s", len(names), name)
		}
	}
}

// checkProgram looks into the program, and runs it if it is for this machine.
func checkProgram(t *testing.T, content []byte, version string, machine elf.Machine, run bool) {
	t.Helper()
	binary, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := binary.ImportedLibraries()
	interpreted := slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if binary.Machine != machine || len(libraries) > 0 || interpreted || err != nil {
		t.Errorf("a program for %v with libraries %v (%v), want a static one for %v", binary.Machine, libraries, err, machine)
	}
	if !run {
		return
	}
	program := filepath.Join(t.TempDir(), "spotify-exporter")
	if err := os.WriteFile(program, content, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "version").Output(); err != nil || !strings.Contains(string(out), version) {
		t.Errorf("version: %q (%v), want %s", out, err, version)
	}
}

// checkLicenses holds that there is a text for Go and for each module in the program.
func checkLicenses(t *testing.T, program []byte, layer map[string]entry) {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Deps) == 0 {
		t.Error("the program has no modules")
	}
	texts := make(map[string]bool)
	for name, e := range layer {
		if len(e.content) > 0 {
			texts[path.Dir(name)] = true
		}
	}
	for _, module := range info.Deps {
		if !texts[doc+"licenses/"+module.Path] {
			t.Errorf("no licence of %s", module.Path)
		}
	}
	for _, name := range []string{"go/LICENSE", "go/PATENTS", "github.com/prometheus/client_golang/NOTICE", "github.com/prometheus/client_golang/internal/github.com/golang/gddo/LICENSE"} {
		if len(layer[doc+"licenses/"+name].content) == 0 {
			t.Errorf("no licenses/%s", name)
		}
	}
}

// checkArchive holds an archive against the image, and looks for what the pages about installing need.
func checkArchive(t *testing.T, archive map[string]entry, folder string, layer map[string]entry) {
	t.Helper()
	if got, want := archive[folder+"/spotify-exporter"], layer["usr/bin/spotify-exporter"]; got.mode != 0o755 || !bytes.Equal(got.content, want.content) {
		t.Errorf("the program has mode %o, and is that of the image: %v", got.mode, bytes.Equal(got.content, want.content))
	}
	for name, e := range layer {
		if license, ok := strings.CutPrefix(name, doc); ok && license != "" && !bytes.Equal(archive[folder+"/"+license].content, e.content) {
			t.Errorf("%s differs from that of the image", license)
		}
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", ".env.example", "docs/install.md", "deploy/systemd/spotify-exporter.service", "deploy/prometheus/rules.yml", "grafana/dashboards/spotify-listening.json"} {
		if _, ok := archive[folder+"/"+name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	for name, e := range archive {
		if !strings.HasPrefix(name, folder+"/") || e.user != 0 || e.group != 0 || e.mode&0o022 != 0 {
			t.Errorf("%s: mode %o, user %d, group %d", name, e.mode, e.user, e.group)
		}
	}
}
