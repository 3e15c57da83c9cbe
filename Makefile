# Two commands are all that a newcomer needs: `make demo` and `make test`. The rest is for those who change
# the code.

.PHONY: demo test alerts-test packages-test test-oldest lint soak bench generate image-test e2e deny check-go check-tools

# Integration tests wait far more than they compute.
TEST_THREADS ?= 8

# Without service discovery, for which it would build the clients of two dozen clouds. Go caches it.
promtool := CGO_ENABLED=0 go run -tags remove_all_sd github.com/prometheus/prometheus/cmd/promtool

demo: check-tools ## The main job before your eyes, on a local control plane and a local IAM.
	@cargo build --quiet --workspace
	@cargo run --quiet --package support --bin demo

test: check-tools check-go lint alerts-test packages-test ## Everything that CI checks.
	cargo test --workspace -- --test-threads $(TEST_THREADS)

alerts-test: check-go ## When each alert fires and when it does not, and that the dashboard's queries parse.
	cd tests/alerts && $(promtool) check rules --lint all --lint-fatal ../../deploy/helm/streamrole/files/alerts.yaml
	cd tests/alerts && $(promtool) test rules alerts.test.yaml
	cd tests/alerts && go test -count=1 .

packages-test: check-go ## What Helm says of the chart, and which values it refuses.
	cd tests/packages && go test -count=1 .

test-oldest: check-tools check-go ## The integration tests on the oldest Kubernetes that is supported.
	STREAMROLE_KUBERNETES=1.33 cargo test --workspace --test integration -- --test-threads $(TEST_THREADS)

lint: check-tools ## Formatting and lints.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings

soak: check-tools ## The fault campaign, long: make soak MINUTES=30 [SEED=1].
	CAMPAIGN_SECONDS=$$(( $(or $(MINUTES),30) * 60 )) CAMPAIGN_SEED=$(SEED) cargo test --workspace --test campaign -- --nocapture

bench: check-tools ## What the controller costs; BENCH_ROLES, BENCH_LATENCY and BENCH_WORKERS change it.
	cargo build --release --bin streamrole
	cargo run --release --quiet --package support --bin bench

generate: ## Writes every file that comes from the code.
	cargo run --quiet --package support --bin generate

image-test: ## The container image, built and started without a registry; needs root, buildah and debootstrap.
	@tests/image/run

e2e: ## The packages on real nodes, before a release; needs root. SMOKE=1 takes under a minute, INSTALL=1 gets Debian's packages.
	@tests/e2e/run

deny: ## Licences, sources, duplicates and known vulnerabilities of the dependencies.
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing: cargo install --locked cargo-deny"; exit 1; }
	cargo deny --workspace check --hide-inclusion-graph
	cargo deny --manifest-path fuzz/Cargo.toml check --hide-inclusion-graph advisories sources

check-go:
	@command -v go >/dev/null || { echo "Go is missing: the tests build kstatus, Argo CD's interpreter and promtool with it; see https://go.dev/dl"; exit 1; }

check-tools:
	@command -v cargo >/dev/null || { echo "Rust is missing: install it from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing: apt install build-essential, or xcode-select --install"; exit 1; }
	@tests/support/assets/ensure >/dev/null
