# A newcomer needs two commands: `make demo` and `make test`. The rest is for those who change the code.

.PHONY: demo test test-integration test-campaign test-others alerts-test packages-test test-oldest lint soak measure bench generate image-test e2e deny check-go check-tools

# Integration tests mostly wait.
TEST_THREADS ?= 12

# Without service discovery, which would build the clients of two dozen clouds. Go caches the result.
promtool := CGO_ENABLED=0 go run -tags remove_all_sd github.com/prometheus/prometheus/cmd/promtool

demo: check-tools ## Show the whole life of a role on a local control plane and a local IAM.
	@cargo build --quiet --workspace
	@cargo run --quiet --package support --bin demo

test: check-tools check-go lint alerts-test packages-test ## The checks that every change must pass. CI also lints its workflows and runs test-oldest, deny, image-test and e2e.
	cargo test --workspace --no-run
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target test-integration test-campaign test-others

# These wait more than they compute, so they run beside each other. Whatever is in no group by name is in the last one.
campaign := campaign hand_over helm_releases
others := $(filter-out integration $(campaign),$(patsubst tests/%.rs,%,$(wildcard tests/*.rs)) $(patsubst tests/%/main.rs,%,$(wildcard tests/*/main.rs)))

test-integration:
	cargo test --quiet --workspace --test integration -- --test-threads $(TEST_THREADS)

test-campaign:
	cargo test --quiet --workspace $(campaign:%=--test %)

test-others:
	cargo test --quiet --workspace --lib --bins $(others:%=--test %)

alerts-test: check-go ## Check when each alert fires and when it does not, and that the dashboard's queries parse.
	cd tests/alerts && $(promtool) check rules --lint all --lint-fatal ../../deploy/helm/streamrole/files/alerts.yaml
	cd tests/alerts && $(promtool) test rules alerts.test.yaml
	cd tests/alerts && go test -count=1 .

packages-test: check-go ## Lint the chart with Helm, and check which values it rejects.
	cd tests/packages && go test -count=1 .

test-oldest: check-tools check-go ## Run the integration tests on the oldest supported Kubernetes.
	STREAMROLE_KUBERNETES=1.33 cargo test --workspace --test integration -- --test-threads $(TEST_THREADS)

lint: check-tools ## Check formatting and lints, and that the fuzz target builds.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	CARGO_TARGET_DIR=target/fuzz cargo build --quiet --locked --manifest-path fuzz/Cargo.toml

soak: check-tools ## Run the fault campaign for longer: make soak MINUTES=30 [SEED=1].
	CAMPAIGN_STEPS=$$(( $(or $(MINUTES),30) * 1200 )) CAMPAIGN_SEED=$(SEED) cargo test --workspace --test campaign -- --nocapture

measure: check-tools ## Assert and print what depends on the machine: rates, hand-overs, the whole flood; then run bench.
	MEASURE=1 cargo test --test throttling --test hand_over --test flood --test policy_equivalence --test audit -- --test-threads 1 --nocapture
	$(MAKE) bench

bench: check-tools ## Measure what the controller costs; BENCH_ROLES, BENCH_LATENCY and BENCH_WORKERS set the load.
	cargo build --release --bin streamrole
	cargo run --release --quiet --package support --bin bench

generate: ## Write every file that is generated from the code.
	cargo run --quiet --package support --bin generate

image-test: ## Build and start the container image without a registry; needs root, buildah and debootstrap.
	@tests/image/run

e2e: ## Run the packages on real nodes, before a release; needs root. SMOKE=1 takes under a minute, INSTALL=1 installs Debian's packages.
	@tests/e2e/run

deny: ## Check licenses, sources, duplicates and known vulnerabilities of the dependencies.
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny"; exit 1; }
	cargo deny --workspace check --hide-inclusion-graph
	cargo deny --manifest-path fuzz/Cargo.toml check --hide-inclusion-graph advisories sources

check-go:
	@command -v go >/dev/null || { echo "Go is missing: the tests build kstatus, Argo CD's interpreter and promtool with it; see https://go.dev/dl"; exit 1; }

check-tools:
	@command -v cargo >/dev/null || { echo "Rust is missing: install it from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing: apt install build-essential, or xcode-select --install"; exit 1; }
	@tests/support/assets/ensure >/dev/null
