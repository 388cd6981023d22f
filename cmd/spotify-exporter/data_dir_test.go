package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDataDirIsAFile runs every command that needs DATA_DIR: each says what is wrong with it,
// and that no other start puts it right.
func TestDataDirIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	history := filepath.Join(t.TempDir(), "Streaming_History_Audio_2024_0.json")
	row := `[{"ts":"2024-03-01T20:00:00Z","ms_played":180000,"master_metadata_track_name":"Song","master_metadata_album_artist_name":"Artist","master_metadata_album_album_name":"Album","spotify_track_uri":"spotify:track:0000000000000000000001"}]`
	for name, content := range map[string]string{file: "", history: row} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setEnvironment(t, map[string]string{"DATA_DIR": file, "SPOTIFY_CLIENT_ID": "client", "WEB_LISTEN_ADDRESS": "127.0.0.1:0", "GRAFANA_URL": "http://127.0.0.1:9", "GRAFANA_TOKEN": "token"})
	for _, args := range [][]string{
		{"run"}, {"login"}, {"import", "--account", "me", history}, {"import", "--account", "me", "--dry-run", history}, {"import", "--list"},
		{"import", "--undo", "1"}, {"plays"}, {"explain", "1"}, {"gaps"}, {"replay"}, {"snapshot"}, {"backup", file + ".tar"}, {"restore", file},
	} {
		if _, errs := command(t, exitConfig, args...); !strings.Contains(errs, "DATA_DIR: must be a folder") {
			t.Errorf("%v says: %s", args, errs)
		}
	}
}
