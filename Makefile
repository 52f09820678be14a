# Latchkey. Two commands are enough: `make demo` shows it, `make test` checks it; both install what they need.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
DEMO_SECONDS ?=
FUZZ_SECONDS ?= 60
LOAD_FLAGS ?=
DEMO_LAN ?=
DEMO_CLIP ?=

# The web app: where it is made, and what it is made of.
.DELETE_ON_ERROR:
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
WEB := client-sdk/web
WEB_OUT := $(TARGET)/web
WASM_OUT := $(WEB)/src/worker/wasm
WASM_MADE := $(WASM_OUT)/latchkey_wasm_bg.wasm
NODE_MADE := $(WEB)/node_modules/.package-lock.json
wasm_sources = $(shell find client-sdk/wasm/src client-sdk/wasm/pack client-sdk/household client-sdk/e2ee relay/wire signaling/api -path '*/fuzz' -prune -o -path '*/node_modules' -prune -o \( -name '*.rs' -o -name Cargo.toml \) -print) Cargo.toml Cargo.lock
web_sources = $(shell find $(WEB)/src $(WEB)/public $(WEB)/scripts -path $(WASM_OUT) -prune -o -type f ! -name '*.test.ts' -print) $(addprefix $(WEB)/,index.html package.json tsconfig.json vite.config.ts)
node_probe := const [a, b] = process.versions.node.split('.').map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)

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

node-tools:
	$(call need,command -v node && command -v npm,nodejs npm)
	@node -e "$(node_probe)" || { echo "latchkey: node $$(node --version) is too old for the web app: install 20.19 or newer (https://nodejs.org), then run make again"; exit 2; }

test-tools: toolchain node-tools
	$(call need,command -v ffmpeg && command -v ffprobe,ffmpeg)
	$(call need,command -v dbus-run-session && command -v gnome-keyring-daemon,dbus gnome-keyring)
	$(call need,command -v chromium,chromium)
	$(call need,command -v firefox-esr || command -v firefox,firefox-esr)
	$(call need,command -v pebble,pebble)
	$(call need,PATH=$$PATH:/usr/sbin:/sbin; command -v ip && command -v nft,iproute2 nftables)
	$(call need,/usr/bin/python3 -c "$(gstreamer_probe)",python3 python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad)
# The RTSP server of the tests, and the elements that its pipelines name.
comma := ,
gstreamer_probe := import gi; gi.require_version('GstRtspServer'$(comma) '1.0'); from gi.repository import Gst$(comma) GstRtspServer; Gst.init(None); assert all(map(Gst.ElementFactory.find$(comma) ['qtdemux'$(comma) 'h264parse'$(comma) 'rtph264pay'$(comma) 'opusenc'$(comma) 'rtpopuspay'$(comma) 'mulawenc']))

demo: toolchain ## a server, a household, a camera, two viewers, and a link for your browser (DEMO_SECONDS=20 ends by itself; DEMO_LAN=1 is for phones)
	@if $(MAKE) --no-print-directory node-tools; then $(MAKE) --no-print-directory web; else echo "latchkey: the demo goes on without its page"; fi
	@$(CARGO) build --locked $(programs)
	@$(TARGET)/debug/latchkey-demo $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS)) $(if $(DEMO_LAN),--lan) $(if $(DEMO_CLIP),--clip $(DEMO_CLIP))

test: test-tools lint ## every test, lint and law; what CI runs
	$(CARGO) test --locked --workspace --no-fail-fast
	@$(MAKE) --no-print-directory wasm-test
	@$(MAKE) --no-print-directory test-web
	@echo "latchkey: all tests passed"

# The programs, with the features that `cargo test --workspace` gives them, so that whoever shows and tests builds them once:
# examples bring the features that packages have for their tests.
programs := --workspace --bins --examples

test-programs: toolchain # what tests in node and in browsers start
	@$(CARGO) build --quiet --locked $(programs)

web: $(WEB_OUT)/index.html ## the web app in target/web, as latchkey-server serves it

$(WEB_OUT)/index.html: $(web_sources) $(WASM_MADE) $(NODE_MADE)
	@cd $(WEB) && LATCHKEY_WEB_OUT=$(WEB_OUT) npm run --silent build && touch $@

$(NODE_MADE): $(WEB)/package.json $(WEB)/package-lock.json | node-tools
	@cd $(WEB) && npm ci --silent --no-audit --no-fund && touch node_modules/.package-lock.json

test-web: test-tools web test-programs ## the web app's own tests, then every test in Chromium and Firefox
	@cd $(WEB) && npm run --silent check && LATCHKEY_WEB_OUT=$(WEB_OUT) npm run --silent budget && npm test --silent
	@LATCHKEY_WEB_DIR=$(WEB_OUT) node $(WEB)/tests/run.js

# Built as a part of the workspace, so that what it needs is built once for all programs.
wasm_pack = $(CARGO) build --quiet --locked --workspace --bin latchkey-wasm-pack && CARGO="$(CARGO)" $(TARGET)/debug/latchkey-wasm-pack $(WASM_OUT)

wasm: toolchain ## the device for browsers: the module, its JavaScript, and how large they are
	@$(wasm_pack)

$(WASM_MADE): $(wasm_sources) | toolchain
	@$(wasm_pack)

wasm-test: $(WASM_MADE) node-tools test-programs ## native devices and those of the module, in node, on a real server
	@node --experimental-websocket --no-warnings --test --test-force-exit client-sdk/wasm/tests/node/*.test.js

wasm-types: toolchain ## the TypeScript of what page and worker say to each other, written anew
	@LATCHKEY_WRITE_TYPES=1 $(CARGO) test --quiet --locked -p latchkey-wasm --lib typescript

# Every library, and the programs that are not called as their library is; examples and features as clippy has them, so that
# what both look at is checked once.
documented := --all-features --lib --examples $(addprefix --bin latchkey-,demo server wasm-pack)

lint: toolchain ## format, clippy and documentation, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet $(documented)

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

.PHONY: help toolchain node-tools test-tools test-programs demo test web test-web wasm wasm-test wasm-types lint bench load soak fuzz deny clean
