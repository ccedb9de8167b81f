# The tasks of the house; `make` alone lists them.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Tools, pinned. Each is built once into bin/, under a name with its version.
SQLC_VERSION          := v1.31.1
PROTOC_GEN_GO_VERSION := v1.36.12
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.8.0

SQLC          := bin/sqlc-$(SQLC_VERSION)
PROTOC_GEN_GO := bin/protoc-gen-go-$(PROTOC_GEN_GO_VERSION)
GOLANGCI_LINT := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOVULNCHECK   := bin/govulncheck-$(GOVULNCHECK_VERSION)

E2E        := cmd/nexus/e2e
BENCH_NODE := deploy/bench/node
FUZZTIME   := 5s
PROTOC      = protoc -I . --plugin=protoc-gen-go=$(PROTOC_GEN_GO) --go_opt=module=nexus $$(find actors cluster -name '*.proto' | sort)

.PHONY: help run build test lint fmt gen gen-check vet unit fuzz e2e bench chaos deploy-check vulnerabilities

help: ## List the tasks
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

run: build ## Build and run the server, with a demo campus, at http://127.0.0.1:4000
	@deploy/dev/need.sh postgres
	@exec bin/nexus

build: ## Build bin/nexus
	@go build -o bin/nexus ./cmd/nexus

# The cheap and the likely first; go test has the last word.
test: vet lint gen-check unit fuzz e2e ## Everything that must pass; installs what it needs

vet:
	@echo "== build and vet"
	@go build ./...
	@go vet ./...

lint: $(GOLANGCI_LINT) ## Run golangci-lint
	@echo "== lint"
	@$(GOLANGCI_LINT) run

fmt: $(GOLANGCI_LINT) ## Format the code
	@$(GOLANGCI_LINT) fmt

gen: $(SQLC) $(PROTOC_GEN_GO) ## Write the generated code anew: sqlc and protobuf
	@deploy/dev/need.sh protoc
	@$(SQLC) generate
	@$(PROTOC) --go_out=.

# The generated files say which protoc wrote them; another release of it writes the same code.
gen-check: $(SQLC) $(PROTOC_GEN_GO)
	@echo "== generated code is fresh"
	@deploy/dev/need.sh protoc
	@$(SQLC) diff
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(PROTOC) --go_out="$$fresh"; \
	(cd "$$fresh" && find . -name '*.pb.go') | sort | while read -r f; do \
	  diff -u -I '^// 	protoc  ' "$$f" "$$fresh/$$f" || { echo "$$f is not what its .proto says; type: make gen" >&2; exit 1; }; \
	done

unit:
	@echo "== unit tests"
	@deploy/dev/need.sh postgres redis xmllint
	@go test -race -shuffle=on -timeout 20m $$(go list ./... | grep -v '^nexus/$(E2E)')

fuzz:
	@echo "== fuzz, $(FUZZTIME) each"
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r f; do \
	  grep -oE '^func Fuzz[A-Za-z0-9_]+' "$$f" | cut -d' ' -f2 | while read -r name; do \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$$(dirname "$$f")" </dev/null; \
	  done; \
	done

e2e: $(E2E)/node_modules ## The real binary, seen by the official socket.io-client
	@echo "== end to end"
	@deploy/dev/need.sh postgres redis node curl
	@go test -race -count=1 -timeout 20m ./$(E2E)/...

$(E2E)/node_modules: $(E2E)/package-lock.json
	@deploy/dev/need.sh node
	@npm ci --prefix $(E2E) --no-audit --no-fund --silent
	@touch $@

# The comparison takes an hour of a machine that does nothing else, and 20,000 descriptors for a process; with BENCH=--quick three minutes.
bench: $(BENCH_NODE)/node_modules ## Grain calls, check-ins, ticks and sockets in numbers; then NEXUS beside Node, in docs/benchmarks.md
	@deploy/dev/need.sh postgres redis node
	@go test -run '^$$' -bench . -benchmem -timeout 10m $$(go list ./... | grep -v '^nexus/$(E2E)')
	@go test -run '^$$' -bench . -timeout 10m ./$(E2E)/...
	@go build -o bin/nexus-load ./cmd/nexus-load
	@bin/nexus-load bench $(BENCH)

$(BENCH_NODE)/node_modules: $(BENCH_NODE)/package-lock.json
	@deploy/dev/need.sh node
	@npm ci --prefix $(BENCH_NODE) --no-audit --no-fund --silent
	@touch $@

# Uses haproxy, redis, and as root ip and nft for what can be cut, where they are installed; says what it ran without.
chaos: ## Kill, freeze, drain and cut a campus of real nodes, and check that nothing is lost; minutes
	@deploy/dev/need.sh postgres
	@go run ./cmd/nexus-chaos $(CHAOS)

# Needs no network, no Docker and no cluster once its modules are there. The race detector is for the product; here each test waits for a program.
deploy-check: $(GOLANGCI_LINT) ## Image, compose file, manifests, workflows, proxy, alerts, dashboards, scripts, backups: read, run and restored
	@echo "== deployment"
	@deploy/dev/need.sh postgres nginx curl
	@cd deploy/check && go vet ./... && ../../$(GOLANGCI_LINT) run && go test -count=1 -shuffle=on -timeout 20m ./...

vulnerabilities: $(GOVULNCHECK) ## Known vulnerabilities that the code reaches; asks the Go vulnerability database
	@$(GOVULNCHECK) ./...

# $(call install,module@version): builds a tool into bin/ beside its name, and then moves it there whole.
define install
	@echo "building $(notdir $@)"
	@mkdir -p bin/.$(notdir $@)
	@GOBIN=$(CURDIR)/bin/.$(notdir $@) go install $(1)
	@mv bin/.$(notdir $@)/* $@ && rmdir bin/.$(notdir $@)
endef

$(SQLC):
	$(call install,github.com/sqlc-dev/sqlc/cmd/sqlc@$(SQLC_VERSION))

$(PROTOC_GEN_GO):
	$(call install,google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION))

$(GOVULNCHECK):
	$(call install,golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION))

$(GOLANGCI_LINT):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION))
