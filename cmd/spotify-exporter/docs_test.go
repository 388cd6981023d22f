package main

import (
	"bytes"
	"cmp"
	"image"
	_ "image/png" // the pictures of docs
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

const (
	readmePage     = "README.md"
	runbookPage    = "deploy/runbooks.md" // where the alerts point
	maxReadmeLines = 150
	maxPageLines   = 200
)

// longPages may be longer: they are looked up in, not read.
var longPages = []string{runbookPage, "docs/metrics.md"}

// page is a page of documentation.
type page struct {
	path     string // in the repository
	source   []byte
	document ast.Node
}

// readPages reads the README and all pages of docs and deploy.
func readPages(t *testing.T) []page {
	t.Helper()
	paths := []string{readmePage, runbookPage}
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatalf("docs has no pages (%v)", err)
	}
	for _, file := range found {
		paths = append(paths, "docs/"+filepath.Base(file))
	}
	var pages []page
	for _, name := range paths {
		pages = append(pages, parsePage(name, []byte(readText(t, filepath.Join(root, name)))))
	}
	return pages
}

func parsePage(name string, source []byte) page {
	markdown := goldmark.New(goldmark.WithExtensions(extension.GFM))
	return page{path: name, source: source, document: markdown.Parser().Parse(text.NewReader(source))}
}

// nodes returns the nodes of type N in the order of the page.
func nodes[N ast.Node](p page) []N {
	var found []N
	err := ast.Walk(p.document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if node, ok := n.(N); ok && entering {
			found = append(found, node)
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		panic(err) // the function above returns none
	}
	return found
}

// plain returns the text of a node without its marks.
func (p page) plain(n ast.Node) string {
	var b strings.Builder
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		switch child := child.(type) {
		case *ast.Text:
			b.Write(child.Value(p.source))
			if child.SoftLineBreak() {
				b.WriteByte(' ')
			}
		case *ast.AutoLink:
			b.Write(child.Label(p.source))
		default:
			b.WriteString(p.plain(child))
		}
	}
	return b.String()
}

// anchors returns what "#…" may name on the page, as GitHub makes it of headings.
func (p page) anchors() map[string]bool {
	all := map[string]bool{}
	for _, heading := range nodes[*ast.Heading](p) {
		all[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, p.plain(heading))] = true
	}
	return all
}

func TestDocsSize(t *testing.T) {
	for _, p := range readPages(t) {
		most := maxPageLines
		switch {
		case p.path == readmePage:
			most = maxReadmeLines
		case slices.Contains(longPages, p.path):
			continue
		}
		if lines := bytes.Count(p.source, []byte("\n")); lines > most {
			t.Errorf("%s: %d lines, and %d are the most", p.path, lines, most)
		}
	}
}

// TestDocsBeginWithRequirements looks for what a reader needs before anything else.
func TestDocsBeginWithRequirements(t *testing.T) {
	for _, p := range readPages(t) {
		if p.path == runbookPage {
			continue
		}
		headings := nodes[*ast.Heading](p)
		if len(headings) < 2 || headings[0].Level != 1 || headings[1].Level != 2 || p.plain(headings[1]) != "What you need" {
			t.Errorf("%s: must begin with a title and the heading \"What you need\"", p.path)
		}
	}
}

