// Command release makes what a release of the last commit consists of, in a folder named after its version:
//
//	spotify-exporter_VERSION_linux_ARCH.tar.gz   the program, its licences, docs, and what it takes to run it
//	spotify-exporter_VERSION_image.tar           a container image for all platforms, an OCI layout
//	SHA256SUMS                                   the checksums of these files
//
// The bytes depend on nothing but the commit, its tags and the version of Go. It needs Go and git, and no Docker.
package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	var args struct {
		Platform []string `default:"linux/amd64,linux/arm64,linux/arm/v7" help:"What to build for: ${default}."`
		Dist     string   `default:"dist" type:"path" help:"Folder for the folder of the release: ${default}."`
	}
	command := kong.Parse(&args, kong.Name("release"), kong.Description("Build archives and a container image of the last commit."))
	dir, err := release(context.Background(), args.Platform, args.Dist)
	command.FatalIfErrorf(err)
	fmt.Println(dir)
}

// A source is a clone of the last commit.
type source struct {
	dir      string
	revision string
	time     time.Time // of the commit
}

// A build is what the scripts of the Dockerfile have left for a platform in dir, the folder that they call /out.
type build struct {
	platform v1.Platform
	dir      string
}

func (b build) program() string { return filepath.Join(b.dir, "root/usr/bin/spotify-exporter") }

// release returns the folder that it has made in the folder dist.
func release(ctx context.Context, platforms []string, dist string) (string, error) {
	syscall.Umask(0o022) // modes in the archives are not those of whoever makes them
	work, err := os.MkdirTemp("", "release-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)

	src, err := clone(ctx, filepath.Join(work, "source"))
	if err != nil {
		return "", err
	}
	r, err := readRecipe(filepath.Join(src.dir, "Dockerfile"))
	if err != nil {
		return "", err
	}
	var builds []build
	for _, name := range platforms {
		platform, err := v1.ParsePlatform(name)
		if err != nil {
			return "", err
		}
		b := build{platform: *platform, dir: filepath.Join(work, strings.ReplaceAll(name, "/", "_"))}
		if err := r.build(ctx, src, b); err != nil {
			return "", err
		}
		builds = append(builds, b)
	}
	version, err := versionOf(builds[0].program())
	if err != nil {
		return "", err
	}

	made := filepath.Join(work, "made")
	if err := os.Mkdir(made, 0o755); err != nil {
		return "", err
	}
	name := "spotify-exporter_" + version
	for _, b := range builds {
		folder := name + "_" + b.platform.OS + "_" + b.platform.Architecture + b.platform.Variant
		if err := writeArchive(ctx, filepath.Join(made, folder+".tar.gz"), folder, src, b); err != nil {
			return "", err
		}
	}
	if err := writeImage(filepath.Join(made, name+"_image.tar"), version, src, r, builds); err != nil {
		return "", err
	}
	if err := writeSums(made); err != nil {
		return "", err
	}

	dir := filepath.Join(dist, version)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.CopyFS(dir, os.DirFS(made))
}

// build runs the scripts for a platform, whatever settings of Go this machine has.
func (r recipe) build(ctx context.Context, src source, b build) error {
	for _, script := range r.scripts {
		cmd := exec.CommandContext(ctx, "sh", "-ec", strings.ReplaceAll(script, out, b.dir+"/"))
		cmd.Dir = src.dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0",
			"TARGETOS="+b.platform.OS, "TARGETARCH="+b.platform.Architecture, "TARGETVARIANT="+b.platform.Variant)
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s for %s: %w\n%s", script, b.platform, err, text)
		}
	}
	return nil
}

// clone clones the repository around the working directory, so that a release has what is committed and nothing else.
func clone(ctx context.Context, dir string) (source, error) {
	top, err := execute(ctx, ".", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return source{}, err
	}
	if _, err := execute(ctx, top, "git", "clone", "-q", ".", dir); err != nil {
		return source{}, err
	}
	if changed, err := execute(ctx, top, "git", "status", "--porcelain"); err != nil {
		return source{}, err
	} else if changed != "" {
		fmt.Fprintf(os.Stderr, "These changes are not committed and not in the release:\n%s\n", changed)
	}
	log, err := execute(ctx, dir, "git", "log", "-1", "--format=%H %ct")
	if err != nil {
		return source{}, err
	}
	revision, stamp, _ := strings.Cut(log, " ")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return source{}, fmt.Errorf("time of the commit: %w", err)
	}
	return source{dir: dir, revision: revision, time: time.Unix(seconds, 0).UTC()}, nil
}

// versionOf returns the version that Go has put into a program: the tag of the commit, such as v1.2.3, or a
// pseudo-version between two tags.
func versionOf(program string) (string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	version := info.Main.Version
	if !strings.HasPrefix(version, "v") || strings.Contains(version, "+") {
		return "", fmt.Errorf("the program has the version %q instead of one that git can tell; is GOFLAGS or git's configuration in the way?", version)
	}
	return version, nil
}

// execute runs a program in a folder and returns what it printed, without the line break at the end.
func execute(ctx context.Context, dir, name string, args ...string) (string, error) {
	var problems strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = dir, &problems
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, problems.String())
	}
	return strings.TrimRight(string(out), "\n"), nil
}
