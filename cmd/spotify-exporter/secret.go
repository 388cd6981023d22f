package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// maxSecret is the size of the largest file that is read as a secret, in bytes. The longest token of InfluxDB or
// Grafana has 88 characters.
const maxSecret = 4 << 10

// secret returns the secret that is in a variable, or in the file that the variable NAME_FILE names.
func secret(name, value, file string) (spotify.Secret, error) {
	if file == "" {
		return spotify.Secret(value), nil
	}
	if value != "" {
		return "", fmt.Errorf("%s, %[1]s_FILE: only one of them may be set", name)
	}
	read, err := secretFrom(file)()
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return spotify.Secret(read), nil
}

// secretFrom returns a function that reads a secret from a file: all of it but the line break at its end. The file may
// change between two calls. The errors name the file and never what is in it. Without a file there is no function.
func secretFrom(file string) func() (string, error) {
	if file == "" {
		return nil
	}
	return func() (string, error) {
		content, err := readRegular(file, maxSecret)
		if err != nil {
			return "", err
		}
		value := strings.TrimRight(string(content), "\r\n")
		if value == "" {
			return "", fmt.Errorf("%s is empty", file)
		}
		if fault := faultOf(value); fault != "" {
			return "", fmt.Errorf("%s must hold the secret alone, as text on one line: it %s", file, fault)
		}
		return value, nil
	}
}

// readRegular returns what is in a regular file of at most limit bytes. Anything else could block or never end: a pipe
// waits for its writer, /dev/zero goes on for ever.
func readRegular(path string, limit int64) ([]byte, error) {
	unreadable := func(err error) error {
		return fmt.Errorf("must be a file that user id %d may read: %w", os.Getuid(), err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("must be a regular file, and %s is none", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(err)
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, unreadable(err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("must be a file of at most %d bytes, and %s has more", limit, path)
	}
	return content, nil
}

// faultOf says what keeps a value from being what somebody meant, "" if nothing does. Shells and docker compose take
// quotes away, docker run --env-file and Kubernetes keep them. Editors on Windows begin a file with a byte order mark.
func faultOf(value string) string {
	first, last := []rune(value)[0], []rune(value)[len([]rune(value))-1]
	switch {
	case first == '\ufeff' || strings.HasPrefix(value, "\xff\xfe") || strings.HasPrefix(value, "\xfe\xff"):
		return "begins with a byte order mark: save it as UTF-8 without one"
	case len(value) > 1 && strings.ContainsRune(quotes, first) && strings.ContainsRune(quotes, last):
		return "stands in quotes: remove them"
	case strings.HasSuffix(value, "\n") || strings.HasSuffix(value, "\r"):
		return "ends with a line break: remove it (in a Kubernetes secret, encode it with echo -n)"
	case strings.ContainsFunc(value, unicode.IsControl):
		return "has a line break or another control character in it: remove it"
	}
	return ""
}

// quotes are those of keyboards and of word processors.
const quotes = "\"'`“”„‘’‚«»"
