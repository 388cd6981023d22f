// Boards prints the dashboards: boards DIRECTORY writes each to DIRECTORY/UID.json.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: boards DIRECTORY")
		os.Exit(2)
	}
	for _, b := range boards() {
		content, err := b.json()
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], b.UID+".json"), content, 0o644)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "boards: write %s: %v\n", b.UID, err)
			os.Exit(1)
		}
	}
}

// boards are all of them.
func boards() []board {
	return []board{
		listening(),
		now(),
		artist(),
		year(),
		allTime(),
		poller(),
		public(),
	}
}

// json returns the board as it is in its file.
func (b board) json() ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(b)
	return buffer.Bytes(), err
}
