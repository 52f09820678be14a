# Latchkey. Two commands are enough: `make demo` shows it, `make test` checks it; both install what they need.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
DEMO_SECONDS ?=
FUZZ_SECONDS ?= 60
LOAD_FLAGS ?=

# What Debian must provide. Each name is only installed where its probe (see `need`) fails.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

define need
@if ! ( $(1) ) >/dev/null 2>&1; then \
	echo "latchkey: installing $(2)"; \
	command -v apt-get >/dev/null || { echo "latchkey: '$(2)' is missing and this is not a Debian system: install it by hand, then run make again"; exit 2; }; \
	if [ -n "$(SUDO)" ] && ! command -v sudo >/dev/null; then echo "latchkey: '$(2)' is missing; run this as root or install sudo"; exit 2; fi; \
	$(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
fi
endef

help: ## this list
	@echo "Latchkey: an end-to-end-encrypted live camera relay"
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

toolchain:
	@command -v $(CARGO) >/dev/null || { echo "latchkey: no cargo here: install Rust from https://rustup.rs, then run make again"; exit 2; }
	$(call need,command -v cc,build-essential)

test-tools: toolchain
	$(call need,command -v ffmpeg && command -v ffprobe,ffmpeg)
	$(call need,command -v dbus-run-session && command -v gnome-keyring-daemon,dbus gnome-keyring)
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null && command -v npm >/dev/null || \
		echo "latchkey: no node 20 with npm here: the tests with the second MLS implementation are left out"
	$(call need,PATH=$$PATH:/usr/sbin:/sbin; command -v ip && command -v nft,iproute2 nftables)
	$(call need,/usr/bin/python3 -c "$(gstreamer_probe)",python3 python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad)
# The RTSP server of the tests, and the elements that its pipelines name.
comma := ,
gstreamer_probe := import gi; gi.require_version('GstRtspServer'$(comma) '1.0'); from gi.repository import Gst$(comma) GstRtspServer; Gst.init(None); assert all(map(Gst.ElementFactory.find$(comma) ['qtdemux'$(comma) 'h264parse'$(comma) 'rtph264pay'$(comma) 'opusenc'$(comma) 'rtpopuspay'$(comma) 'mulawenc']))

demo: toolchain ## a server, a household, a camera and two viewers on this machine (DEMO_SECONDS=20 ends by itself)
	@$(CARGO) build --locked --bins
	@$(CARGO) run --quiet --locked -p latchkey-loadtest --bin latchkey-demo -- $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

test: test-tools lint ## every test, lint and law; what CI runs
	$(CARGO) test --locked --workspace --no-fail-fast
	@echo "latchkey: all tests passed"

wasm: toolchain ## the device for browsers: the module, its JavaScript, and how large they are
	@$(CARGO) run --quiet --locked -p latchkey-wasm-pack -- client-sdk/web/src/worker/wasm

wasm-test: wasm ## native devices and those of the module, in node, on a real server
	@$(CARGO) build --quiet --locked -p latchkey-wasm --example leg
	@node --experimental-websocket --no-warnings --test --test-force-exit client-sdk/wasm/tests/node/*.test.js

wasm-types: toolchain ## the TypeScript of what page and worker say to each other, written anew
	@LATCHKEY_WRITE_TYPES=1 $(CARGO) test --quiet --locked -p latchkey-wasm --lib typescript

lint: toolchain ## format, clippy and documentation, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

bench: toolchain ## forwarding against the kernel floor, then sealing and groups (several minutes)
	$(CARGO) build --release --locked -p latchkey-relay
	$(CARGO) bench --locked -p latchkey-relay --bench forward
	$(CARGO) bench --locked -p latchkey-e2ee --bench e2ee

load: toolchain ## how many viewers this machine carries: a release build, then a search with a report in target/load
	$(CARGO) build --release --locked -p latchkey-signaling -p latchkey-loadtest --bins
	@mkdir -p target/load
	@target=$${CARGO_TARGET_DIR:-target}; $$target/release/latchkey-loadtest breakpoint $(LOAD_FLAGS) --json target/load/breakpoint.jsonl --html target/load/breakpoint.html; \
		code=$$?; echo "latchkey: the report is target/load/breakpoint.html"; exit $$code

soak: test-tools ## the long runs: 100 restarts, property tests with many cases
	$(CARGO) build --locked --workspace --bins
	PROPTEST_CASES=10000 LATCHKEY_SOAK=1 $(CARGO) test --locked --workspace --release -- --include-ignored

fuzz: toolchain ## every fuzz target for FUZZ_SECONDS each (needs cargo-fuzz and a nightly toolchain)
	@command -v cargo-fuzz >/dev/null || { echo "latchkey: install it once: cargo install --locked cargo-fuzz"; exit 2; }
	@for d in relay/fuzz signaling/fuzz client-sdk/e2ee/fuzz; do [ -d $$d ] || continue; \
		for t in $$(cd $$d && cargo +nightly fuzz list --fuzz-dir .); do echo "== $$d $$t"; (cd $$d && cargo +nightly fuzz run --fuzz-dir . $$t -- -max_total_time=$(FUZZ_SECONDS)) || exit 1; done; done

deny: toolchain ## licences, advisories and banned crates (needs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo "latchkey: install it once: cargo install --locked cargo-deny"; exit 2; }
	cargo deny check

clean: ## remove what was built
	$(CARGO) clean

.PHONY: help toolchain test-tools demo test wasm wasm-test wasm-types lint bench load soak fuzz deny clean
