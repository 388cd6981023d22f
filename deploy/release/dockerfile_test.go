package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnknownRecipe(t *testing.T) {
	const build, image = "FROM golang AS build\nRUN true\n", "FROM scratch\nARG VERSION=1\n"
	for name, test := range map[string]struct{ text, err string }{
		"three stages":      {build + build + image, "two stages"},
		"a base":            {build + "FROM alpine\n", "from scratch"},
		"RUN":               {build + image + "RUN true\n", "does not know RUN"},
		"ADD":               {build + image + "ADD a /\n", "does not know ADD"},
		"a file":            {build + image + "COPY --from=build /etc/passwd /\n", "want COPY"},
		"of the context":    {build + image + "COPY README.md /\n", "want COPY"},
		"a mode":            {build + image + "COPY --from=build --chmod=0700 /out/a/ /\n", "want COPY"},
		"a place":           {build + image + "COPY --from=build /out/a/ /usr/\n", "want COPY"},
		"a name for a user": {build + image + "COPY --from=build --chown=nobody /out/a/ /\n", "want two numbers"},
		"an unset argument": {build + image + "LABEL a=$OTHER\n", "nothing sets OTHER"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "Dockerfile")
			if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := readRecipe(file)
			if err == nil {
				_, err = r.expanded("VERSION=1")
			}
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want one that says %q", err, test.err)
			}
		})
	}
}
