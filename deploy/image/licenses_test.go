package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCopyLegal(t *testing.T) {
	module, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"LICENSE", "NOTICE.txt", "license.go", "README.md", "a/COPYING", "a/b/LICENSE-MIT", "a/b/c/c.go", "other/LICENSE"} {
		if err := writeFile(filepath.Join(module, name), []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyLegal(module, filepath.Join(module, "a/b/c"), to); err != nil {
		t.Fatal(err)
	}
	var copied []string
	if err := filepath.WalkDir(to, func(file string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			copied = append(copied, strings.TrimPrefix(file, to+"/"))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"LICENSE", "NOTICE.txt", "a/COPYING", "a/b/LICENSE-MIT"}; !slices.Equal(copied, want) {
		t.Errorf("copied %v, want %v", copied, want)
	}
}

func TestNoLicense(t *testing.T) {
	module := t.TempDir()
	if err := writeFile(filepath.Join(module, "a/LICENSE"), nil); err != nil {
		t.Fatal(err)
	}
	if err := copyLegal(module, filepath.Join(module, "a"), t.TempDir()); err == nil || !strings.Contains(err.Error(), module) {
		t.Errorf("a module without a licence at its top: %v, want an error that names it", err)
	}
}
