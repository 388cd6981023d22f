package grafana

import (
	"regexp"
	"strings"
)

var (
	// scheme begins an address, or runs a program. What is in front of it may be another word in one with it.
	scheme = regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*)://|\b(javascript|vbscript|data|blob|file):[^\s]`)
	// dataImage is a picture within the text.
	dataImage = regexp.MustCompile(`(?i)^data:image/(?:png|jpeg|gif|webp|avif|svg\+xml)[;,]`)
	// link and picture are where Markdown and HTML have the address of either.
	link    = regexp.MustCompile(`(?i)(?:^|[^!])\[[^\]]*\]\(\s*<?([^)\s>]*)|\b(?:href|action|formaction|data|srcdoc)\s*=\s*["']?([^"'\s>]*)`)
	picture = regexp.MustCompile(`(?i)!\[[^\]]*\]\(\s*<?([^)\s>]*)|\b(?:src|srcset|poster)\s*=\s*["']?([^"'\s>]*)|\burl\(\s*["']?([^"')\s]*)`)
)

// badAddress finds an address in a text that no visitor should open: links are https, pictures https or in the text
// itself. Others name servers of a home network, send what a visitor does unencrypted, or run programs.
func badAddress(text string) string {
	for _, found := range link.FindAllStringSubmatch(text, -1) {
		if address := strings.Join(found[1:], ""); !isHTTPS(address) && !strings.HasPrefix(address, "#") {
			return "a link that is not https"
		}
	}
	for _, found := range picture.FindAllStringSubmatch(text, -1) {
		if address := strings.Join(found[1:], ""); !isHTTPS(address) && !dataImage.MatchString(address) {
			return "a picture that is neither https nor in the text itself"
		}
	}
	for _, at := range scheme.FindAllStringIndex(text, -1) {
		if address := text[at[0]:]; !isHTTPS(address) && !dataImage.MatchString(address) {
			return "an address that is not https"
		}
	}
	return ""
}

func isHTTPS(address string) bool {
	const https = "https://"
	return len(address) > len(https) && strings.EqualFold(address[:len(https)], https)
}