// TestDocsTerms holds that a term of this project is explained where a page first
// uses it: there it is emphasized, and explained beside it.
func TestDocsTerms(t *testing.T) {
	terms := regexp.MustCompile(`(?i)\b(journal|witness|shard group|operator token|watchdog|outbox)`)
	for _, p := range readPages(t) {
		if p.path == runbookPage {
			continue
		}
		explained := map[string]bool{"outbox": false}
		err := ast.Walk(p.document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
			if !entering {
				return ast.WalkContinue, nil
			}
			switch n := n.(type) {
			case *ast.Heading, *ast.CodeSpan, *ast.FencedCodeBlock, *ast.Image, *ast.Link, *ast.AutoLink:
				return ast.WalkSkipChildren, nil
			case *ast.Emphasis:
				for _, term := range terms.FindAllString(p.plain(n), -1) {
					explained[strings.ToLower(term)] = true
				}
			case *ast.Text:
				for _, term := range terms.FindAllString(string(n.Value(p.source)), -1) {
					if key := strings.ToLower(term); !explained[key] {
						t.Errorf("%s: %q is used before it is explained: %q", p.path, term, n.Value(p.source))
						explained[key] = true // once
					}
				}
			}
			return ast.WalkContinue, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDocsLinks(t *testing.T) {
	pages := readPages(t)
	linked := map[string]bool{}
	for _, p := range pages {
		for _, link := range nodes[*ast.Link](p) {
			checkLink(t, pages, linked, p, string(link.Destination))
		}
		for _, link := range nodes[*ast.AutoLink](p) {
			checkLink(t, pages, linked, p, string(link.URL(p.source)))
		}
		for _, picture := range nodes[*ast.Image](p) {
			checkLink(t, pages, linked, p, string(picture.Destination))
		}
	}
	for _, p := range pages {
		if p.path != readmePage && !linked[readmePage+" "+p.path] {
			t.Errorf("README does not lead to %s", p.path)
		}
	}
	if found, err := filepath.Glob(filepath.Join(root, "docs/pictures/*")); err != nil || len(found) == 0 {
		t.Errorf("no pictures (%v)", err)
	} else {
		for _, file := range found {
			name := "docs/pictures/" + filepath.Base(file)
			if !slices.ContainsFunc(pages, func(p page) bool { return linked[p.path+" "+name] }) {
				t.Errorf("no page shows %s", name)
			}
		}
	}
}

func checkLink(t *testing.T, pages []page, linked map[string]bool, p page, destination string) {
	t.Helper()
	target, err := url.Parse(destination)
	if err != nil {
		t.Errorf("%s: %v", p.path, err)
		return
	}
	if target.IsAbs() {
		if host := target.Hostname(); target.Scheme != "https" && host != "localhost" && host != "127.0.0.1" {
			t.Errorf("%s: %s: must be https", p.path, destination)
		}
		return
	}
	name := p.path
	if target.Path != "" {
		name = path.Join(path.Dir(p.path), target.Path)
		linked[p.path+" "+name] = true
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("%s: link to %s: %v", p.path, destination, err)
			return
		}
	}
	if target.Fragment == "" {
		return
	}
	i := slices.IndexFunc(pages, func(p page) bool { return p.path == name })
	if i < 0 || !pages[i].anchors()[target.Fragment] {
		t.Errorf("%s: %s has no heading for #%s", p.path, name, target.Fragment)
	}
}

// TestDocsPictures holds that the README shows pictures, each on a line of its own,
// with words for those who do not see it.
func TestDocsPictures(t *testing.T) {
	alone := regexp.MustCompile(`(?m)^!\[[^\]]{10,}\]\([^()\s]+\)$`)
	for _, p := range readPages(t) {
		pictures := nodes[*ast.Image](p)
		if lines := len(alone.FindAll(p.source, -1)); lines != len(pictures) {
			t.Errorf("%s: %d pictures, %d of them on a line of their own with a text", p.path, len(pictures), lines)
		}
		if p.path == readmePage && len(pictures) < 2 {
			t.Errorf("%s: %d pictures", p.path, len(pictures))
		}
		for _, picture := range pictures {
			file, err := os.Open(filepath.Join(root, path.Dir(p.path), string(picture.Destination)))
			if err != nil {
				t.Error(err)
				continue
			}
			config, _, err := image.DecodeConfig(file)
			if err := cmp.Or(err, file.Close()); err != nil || config.Width < 300 {
				t.Errorf("%s: %s: %d pixels wide (%v)", p.path, picture.Destination, config.Width, err)
			}
		}
	}
}

// addressFiles are the files, imports and go.mod aside, that have the public address
// of the project. To move it is to replace it in these.
var addressFiles = []string{
	"README.md",                               // the clone
	"Dockerfile",                              // labels of the image
	"cmd/spotify-exporter/version.go",         // how it introduces itself to servers
	"deploy/prometheus/rules.yml",             // the runbook of each alert; its tests and prometheusrule.yaml follow
	"deploy/systemd/spotify-exporter.service", // Documentation
	"grafana/boards/board.go",                 // links to documentation; the JSON of the boards follows
}

// TestPublicAddress holds that the address of the project is in few files, and on
// the pages only once.
func TestPublicAddress(t *testing.T) {
	followers := regexp.MustCompile(`^(deploy/prometheus/\w+_test\.yml|deploy/kubernetes/prometheusrule\.yaml|grafana/dashboards/.*\.json|.*_test\.go)$`)
	address := []byte(publicAddress(t))
	var found []string
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "dist", "data", "imports"}, name):
			return fs.SkipDir
		case !entry.Type().IsRegular() || followers.MatchString(name):
			return nil
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		count := bytes.Count(content, address)
		if count > 0 {
			found = append(found, name)
		}
		if strings.HasSuffix(name, ".md") && count > 1 {
			t.Errorf("%s has the address %d times", name, count)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	if want := slices.Sorted(slices.Values(addressFiles)); !slices.Equal(found, want) {
		t.Errorf("%s is in\n%q, want\n%q", address, found, want)
	}
}

// publicAddress returns where the project is published: its module path.
func publicAddress(t *testing.T) string {
	t.Helper()
	name, found := strings.CutPrefix(strings.SplitN(readText(t, filepath.Join(root, "go.mod")), "\n", 2)[0], "module ")
	if !found {
		t.Fatal("go.mod does not begin with the module")
	}
	return "https://" + name
}
