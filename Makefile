# Splice. `make help` lists the targets. Everything that they need, Go modules included, they get themselves.
GO    ?= go
MODEL ?= deepfm
RUN   ?= runs/criteo_$(MODEL)
PKG   ?= ./...
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build build-mpi test mpi short race lint fix fuzz attack bench bench-torch bench-jobs bench-serve cover golden generate train-criteo cki-criteo tables clean ci

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## compile all commands into bin/
	$(GO) build -o bin/ ./cmd/...

build-mpi: ## compile train, finetune and launch for several processes into bin/: train-mpi, finetune-mpi, launch (docs/distributed.md)
	@mkdir -p bin
	for c in train finetune; do $(GO) build -tags mpi -o bin/$$c-mpi ./cmd/$$c; done
	$(GO) build -o bin/ ./cmd/launch

train-criteo: ## train on Criteo rows: DATA=train.txt (synthetic rows without it) MODEL=deepfm|dcn|dcnv2 RUN=runs/NAME
	$(GO) run ./cmd/train --config configs/criteo_$(MODEL).yaml --run $(RUN) --overwrite \
		$(if $(DATA),--set 'data.path=$(DATA)' --set data.fallback=none,--set train.epochs=2)

cki-criteo: ## make two runs that saw other rows, merge them into one, compare: DATA=train.txt (other users' synthetic clicks without it)
	$(GO) run ./cmd/cki --overwrite $(if $(DATA),--config configs/cki_criteo.yaml --set 'data.path=$(DATA)' --set data.fallback=none,--config configs/cki_tastes.yaml)

tables: ## the merges of docs/results over 5 seeds (hours); DATA=frappe.csv CRITEO20K='criteo20k/*.csv'
	@set -e; for t in other_data same_data mlp deepfm dcnv2; do $(GO) run ./cmd/table $(if $(DATA),--set 'data.path=$(DATA)') scripts/table_$$t.yaml; done
	$(GO) run ./cmd/table $(if $(CRITEO20K),--set 'data.path=$(CRITEO20K)') scripts/table_criteo20k.yaml

test: ## run all tests
	$(GO) test -timeout 15m $(PKG)

mpi: ## test several processes with every MPI that is installed (Open MPI, MPICH), and that other programs stay static
	$(GO) vet -tags mpi ./train/dist/... ./cmd/internal/app
	@! $(GO) list -deps ./cmd/... | grep purego || { echo "programs without the tag mpi link purego"; exit 1; }
	$(GO) test -tags mpi -timeout 5m -v ./train/dist/mpi

short: ## run the quick tests
	$(GO) test -short $(PKG)

race: ## run the quick tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short $(PKG)

lint: ## format, vet, staticcheck, tidiness, vulnerabilities, generated files, other platforms
	.ci/lint

fix: ## format the code and apply the standard fixes
	$(GO) tool -modfile=.ci/tools/go.mod gofumpt -w .
	$(GO) fix ./...
	$(GO) mod tidy

FUZZTIME ?= 1m
fuzz: ## fuzz every parser for FUZZTIME (1m) each
	@set -e; for d in $$($(GO) list -f '{{.Dir}}' ./...); do \
		for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$d/*_test.go 2>/dev/null | cut -c6-); do \
			echo "$$f in $$d"; (cd $$d && $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x .); \
		done; done

KILLS   ?= 1000
FAULTS  ?= 100
DAMAGES ?= 200
attack: ## kill commands KILLS times, disturb them FAULTS times, damage files DAMAGES times, and print how that ended (5 minutes)
	cd cmd && SPLICE_ATTACK_TABLE=1 SPLICE_ATTACK_KILLS=$(KILLS) SPLICE_ATTACK_FAULTS=$(FAULTS) SPLICE_ATTACK_DAMAGES=$(DAMAGES) \
		$(GO) test -count=1 -timeout 2h -run '^TestAttack'

# environment makes bin/NAME of the packages of a file, anew if the file has changed.
define environment
	@cmp -s scripts/bench/$(2) bin/$(1)/$(2) || { python3 -m venv bin/$(1) && bin/$(1)/bin/pip install -q -r scripts/bench/$(2) && cp scripts/bench/$(2) bin/$(1)/; }
endef

bench-torch: ## time steps, epochs and inference against PyTorch in all its modes (BENCH='-rows din -measure step' for some; environment in bin/)
	$(call environment,torch,requirements.txt)
	$(GO) run ./scripts/bench -python "$(CURDIR)/bin/torch/bin/python" $(BENCH)

bench-jobs: ## time whole jobs against FuxiCTR and transformers' Trainer, from files to metrics (BENCH='-jobs fuxictr -pairs 3' for one)
	$(call environment,torch,requirements.txt)
	$(call environment,fuxictr,requirements_fuxictr.txt)
	$(GO) run ./scripts/bench -python "$(CURDIR)/bin/torch/bin/python" -jobs fuxictr,mrpc $(BENCH)

bench-serve: ## measure cmd/serve against FastAPI with PyTorch and ONNX Runtime (needs wrk; BENCH=--rounds=1 for less)
	scripts/bench_serve/bench.sh $(BENCH)

bench: ## measure kernels, parsing and the training step
	$(GO) test -run '^$$' -bench . -benchmem $(PKG)

cover: ## test coverage by function
	$(GO) test -short -coverprofile=bin/cover.out $(PKG) && $(GO) tool cover -func=bin/cover.out

golden: ## rewrite the expected values of tests (review the diff)
	$(GO) test ./configs -run Golden -update

generate: ## rewrite generated files: kernels, config reference
	$(GO) generate ./...

ci: ## what .ci/run does
	.ci/run

clean: ## remove what was built, cached and generated; runs and data sets stay
	rm -rf bin .cache
