package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Files that say the same of one play in different ways: whatever their order, in one
// import or in several, the play is one and has what any of them says.
func TestImportOfOnePlayInSeveralFiles(t *testing.T) {
	const (
		names   = `"master_metadata_track_name":"Tin\u00e3sto Caf\u00e9","master_metadata_album_artist_name":"Bj\u00f6rn","master_metadata_album_album_name":"D\u00e9but",`
		damaged = "\"master_metadata_track_name\":\"Tin\xe3sto Caf\xe9\",\"master_metadata_album_artist_name\":\"Bj\xf6rn\",\"master_metadata_album_album_name\":\"D\xe9but\","
		none    = `"master_metadata_track_name":null,"master_metadata_album_artist_name":null,"master_metadata_album_album_name":null,`
		uri     = `"spotify_track_uri":"spotify:track:0000000000000000000001",`
		noURI   = `"spotify_track_uri":null,`
	)
	row := func(members ...string) string {
		return `[{"ts":"2020-03-01T10:00:00Z","ms_played":200000,` + strings.Join(members, "") + `"offline_timestamp":1583056600000,"incognito_mode":false}]`
	}
	account := func(track, artist string) string {
		return fmt.Sprintf(`[{"endTime":"2020-03-01 10:00","artistName":"%s","trackName":"%s","msPlayed":200000}]`, artist, track)
	}
	right := row(names, uri)
	for name, files := range map[string][]string{
		"without the uri":                    {right, row(names)},
		"the uri null":                       {right, row(names, noURI)},
		"the title removed":                  {right, row(none, noURI)},
		"letters lost":                       {right, row(damaged, uri)},
		"letters lost, without the uri":      {right, row(damaged, noURI)},
		"letters lost in the account data":   {right, account("Tin\xe3sto Caf\xe9", "Bj\xf6rn")},
		"all of them":                        {right, row(names), row(none, noURI), row(damaged, uri), account("Tin\xe3sto Caf\xe9", "Bj\xf6rn"), account("Tinãsto Café", "Björn")},
		"in UTF-8 with the letters replaced": {right, strings.NewReplacer("\xe3", "\ufffd", "\xe9", "\ufffd", "\xf6", "\ufffd").Replace(row(damaged, uri))},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var paths []string
			for n, content := range files {
				paths = append(paths, filepath.Join(dir, fmt.Sprintf("%d.json", n)))
				writeFile(t, paths[n], content)
			}
			reversed := slices.Clone(paths)
			slices.Reverse(reversed)
			rotated := append(slices.Clone(paths[1:]), paths[0])
			for _, order := range [][]string{paths, reversed, rotated} {
				for _, together := range []bool{true, false} {
					setEnvironment(t, nil)
					var sheets []balance
					if together {
						b, _ := runImport(t, order...)
						sheets = append(sheets, b)
					} else {
						for _, path := range order {
							b, _ := runImport(t, path)
							sheets = append(sheets, b)
						}
					}
					stored := 0
					for _, b := range sheets {
						stored += b.Stored
					}
					plays := recordedPlays(t)
					if len(plays) != 1 || stored != 1 || !strings.Contains(plays[0], "Tinãsto Café") || !strings.Contains(plays[0], "Björn") ||
						!strings.Contains(plays[0], "Début") || !strings.Contains(plays[0], "spotify:track:0000000000000000000001") {
						t.Errorf("together %v, %v: %d stored, plays %s", together, order, stored, strings.Join(plays, "\n"))
					}
				}
			}
		})
	}
}
