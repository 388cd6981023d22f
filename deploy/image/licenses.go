package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
)

// legal matches the names of files that have to come along with a program that contains a module.
var legal = regexp.MustCompile(`(?i)^(un)?licen[cs]e|^copying|^copyright|^notice|^patents|^authors|-licen[cs]e`)

// writeLicenses copies the texts of licence into a folder: our own as LICENSE, those of Go and of every module that has
// a package in the program into licenses/MODULE. The certificates' module counts as one of the program.
func writeLicenses(ctx context.Context, program *debug.BuildInfo, dir string) error {
	ours, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "LICENSE"), ours); err != nil {
		return err
	}
	goroot, err := goCommand(ctx, program, "env", "GOROOT")
	if err != nil {
		return err
	}
	third := filepath.Join(dir, "licenses")
	goDir := strings.TrimSpace(string(goroot))
	if err := copyLegal(goDir, goDir, filepath.Join(third, "go")); err != nil {
		return err
	}

	list, err := goCommand(ctx, program, "list", "-deps", "-json=Dir,Module", program.Path, "golang.org/x/crypto/x509roots/fallback/bundle")
	if err != nil {
		return err
	}
	covered := make(map[string]bool)
	for packages := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Dir string
				Main      bool
			}
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("decode go list: %w", err)
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		if err := copyLegal(p.Module.Dir, p.Dir, filepath.Join(third, p.Module.Path)); err != nil {
			return err
		}
		covered[p.Module.Path] = true
	}
	for _, module := range program.Deps {
		if !covered[module.Path] {
			return fmt.Errorf("the program has a package of %s, which go list does not name: was it built from another commit?", module.Path)
		}
	}
	return nil
}

// copyLegal copies the legal files of a module that stand in the folder of a package or above it. A module that has
// none at its top is an error.
func copyLegal(module, folder, to string) error {
	for ; ; folder = filepath.Dir(folder) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(module, folder)
		if err != nil {
			return err
		}
		found := false
		for _, entry := range entries {
			if !entry.Type().IsRegular() || !legal.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
			if err != nil {
				return err
			}
			if err := writeFile(filepath.Join(to, below, entry.Name()), text); err != nil {
				return err
			}
			found = true
		}
		switch {
		case below != ".":
		case found:
			return nil
		default:
			return fmt.Errorf("%s has no file that looks like a licence", module)
		}
	}
}

// goCommand runs the go command for the platform of a program and returns what it printed.
func goCommand(ctx context.Context, program *debug.BuildInfo, args ...string) ([]byte, error) {
	var problems strings.Builder
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env, cmd.Stderr = os.Environ(), &problems
	for _, setting := range program.Settings {
		switch setting.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED":
			cmd.Env = append(cmd.Env, setting.Key+"="+setting.Value)
		}
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, problems.String())
	}
	return out, nil
}
