package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// accompanying are the files of the repository that an archive has beside the program, so that the commands of
// docs/install.md work in it.
var accompanying = []string{
	"README.md", "CHANGELOG.md", "SECURITY.md", ".env.example", "docs",
	"deploy/prometheus/prometheus.yml", "deploy/prometheus/rules.yml", "deploy/proxy", "deploy/runbooks.md", "deploy/systemd",
	"grafana/dashboards", "grafana/provisioning",
}

// writeArchive writes a compressed archive whose files are all in one folder.
func writeArchive(ctx context.Context, file, folder string, src source, b build) (err error) {
	list, err := execute(ctx, src.dir, "git", append([]string{"ls-files", "-z", "--"}, accompanying...)...)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	compressed, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	to := newTarWriter(compressed, src.time)
	if err := to.addFile(folder+"/spotify-exporter", b.program(), owner{}); err != nil {
		return err
	}
	if err := to.addTree(folder, filepath.Join(b.dir, "root/usr/share/doc/spotify-exporter"), owner{}); err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.Trim(list, "\x00"), "\x00") {
		if err := to.addFile(path.Join(folder, name), filepath.Join(src.dir, name), owner{}); err != nil {
			return err
		}
	}
	return errors.Join(to.Close(), compressed.Close())
}

// A tarWriter writes entries that say nothing of the machine: one time for all, numbers instead of names of users.
type tarWriter struct {
	*tar.Writer
	time    time.Time
	folders map[string]bool // that are written
}

func newTarWriter(w io.Writer, t time.Time) tarWriter {
	return tarWriter{tar.NewWriter(w), t, make(map[string]bool)}
}

// addTree adds the files and folders in dir, sorted, as name/… with their modes.
func (w tarWriter) addTree(name, dir string, by owner) error {
	return filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		below, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return w.addFile(path.Join(name, filepath.ToSlash(below)), file, by)
	})
}

// addFile adds a file, or a folder without what is in it. A folder that is there stays as it is.
func (w tarWriter) addFile(name, file string, by owner) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	header, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	*header = tar.Header{Typeflag: header.Typeflag, Name: name, Size: header.Size, Mode: header.Mode, ModTime: w.time, Uid: by.user, Gid: by.group}
	if info.IsDir() {
		if w.folders[name] {
			return nil
		}
		w.folders[name] = true
		header.Name += "/"
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a folder", file)
	}
	if err := w.WriteHeader(header); err != nil || info.IsDir() {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// writeSums writes SHA256SUMS for the files in a folder, as sha256sum -c reads it.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
