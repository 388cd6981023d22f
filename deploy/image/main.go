// Command image puts beside a program what a container image has to have as well: the licences of all that is in the
// program, and the certificates by which it knows the servers that it calls.
//
//	go run ./deploy/image DIR
//
// DIR is the root of the image, with the program in usr/bin. The Dockerfile calls it in a clone of the repository.
package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./deploy/image DIR")
		os.Exit(2)
	}
	if err := complete(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// complete writes into the folder that is the root of an image.
func complete(ctx context.Context, root string) error {
	syscall.Umask(0o022) // modes in the image are not those of whoever builds it
	info, err := buildinfo.ReadFile(filepath.Join(root, "usr/bin/spotify-exporter"))
	if err != nil {
		return err
	}
	return errors.Join(
		writeLicenses(ctx, info, filepath.Join(root, "usr/share/doc/spotify-exporter")),
		writeCertificates(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")),
	)
}

// writeFile writes a file and makes the folders above it.
func writeFile(file string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}
