package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestZones(t *testing.T) {
	link := func(target string) string {
		name := filepath.Join(t.TempDir(), "localtime")
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	zoneinfo := filepath.Join(t.TempDir(), "usr", "share", "zoneinfo")
	for _, name := range []string{"Asia/Tokyo", "Etc/UTC"} {
		file := filepath.Join(zoneinfo, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	plain := filepath.Join(t.TempDir(), "localtime")
	if err := os.WriteFile(plain, []byte("TZif2"), 0o644); err != nil {
		t.Fatal(err)
	}
	tokyo, utc := link(filepath.Join(zoneinfo, "Asia/Tokyo")), link(filepath.Join(zoneinfo, "Etc/UTC"))

	tests := []struct {
		timezone, tz, localtime string
		container               bool
		want                    string // zones.String
		anna                    string // zone of the account anna
		warned                  bool
	}{
		{timezone: "Europe/Berlin", tz: "Asia/Tokyo", want: "Europe/Berlin", anna: "Europe/Berlin"},
		{timezone: "UTC", localtime: utc, container: true, want: "UTC", anna: "UTC"},
		{timezone: "anna=Asia/Tokyo, me=Europe/Berlin", tz: "Europe/Paris", want: "Europe/Paris,anna=Asia/Tokyo,me=Europe/Berlin", anna: "Asia/Tokyo"},
		{timezone: "America/New_York,anna=Asia/Tokyo", want: "America/New_York,anna=Asia/Tokyo", anna: "Asia/Tokyo"},
		{tz: "Europe/Berlin", localtime: tokyo, want: "Europe/Berlin", anna: "Europe/Berlin"},
		{tz: ":Europe/Berlin", want: "Europe/Berlin", anna: "Europe/Berlin"},
		{tz: "/usr/share/zoneinfo/Europe/Berlin", want: "Europe/Berlin", anna: "Europe/Berlin"},
		{tz: "CET-1CEST,M3.5.0,M10.5.0/3", localtime: tokyo, want: "Asia/Tokyo", anna: "Asia/Tokyo"},
		{tz: "Local", localtime: "/nowhere", want: "UTC", anna: "UTC", warned: true},
		{localtime: tokyo, container: true, want: "Asia/Tokyo", anna: "Asia/Tokyo"},
		{localtime: utc, want: "UTC", anna: "UTC"},
		{localtime: utc, container: true, want: "UTC", anna: "UTC", warned: true},
		{localtime: plain, want: "UTC", anna: "UTC", warned: true},
		{localtime: "/nowhere", want: "UTC", anna: "UTC", warned: true},
	}
	for _, test := range tests {
		z, err := newZones(test.timezone, test.tz, test.localtime, test.container)
		if err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		if z.String() != test.want || z.of("anna").String() != test.anna {
			t.Errorf("%+v: zones are %v, that of anna is %v", test, &z, z.of("anna"))
		}
		if warned := z.warning != ""; warned != test.warned || warned != strings.Contains(z.fix, "TIMEZONE") {
			t.Errorf("%+v: warning %q, fix %q", test, z.warning, z.fix)
		}
	}
}
