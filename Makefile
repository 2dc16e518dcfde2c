# The two commands: `make demo` and `make test`. Both install what they need first.

PACKAGES = ca-certificates gcc libc6-dev git pkg-config mold busybox-static passt iproute2 uidmap docker-registry \
           apache2-utils skopeo curl openssl openssh-client procps util-linux python3 postgresql mmdebstrap
# What the tests need besides: other people's clients, an ssh server, a browser.
test test-one screenshots: PACKAGES += podman buildah openssh-server python3-venv chromium chromium-driver
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)
# Where the recorded builds of another builder lie, for `make conformance`, and the workloads, for `make bench`.
CONFORMANCE ?= ../shared/conformance
BENCH ?= ../shared/bench

.PHONY: setup payloads check build demo test test-one bench conformance deny advisories fuzz screenshots

# Debian packages, only when one is missing: a second run asks nothing of the network.
setup:
	@missing=$$(for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || echo $$package; done); \
	command -v npm > /dev/null || missing="$$missing npm"; \
	if [ -n "$$missing" ]; then \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; fi

# GitHub's own example payloads, which the tests deliver.
payloads: setup
	@test -f target/payloads/package/package.json || { mkdir -p target/payloads && cd target/payloads && \
	  npm pack --silent @octokit/webhooks-examples@7 && tar -xzf octokit-webhooks-examples-*.tgz; }

check: setup deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

build: setup
	cargo build --release --locked --bins --examples

demo: build
	sh examples/demo.sh

# The tests of the whole run the released program.
test: check payloads build
	SLIPWAY_BIN=$(CURDIR)/target/release/slipway cargo test --workspace --locked

# Tests of the whole whose name holds NAME, with a debug build: for work on one thing.
test-one: payloads
	cargo build
	SLIPWAY_BIN=$(CURDIR)/target/debug/slipway cargo test --test integration -- $(NAME)

# The workloads of BENCH where that folder is, else a small comparison; then the parts alone.
bench: build
	sh tools/bench.sh $(BENCH)
	cargo bench --locked -p builder --bench speed
	cargo bench --locked -p database --bench claims

# Compares builds with those that BuildKit made: same verdict, same files.
conformance: build
	python3 tools/conformance.py $(CONFORMANCE)

# Pictures of every page in four modes in target/screenshots, and what axe finds on them.
screenshots: build
	sh tools/screenshots.sh

# Licences and sources of the dependencies, and those that are banned. A debug build of cargo-deny is made in a third of the
# time and checks as fast. `make advisories` asks for known holes, too, which needs the network.
deny:
	@command -v cargo-deny > /dev/null || cargo install --debug --locked --quiet cargo-deny
	cargo deny --locked check bans licenses sources

advisories: deny
	cargo deny --locked check advisories

# Each fuzz target for TIME seconds; what was learnt stays in fuzz/corpus, inputs that fail are in fuzz/artifacts.
TIME ?= 60
TARGETS ?= $(sort $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs))))
fuzz:
	@command -v cargo-fuzz > /dev/null || cargo install --locked cargo-fuzz
	@rustup toolchain list 2> /dev/null | grep -q nightly || rustup toolchain install nightly --profile minimal || \
	  { echo "make fuzz needs a nightly toolchain, which rustup installs: https://rustup.rs"; exit 1; }
	@for target in $(TARGETS); do sh fuzz/run.sh $$target $(TIME) || exit 1; done
