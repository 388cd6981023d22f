package main

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// imageFolder is a folder that the Dockerfile makes: a new volume takes its owner
// and mode.
type imageFolder struct {
	user, group int
	mode        fs.FileMode
}

// imageFolders makes the folders of the image as the Dockerfile does, without root,
// and returns those that it gives an owner, by their path in the image.
func imageFolders(t *testing.T) map[string]imageFolder {
	t.Helper()
	build, image := stages(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, command := range build.Commands {
		run, ok := command.(*instructions.RunCommand)
		if !ok || !strings.HasPrefix(run.CmdLine[0], "mkdir ") {
			continue // deploy/release builds the program
		}
		script := strings.ReplaceAll(strings.Join(run.CmdLine, " "), "/out/", out+"/")
		if text, err := exec.CommandContext(t.Context(), "sh", "-ec", script).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, text)
		}
	}
	folders := make(map[string]imageFolder)
	for _, command := range image.Commands {
		c, ok := command.(*instructions.CopyCommand)
		if !ok || c.Chown == "" {
			continue
		}
		var folder imageFolder
		if _, err := fmt.Sscanf(c.Chown, "%d:%d", &folder.user, &folder.group); err != nil {
			t.Fatalf("--chown=%s: %v", c.Chown, err)
		}
		from := strings.Replace(c.SourcePaths[0], "/out", out, 1)
		err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || path == filepath.Clean(from) {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			name, err := filepath.Rel(from, path)
			folder.mode = info.Mode() &^ fs.ModeDir
			folders[filepath.Join(c.DestPath, name)] = folder
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return folders
}

func TestImageFolders(t *testing.T) {
	folders := imageFolders(t)
	for path, want := range map[string]imageFolder{
		"/data":        {65532, 65532, 0o700},
		"/tmp":         {65532, 65532, 0o777 | fs.ModeSticky},
		"/run/spotify": {65531, 65532, 0o750},
		"/run/grafana": {65531, 472, 0o750},
		"/setup":       {65531, 65531, 0o700},
	} {
		if got := folders[path]; got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}
