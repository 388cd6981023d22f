package grafana

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The files in the folder of a Publisher, each 0600.
const (
	keysName = "snapshot.json"      // keys
	nextName = "snapshot.next.json" // body that is about to replace what is published
	lockName = "snapshot.lock"      // held by the process that publishes
)

// keys are what makes the link of the snapshot stay the same, and who may delete
// it: made once, kept for good. Anybody with Key sees the snapshot, whoever has
// DeleteKey and a login at Grafana can remove it.
type keys struct {
	Key       string `json:"key"`
	DeleteKey string `json:"delete_key"`
	// Published is the last success; nil before the first one.
	Published *Published `json:"published,omitempty"`
}

// Published is a snapshot that visitors get.
type Published struct {
	At       time.Time     `json:"at"`
	Duration time.Duration `json:"duration_ns"` // from the first request to the last
	Size     int           `json:"size_bytes"`  // of what was posted
	Panels   int           `json:"panels"`      // with data
	Gap      time.Duration `json:"gap_ns"`      // how long visitors got nothing in between
}

// loadKeys returns the keys of a folder, and makes and keeps them if there are none.
func loadKeys(dir string) (keys, error) {
	path := filepath.Join(dir, keysName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		made := keys{Key: random(), DeleteKey: random()}
		return made, made.save(dir)
	}
	if err != nil {
		return keys{}, &Error{Reason: Local, Text: "read the keys of the snapshot", Err: err}
	}
	info, err := os.Stat(path)
	if err != nil {
		return keys{}, &Error{Reason: Local, Text: "read the keys of the snapshot", Err: err}
	}
	var k keys
	switch err := json.Unmarshal(content, &k); {
	case info.Mode().Perm()&0o077 != 0:
		return keys{}, failure(Local, "%s: others may read it (mode %04o), run chmod 600 %[1]s", path, info.Mode().Perm())
	case err != nil || k.Key == "" || k.DeleteKey == "":
		return keys{}, failure(Local, "%s: is damaged: restore it from a backup, or remove it and accept a new link", path)
	}
	return k, nil
}

// save keeps the keys.
func (k keys) save(dir string) error {
	if err := writeFile(dir, keysName, k); err != nil {
		return &Error{Reason: Local, Text: "keep the keys of the snapshot", Err: err}
	}
	return nil
}

// random makes a key of 128 bits in 32 letters and digits: what Grafana's newer API
// takes for a name has at most 40 of [a-z0-9-].
func random() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails
	return hex.EncodeToString(bits[:])
}

// writeFile replaces a file whole or not at all, even if the power fails.
func writeFile(dir, name string, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	file, err := os.CreateTemp(dir, "."+name+"-*") // 0600
	if err != nil {
		return err
	}
	_, err = file.Write(append(encoded, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// loadNext returns the body that was about to be published when a process ended;
// nil if there is none.
func loadNext(dir string) (*body, error) {
	content, err := os.ReadFile(filepath.Join(dir, nextName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{Reason: Local, Text: "read the snapshot that was to be published", Err: err}
	}
	var next body
	if err := json.Unmarshal(content, &next); err != nil {
		return nil, removeNext(dir) // of another version: the next refresh makes a new one
	}
	return &next, nil
}

func removeNext(dir string) error {
	if err := os.Remove(filepath.Join(dir, nextName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &Error{Reason: Local, Text: "remove the snapshot that was to be published", Err: err}
	}
	return nil
}
