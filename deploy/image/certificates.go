package main

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// writeCertificates writes Mozilla's root certificates as a PEM file. They come from a module, so that they do not
// depend on the machine that builds. Those that Mozilla trusts under a condition are left out, since the file cannot
// say it.
func writeCertificates(file string) error {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return err
		}
	}
	return writeFile(file, text.Bytes())
}
