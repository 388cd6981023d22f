# Everything here runs on a machine that has only Go, but for influxd, which says what it needs.
export CGO_ENABLED = 0
GO = go

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: test
test: ## run all tests, in about 10 minutes; builds InfluxDB 1.8 first where there is no server to test with
	@echo "All tests take about 5 minutes on two cores, 10 with InfluxDB 2 and Prometheus for tests, and 2 more to build InfluxDB 1.8 once if there is none."
	@exporter/influxtest/build-influxd any
	@skipped=$$(mktemp -d); trap 'rm -rf "$$skipped"' EXIT; status=0; \
	INFLUXTEST_SKIPPED=$$skipped/influxd PROMTEST_SKIPPED=$$skipped/prometheus \
		$(GO) test -shuffle=on -timeout 25m ./... || status=$$?; \
	for server in influxd prometheus; do \
		if test -s "$$skipped/$$server"; then \
			echo "Not run, for want of \"make $$server\":"; \
			sort "$$skipped/$$server" | sed 's/^/  /'; \
		fi; \
	done; \
	exit $$status

.PHONY: bench
bench: ## run all benchmarks
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./...

.PHONY: bench-import
bench-import: ## what an import costs: CPU against the floor of the same run, memory, and how right it is; HISTORY=an extended history (zip) as well
	IMPORT_HISTORY=$(abspath $(HISTORY)) IMPORT_ROWS=20000,100000,1000000/300000 $(GO) test -run '^$$' -bench 'Import$$' -benchtime 1x -timeout 60m ./cmd/spotify-exporter

.PHONY: bench-truth
bench-truth: ## what is recorded against what was played: DAYS=60 or all, SKIP_DAYS=700 before, HISTORY=an extended history (zip, folder, json)
	@report=$$(mktemp -d); trap 'rm -rf "$$report"' EXIT; status=0; \
	TRUTH_DAYS=$(or $(DAYS),60) TRUTH_SKIP_DAYS=$(SKIP_DAYS) TRUTH_HISTORY=$(abspath $(HISTORY)) TRUTH_POLICIES=all TRUTH_REPORT=$$report/table \
		$(GO) test -count=1 -timeout 0 -run '^TestTruth$$' ./collector >"$$report/log" 2>&1 || status=$$?; \
	if test $$status != 0; then cat "$$report/log" >&2; fi; \
	cat "$$report/table"; exit $$status

.PHONY: bench-dashboards
bench-dashboards: ## what every query of the dashboards costs InfluxDB, on 20 years of listening: LISTENS=300000
	@report=$$(mktemp -d); trap 'rm -rf "$$report"' EXIT; status=0; \
	DASHBOARDS_LISTENS=$(or $(LISTENS),300000) DASHBOARDS_REPORT=$$report/tables \
		$(GO) test -run '^$$' -bench 'Dashboards$$' -benchtime 1x -timeout 60m ./grafana >"$$report/log" 2>&1 || status=$$?; \
	if test $$status != 0; then cat "$$report/log" >&2; fi; \
	cat "$$report/tables"; exit $$status

.PHONY: lint
lint: ## gofmt, vet, fix, staticcheck, and whether go.mod and go.sum are tidy and genuine
	gofmt -d .
	$(GO) vet ./...
	$(GO) fix -diff -stringsbuilder=false ./... # which asks for a Builder to join three words
	$(GO) tool staticcheck -checks all ./...
	$(GO) mod tidy -diff
	$(GO) mod verify

.PHONY: build
build: ## build bin/spotify-exporter, static, with the version of the checkout
	$(GO) build -trimpath -buildvcs=true -o bin/ ./cmd/spotify-exporter

.PHONY: release
release: ## make archives, a container image and their checksums of the last commit in dist/VERSION; needs no Docker
	@$(GO) run ./deploy/release

.PHONY: vulnerabilities
vulnerabilities: ## look for known vulnerabilities in all modules; needs https://vuln.go.dev or a copy of it in GOVULNDB
	@status=0; $(GO) tool govulncheck $(if $(GOVULNDB),-db $(GOVULNDB)) ./... || status=$$?; \
	if test $$status != 0 -a $$status != 3; then \
		echo "Nothing was checked. If the database cannot be reached from here, name a copy of it in GOVULNDB." >&2; \
	fi; \
	exit $$status

.PHONY: reproducible
reproducible: ## build the last commit in two directories and compare the bytes
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; set -e; \
	for clone in one another/place; do \
		git clone -q . "$$dir/$$clone"; \
		$(MAKE) --no-print-directory -C "$$dir/$$clone" build; \
	done; \
	cmp "$$dir/one/bin/spotify-exporter" "$$dir/another/place/bin/spotify-exporter"; \
	echo "Both builds are the same: $$($(GO) version -m "$$dir/one/bin/spotify-exporter" | awk '$$1 == "mod" { print $$3 }')"

.PHONY: influxd
influxd: ## build InfluxDB 2.9.1 for tests into the user's cache, once; needs cargo and gcc
	@exporter/influxtest/build-influxd

.PHONY: prometheus
prometheus: ## build Prometheus 3 and Alertmanager for tests into the user's cache, once; needs nothing but Go
	@exporter/promtest/build-prometheus

.PHONY: kubernetes
kubernetes: ## build kustomize and kubectl-validate for tests into the user's cache, once; needs nothing but Go
	@deploy/kubernetes/build-validators

.PHONY: influxd-1.8
influxd-1.8: ## build InfluxDB 1.8.10 for tests into the user's cache, once; needs nothing but Go
	@exporter/influxtest/build-influxd 1.8
