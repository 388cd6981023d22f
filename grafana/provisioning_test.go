package grafana_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v2"
)

// dataSources is a provisioning file of data sources, with the keys that Grafana
// knows and that we use.
type dataSources struct {
	APIVersion  int  `yaml:"apiVersion"`
	Prune       bool `yaml:"prune"`
	DataSources []struct {
		Name, UID, Type, Access, URL string
		Editable                     bool
		JSONData                     map[string]any    `yaml:"jsonData"`
		SecureJSONData               map[string]string `yaml:"secureJsonData"`
	} `yaml:"datasources"`
}

// dashboardProviders is a provisioning file of dashboards.
type dashboardProviders struct {
	APIVersion int `yaml:"apiVersion"`
	Providers  []struct {
		Name, Type, Folder string
		FolderUID          string `yaml:"folderUid"`
		DisableDeletion    bool   `yaml:"disableDeletion"`
		AllowUIUpdates     bool   `yaml:"allowUiUpdates"`
		UpdateInterval     int    `yaml:"updateIntervalSeconds"`
		Options            struct {
			Path  string
			Files bool `yaml:"foldersFromFilesStructure"`
		}
	}
}

// readProvisioning reads a provisioning file as Grafana does, without keys that are
// not in into. Each value is expanded by the environment and files given; what it
// asks for that is not there is an error of the test.
func readProvisioning(t *testing.T, name string, environment, files map[string]string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("provisioning", name))
	if err != nil {
		t.Fatal(err)
	}
	expanded := variableInYAML.ReplaceAllStringFunc(string(content), func(match string) string {
		parts := variableInYAML.FindStringSubmatch(match)
		from := environment
		if parts[1] == "__file" {
			from = files
		}
		value, ok := from[parts[2]]
		if !ok {
			t.Errorf("%s: %s is not to be had", name, match)
		}
		return value
	})
	if err := yaml.UnmarshalStrict([]byte(expanded), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// variableInYAML is what Grafana expands in values of provisioning files.
var variableInYAML = regexp.MustCompile(`\$(__file|__env|){([^}]+)}`)

// readDataSources reads the data sources as they are in our stack.
func readDataSources(t *testing.T) (file dataSources) {
	t.Helper()
	readProvisioning(t, "datasources/spotify.yml", map[string]string{
		"INFLUX_URL": "http://influxdb:8086", "INFLUX_ORG": "home", "INFLUX_BUCKET": "spotify",
		"PROMETHEUS_URL": "http://prometheus:9090", "ALERTMANAGER_URL": "http://alertmanager:9093",
	}, map[string]string{"/run/spotify/grafana-influx-token": "secret-token=="}, &file)
	return file
}

func TestDataSources(t *testing.T) {
	file := readDataSources(t)
	if file.APIVersion != 1 || !file.Prune {
		t.Errorf("apiVersion %d, prune %v", file.APIVersion, file.Prune)
	}
	types, urls := map[string]string{}, map[string]string{}
	for _, source := range file.DataSources {
		types[source.UID], urls[source.UID] = source.Type, source.URL
		if source.Access != "proxy" || source.Editable || source.Name == "" {
			t.Errorf("%s: %+v", source.UID, source)
		}
		interval := source.JSONData["timeInterval"]
		switch source.UID {
		case "spotify-influx":
			if source.JSONData["version"] != "Flux" || source.JSONData["organization"] != "home" || source.JSONData["defaultBucket"] != "spotify" || interval != "1m" {
				t.Errorf("%s: %v", source.UID, source.JSONData)
			}
			if source.SecureJSONData["token"] != "secret-token==" {
				t.Errorf("%s does not have the token of its file", source.UID)
			}
		case "spotify-prom":
			if want := scrapeInterval(t); interval != want {
				t.Errorf("%s has the interval %v, Prometheus scrapes every %v", source.UID, interval, want)
			}
			if uid := source.JSONData["alertmanagerUid"]; uid != "spotify-alertmanager" {
				t.Errorf("%s shows the alerts of %v", source.UID, uid)
			}
		}
	}
	for uid, want := range map[string][2]string{
		"spotify-influx":       {"influxdb", "http://influxdb:8086"},
		"spotify-prom":         {"prometheus", "http://prometheus:9090"},
		"spotify-alertmanager": {"alertmanager", "http://alertmanager:9093"},
	} {
		if types[uid] != want[0] || urls[uid] != want[1] {
			t.Errorf("%s is a %q at %q, want %v", uid, types[uid], urls[uid], want)
		}
	}
	if len(file.DataSources) != 3 || len(types) != 3 {
		t.Errorf("data sources %v", types)
	}
}

// scrapeInterval is how often our Prometheus scrapes.
func scrapeInterval(t *testing.T) any {
	t.Helper()
	content, err := os.ReadFile("../deploy/prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Global struct {
			ScrapeInterval string `yaml:"scrape_interval"`
		}
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Fatal(err)
	}
	return config.Global.ScrapeInterval
}

// TestBoardsAreProvisioned holds the provider of boards against what it is to do, and
// the names of the boards' files against their uids.
func TestBoardsAreProvisioned(t *testing.T) {
	var file dashboardProviders
	readProvisioning(t, "dashboards/spotify.yml", nil, nil, &file)
	if file.APIVersion != 1 || len(file.Providers) != 1 {
		t.Fatalf("%+v", file)
	}
	p := file.Providers[0]
	if p.Type != "file" || p.Folder == "" || p.FolderUID == "" || p.DisableDeletion || p.AllowUIUpdates || p.Options.Files || !filepath.IsAbs(p.Options.Path) {
		t.Errorf("%+v", p)
	}
	boards := readBoards(t)
	for _, uid := range boardUIDs {
		if boards[uid] == nil {
			t.Errorf("dashboards/%s.json is not there to be provisioned", uid)
		}
	}
}
