# The two commands: `make demo` and `make test`. Both install what they need first.

PACKAGES = ca-certificates gcc git pkg-config libssl-dev mold busybox-static passt nftables iproute2 uidmap docker-registry skopeo
SUDO = $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: setup check build test

# Debian packages, only when one is missing: a second run asks nothing of the network.
setup:
	@missing=$$(for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || echo $$package; done); \
	if [ -n "$$missing" ]; then \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; fi

check: setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

build: setup
	cargo build --release --locked

test: check
	cargo test --workspace --locked
