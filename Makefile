# Kakou. `make demo` shows it, `make test` proves it. Both do all the set-up on a fresh Debian machine with Rust and
# Python; the second run needs no network.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
CARGO ?= cargo
KAKOU := target/release/kakou
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# program=Debian package
NEEDED_TO_BUILD := cc=gcc make=make
NEEDED_TO_PANEL := npm=npm
NEEDED_TO_TEST_PANEL := npm=npm chromium=chromium
NEEDED_TO_TEST := ffmpeg=ffmpeg openssl=openssl mosquitto=mosquitto mosquitto_sub=mosquitto-clients systemd-analyze=systemd faketime=faketime promtool=prometheus
# The RTSP server of the tests: libraries, no programs, so the server itself says whether they are there. It runs with
# Debian's own Python, which has the bindings; another one first in the path has not.
CAMERAS := /usr/bin/python3 agent/tests/cameras/server.py
# The server of a database has its own folder for each version, out of everybody's path.
POSTGRES := ls /usr/lib/postgresql/*/bin/postgres
CAMERA_PACKAGES := python3 python3-gi gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base \
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly

.PHONY: central central-cluster central-test image-central test-image-central central-demo bench-central deb-central tools-postgres image test-image panel test-panel validators validate deb test-package tools-rust tools-python models-public fuzz chaos bench-cameras bench-outbox bench-panel help demo test test-data models build tools-build tools-test tools-train fmt-check clippy lint bench samples train-reader train-detector train-vehicles calibrate confusions clean

help:
	@echo "make demo       fetch the models, build, replay the sample footage and show the passages"
	@echo "make test       every test, on material the project made itself"
	@echo "make panel      build the panel's pages into agent/panel/web/dist"
	@echo "make test-panel test the panel's pages in a browser, against a mock of the box"
	@echo "make deb        a Debian package for this machine's processor, in out/deb"
	@echo "make test-package  install, upgrade, roll back and purge it on a bare Debian (root; debootstrap, systemd-nspawn)"
	@echo "make image      an OCI image of that package, in out/image (root; debootstrap, buildah)"
	@echo "make test-image  unpack it and run the agent in it to the first passage (root)"
	@echo "make central    build the centre, which takes in what the agents send"
	@echo "make central-test  its tests alone; part of make test"
	@echo "make central-demo  show it: a made-up city, a database and a broker of its own"
	@echo "make deb-central  a Debian package of it, in out/deb"
	@echo "make bench-central  how fast it takes in, and how long one plate over 30 days takes; minutes, and some gigabytes"
	@echo "make test-data  the tests on real pictures in the folder that KAKOU_DATA names"
	@echo "make lint       clippy, and cargo deny for bans, licences and sources"
	@echo "make bench      speed of this machine on the sample footage"
	@echo "make chaos      kill the agent 400 times and count what is lost; a quarter of an hour"
	@echo "make central-cluster  the centre on a cluster of brokers that is killed piece by piece for an hour; KAKOU_CENTRAL_MINUTES"
	@echo "make fuzz       any bytes for every parser that outsiders reach; SECONDS=60 each, TARGET=name for one"
	@echo "make bench-cameras  what live cameras cost on this machine, and how they come back"
	@echo "make bench-outbox  speed of outbox and uplink on this machine"
	@echo "make bench-panel  how fast the panel is on this machine, and what its viewers cost"
	@echo "make validate   the schemas and examples by validators of other languages; part of make test"
	@echo "make models     fetch ONNX Runtime and the public reader into models/cache"
	@echo "make models-public  fetch the other public models too: for the tests, or to compare with ours"
	@echo "make samples    render the sample footage anew (an hour)"
	@echo "make train-reader  train the plate reader anew: twenty minutes with a graphics processor, else days"
	@echo "make train-detector  train the plate detector anew: a quarter of an hour with a graphics processor, else days"
	@echo "make train-vehicles  make the vehicle detector of the public one: a minute"
	@echo "make calibrate  fit the probability of a voted text on the real pictures in KAKOU_DATA: half an hour"
	@echo "make confusions  count anew what the reader takes for what; after make calibrate and make train-reader's material"

define install
command -v apt-get >/dev/null 2>&1 || { echo "there is no apt-get here; install what these Debian packages hold: $(1)" >&2; exit 1; }; \
echo "installing: $(1)"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $(1)
endef

# Installs the Debian packages of the programs that are not there: $(call need,program=package ...)
define need
	@missing=""; for p in $(1); do command -v "$${p%%=*}" >/dev/null 2>&1 || [ -x "/usr/sbin/$${p%%=*}" ] || missing="$$missing $${p#*=}"; done; \
	if [ -n "$$missing" ]; then $(call install,$$missing); fi
endef

# Rust is the one thing that is not installed here: which of the ways suits depends on who builds, and Debian's packages of
# it exclude each other.
RUST_NEEDED := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
tools-rust:
	@found=$$({ $(CARGO) --version 2>/dev/null || true; } | cut -d' ' -f2); \
	if [ "$$(printf '%s\n' "$(RUST_NEEDED)" "$${found:-0}" | sort -V | head -n1)" != "$(RUST_NEEDED)" ]; then \
	  echo "Rust $(RUST_NEEDED) or newer is needed to build Kakou; here is $${found:-none}. Install it by one of:" >&2; \
	  echo "  Debian 12:  apt-get install cargo-web    (its package cargo is too old)" >&2; \
	  echo "  Debian 13:  apt-get install rustup, then: rustup default stable" >&2; \
	  echo "  elsewhere:  rustup, as its home page says" >&2; \
	  exit 1; fi

tools-build: tools-rust
	$(call need,$(NEEDED_TO_BUILD))

tools-test: tools-build tools-postgres
	$(call need,$(NEEDED_TO_TEST))
	@if ! $(CAMERAS) --check >/dev/null 2>&1; then $(call install,$(CAMERA_PACKAGES)); $(CAMERAS) --check; fi

tools-postgres:
	@if ! $(POSTGRES) >/dev/null 2>&1; then $(call install,postgresql); $(POSTGRES) >/dev/null; fi

tools-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  command -v $(PYTHON) >/dev/null 2>&1 || { $(call install,python3); }; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed, and $(PYTHON) is older: name another one by PYTHON=" >&2; exit 1; }; }

# venv is needed only while something is missing in the cache.
models: tools-python
	@if ! $(PYTHON) models/fetch.py --check >/dev/null 2>&1; then \
	  $(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends python3-venv; }; \
	  $(PYTHON) models/fetch.py; fi

# The public models that ours were made of and are compared with; npm is needed for one of them.
models-public: models
	@if ! $(PYTHON) models/fetch.py --check --only vehicles --only plate-detector >/dev/null 2>&1; then \
	  command -v npm >/dev/null 2>&1 || { $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends npm; }; \
	  $(PYTHON) models/fetch.py --only vehicles --only plate-detector; fi

# The pages that the box serves. npm looks at its own record of what is installed, so a second run needs no network.
PANEL := agent/panel/web
$(PANEL)/node_modules/.package-lock.json: $(PANEL)/package-lock.json $(PANEL)/package.json
	$(call need,$(NEEDED_TO_PANEL))
	cd $(PANEL) && npm ci
	touch $@

# Only when something in it has changed: cargo builds the agent anew for new pages.
PANEL_SOURCES := $(shell find $(PANEL)/src $(PANEL)/public $(PANEL)/index.html $(PANEL)/*.config.* $(PANEL)/tsconfig.json -type f)
$(PANEL)/dist/index.html: $(PANEL_SOURCES) $(PANEL)/node_modules/.package-lock.json
	cd $(PANEL) && npm run build
	touch $@

panel: $(PANEL)/dist/index.html

test-panel: panel
	$(call need,$(NEEDED_TO_TEST_PANEL))
	cd $(PANEL) && npm run check && npm run unit && npm run browser

# Of the program, as [package.metadata.deb] in agent/Cargo.toml has them too.
FEATURES := openvino

# What a box in service runs: without the broker of the demo.
build: tools-build panel
	$(CARGO) build --release --locked -p kakou --no-default-features --features $(FEATURES)

# A commit that no release names sorts before the release that it leads to, and after every commit before it.
DEB_VERSION ?= $(shell v=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml); \
  if git describe --exact-match --tags --match "v$$v" >/dev/null 2>&1 || ! git rev-parse HEAD >/dev/null 2>&1; then echo "$$v-1"; \
  else echo "$$v~$$(TZ=UTC git log -1 --format=%cd.g%h --date=format-local:%Y%m%d.%H%M%S --abbrev=10)-1"; fi)
MADE_FOR_PACKAGE := out/package
DEB := out/deb/kakou_$(DEB_VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb
NEXT := $(MADE_FOR_PACKAGE)/next/kakou_$(DEB_VERSION)+next.deb

deb: models build
	$(call need,dpkg-shlibdeps=dpkg-dev)
	@$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deb
	rm -rf $(MADE_FOR_PACKAGE)/man $(MADE_FOR_PACKAGE)/completions
	mkdir -p $(dir $(DEB))
	$(KAKOU) generate man $(MADE_FOR_PACKAGE)/man
	$(KAKOU) generate completions $(MADE_FOR_PACKAGE)/completions
	$(PYTHON) models/fetch.py --only runtime-notices
	$(PYTHON) -B systemd/debian/third_party.py --cargo $(CARGO) --features $(FEATURES) --notices models/cache/notices \
	  --out $(MADE_FOR_PACKAGE)/third-party.txt.gz
	printf 'kakou (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' '$(DEB_VERSION)' \
	  "$$(sed -n 's/^maintainer = "\(.*\)"/\1/p' agent/Cargo.toml)" "$$(git log -1 --format=%cD 2>/dev/null || date -R)" \
	  > $(MADE_FOR_PACKAGE)/changelog
	$(CARGO) deb --no-build --locked -p kakou --deb-version $(DEB_VERSION) --output $(DEB)
	@ls -lh $(DEB)

# The centre's package: neither models nor pages.
MADE_FOR_CENTRAL := out/package-central
DEB_CENTRAL := out/deb/kakou-central_$(DEB_VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb
deb-central: central
	$(call need,dpkg-shlibdeps=dpkg-dev)
	@$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deb
	rm -rf $(MADE_FOR_CENTRAL)
	mkdir -p $(MADE_FOR_CENTRAL) $(dir $(DEB_CENTRAL))
	$(CARGO) run --quiet --release --locked -p kakou-central --example man -- $(MADE_FOR_CENTRAL)/man
	$(PYTHON) -B systemd/debian/third_party.py --cargo $(CARGO) --package kakou-central \
	  --out $(MADE_FOR_CENTRAL)/third-party.txt.gz
	printf 'kakou-central (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' '$(DEB_VERSION)' \
	  "$$(sed -n 's/^maintainer = "\(.*\)"/\1/p' agent/central/Cargo.toml)" "$$(git log -1 --format=%cD 2>/dev/null || date -R)" \
	  > $(MADE_FOR_CENTRAL)/changelog
	$(CARGO) deb --no-build --locked -p kakou-central --deb-version $(DEB_VERSION) --output $(DEB_CENTRAL)
	@ls -lh $(DEB_CENTRAL)

# Some minutes; the first run also fetches Debian and ffmpeg. RELEASE=13 for another Debian, FLAGS=--quick for the short way.
RELEASE ?= 12
FLAGS ?=
NEEDED_TO_TEST_PACKAGE := debootstrap=debootstrap systemd-nspawn=systemd-container mosquitto=mosquitto \
  mosquitto_sub=mosquitto-clients
test-package: deb
	$(call need,$(NEEDED_TO_TEST_PACKAGE))
	mkdir -p $(dir $(NEXT))
	$(CARGO) deb --no-build --locked --fast -p kakou --deb-version $(DEB_VERSION)+next --output $(NEXT)
	$(SUDO) $(PYTHON) -B agent/tests/package/package_test.py --release $(RELEASE) $(FLAGS) $(DEB) $(NEXT)

# The package on a bare Debian of this machine's release: a container's root need not be writable. The first run fetches
# Debian and ffmpeg.
IMAGE := out/image/kakou_$(DEB_VERSION).tar
image: deb
	$(call need,debootstrap=debootstrap buildah=buildah)
	$(SUDO) systemd/image/make.sh $(DEB) $(IMAGE)

test-image: image
	$(call need,mosquitto=mosquitto mosquitto_sub=mosquitto-clients)
	$(SUDO) $(PYTHON) -B agent/tests/package/image_test.py $(IMAGE)

# The same of the centre's package. The test has agents made up by the agent's program.
IMAGE_CENTRAL := out/image/kakou-central_$(DEB_VERSION).tar
image-central: deb-central
	$(call need,debootstrap=debootstrap buildah=buildah)
	$(SUDO) systemd/image/make.sh $(DEB_CENTRAL) $(IMAGE_CENTRAL)

test-image-central: image-central build tools-postgres
	$(call need,mosquitto=mosquitto mosquitto_sub=mosquitto-clients)
	$(SUDO) $(PYTHON) -B agent/tests/package/image_test.py $(IMAGE_CENTRAL)

central: tools-build
	$(CARGO) build --release --locked -p kakou-central

central-test: tools-test
	$(CARGO) test --release --locked -p kakou-central -p kakou-fleet -p kakou-gat1400

central-demo: central tools-postgres
	$(call need,mosquitto=mosquitto)
	target/release/kakou-central demo

demo: tools-rust models tools-build
	$(CARGO) build --release --locked -p kakou
	$(KAKOU) demo

test: models-public tools-test validate panel
	$(call need,$(NEEDED_TO_TEST_PANEL))
	$(PYTHON) -m unittest discover -s models/tests
	$(CARGO) test --release --locked --workspace
	$(MAKE) test-panel

# What reads the schemas of messages in JavaScript and in Python, pinned and by hash. The second run needs no network.
VALIDATORS := agent/contract/validators
VALIDATORS_OUT := out/validators
validators: tools-python
	@if ! { (cd $(VALIDATORS) && sha256sum --quiet --check "$(CURDIR)/$(VALIDATORS_OUT)/ready") \
	    && node --version && $(VALIDATORS_OUT)/venv/bin/python -c 'import jsonschema'; } >/dev/null 2>&1; then \
	  command -v npm >/dev/null 2>&1 || { $(call install,npm); }; \
	  $(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(call install,python3-venv); }; \
	  rm -rf $(VALIDATORS_OUT); mkdir -p $(VALIDATORS_OUT); \
	  cp $(VALIDATORS)/package.json $(VALIDATORS)/package-lock.json $(VALIDATORS_OUT); \
	  (cd $(VALIDATORS_OUT) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error); \
	  $(PYTHON) -m venv $(VALIDATORS_OUT)/venv; \
	  $(VALIDATORS_OUT)/venv/bin/python -m pip install --quiet --only-binary=:all: --require-hashes \
	    -r $(VALIDATORS)/requirements.txt; \
	  (cd $(VALIDATORS) && sha256sum package-lock.json requirements.txt) > $(VALIDATORS_OUT)/ready; fi

validate: validators
	node $(VALIDATORS)/check.mjs $(VALIDATORS_OUT)
	$(VALIDATORS_OUT)/venv/bin/python -B $(VALIDATORS)/check.py

# An absent folder is a failure, not a skip: whoever asks for this wants the figures.
# With the features of `make test`, so that nothing is compiled for it but its own file.
test-data: models tools-test
	@[ -n "$${KAKOU_DATA:-}" ] && [ -d "$${KAKOU_DATA}" ] || { echo "KAKOU_DATA must name the folder with the real pictures (it is '$${KAKOU_DATA:-}')" >&2; exit 1; }
	KAKOU_DATA="$$(realpath "$${KAKOU_DATA}")" $(CARGO) test --release --locked --workspace --test data -- --nocapture --test-threads 1

fmt-check:
	$(CARGO) fmt --all --check

# All targets but those that have to be named; and the agent as a box in service runs it.
clippy: tools-build
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release --locked --workspace --test data -- -D warnings
	$(CARGO) clippy --release --locked -p kakou --no-default-features --features openvino -- -D warnings

lint: fmt-check clippy
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check bans licenses sources

bench: models build
	taskset -c 0 $(KAKOU) bench

# kill -9, 200 times under load and 200 times of the whole agent on footage; `make test` does a few. A
# quarter of an hour. And the server of a camera, 50 times.
chaos: models tools-test build
	KAKOU_CHAOS_CYCLES=200 KAKOU_CHAOS_RUN_CYCLES=200 $(CARGO) test --release --locked -p kakou --test chaos -- --nocapture
	KAKOU_CAMERA_RESTARTS=50 $(CARGO) test --release --locked -p kakou --test cameras -- --nocapture server_dies

# The centre on three RMQTT nodes with Raft: kills of a subscriber, the database and a node in turn, for an hour, and in the
# end every message is one row. The first run compiles the broker, a quarter of an hour. KAKOU_CENTRAL_MINUTES,
# KAKOU_CENTRAL_AGENTS and the others stand in agent/central/tests/whole/chaos.rs.
RMQTT_VERSION := 0.24.0
RMQTTD := out/rmqtt/$(RMQTT_VERSION)/bin/rmqttd
$(RMQTTD):
	$(call need,protoc=protobuf-compiler cmake=cmake c++=g++ pkg-config=pkg-config)
	@pkg-config --exists openssl zlib || { $(call install,libssl-dev zlib1g-dev); }
	$(CARGO) install --locked --version $(RMQTT_VERSION) --root out/rmqtt/$(RMQTT_VERSION) --target-dir out/rmqtt/target rmqttd

central-cluster: $(RMQTTD)
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || { $(call install,postgresql); }
	KAKOU_RMQTTD=$(CURDIR)/$(RMQTTD) KAKOU_CENTRAL_MINUTES=$${KAKOU_CENTRAL_MINUTES:-60} \
	  KAKOU_CENTRAL_AGENTS=$${KAKOU_CENTRAL_AGENTS:-500} KAKOU_CENTRAL_SECONDS=$${KAKOU_CENTRAL_SECONDS:-10} \
	  $(CARGO) test --release --locked -p kakou-central --test whole -- --nocapture what_brokers_lose

# libFuzzer needs a nightly compiler. No sanitizer: there is no unsafe code of ours to watch, and without one it is
# several times as fast. What is found lies in agent/fuzz/fuzz/artifacts; put it into agent/fuzz/corpus, where `make test`
# runs it. Inputs that reach new code are kept in out/fuzz, for the next time.
FUZZ := agent/fuzz/fuzz
NIGHTLY ?= nightly
SECONDS ?= 60
TARGET ?=
fuzz:
	@$(CARGO) +$(NIGHTLY) --version >/dev/null 2>&1 || { echo "fuzzing needs a nightly compiler: \
	rustup toolchain install nightly --profile minimal, or name another one by NIGHTLY=" >&2; exit 1; }
	@$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	$(CARGO) +$(NIGHTLY) fuzz build --fuzz-dir $(FUZZ) -s none $(TARGET)
	@for target in $(or $(TARGET),$$($(CARGO) +$(NIGHTLY) fuzz list --fuzz-dir $(FUZZ))); do \
	  mkdir -p out/fuzz/$$target; echo "== $$target"; \
	  $(CARGO) +$(NIGHTLY) fuzz run --fuzz-dir $(FUZZ) -s none $$target out/fuzz/$$target agent/fuzz/corpus/$$target -- \
	    -max_total_time=$(SECONDS) -rss_limit_mb=512 -timeout=10 -max_len=8192 -print_final_stats=1 -verbosity=0; done

# Some minutes, and 4 GiB of disk.
bench-outbox: tools-test
	$(CARGO) bench --locked -p kakou-outbox --bench outbox
	$(CARGO) bench --locked -p kakou --bench outbox

# What one process takes in, and one plate over 30 days; KAKOU_PASSAGES says among how many passages (1500000).
bench-central: tools-test
	$(CARGO) bench --locked -p kakou-central --bench ingest
	$(CARGO) test --release --locked -p kakou-central --test whole -- --ignored --nocapture scale

# A quarter of an hour on two cores that do nothing else.
bench-cameras: models tools-test
	$(CARGO) bench --locked -p kakou --bench cameras

# A quarter of an hour, in Chromium on the same machine. PARTS="load hits viewer events" chooses.
PARTS ?=
bench-panel: models tools-test build
	$(call need,$(NEEDED_TO_TEST_PANEL))
	node $(PANEL)/tests/measure.mjs $(PARTS)

# What training needs and nothing else does: fonts to draw plates with, and PyTorch in a folder of its own.
TRAIN_FONTS := fonts-noto-cjk fonts-noto-cjk-extra fonts-wqy-zenhei fonts-wqy-microhei fonts-droid-fallback \
  fonts-roboto-unhinted fonts-liberation2 fonts-dejavu-extra fonts-roadgeek fonts-open-sans fonts-urw-base35 \
  fonts-noto-core
READER := models/train/reader
READER_OUT := out/reader
READER_PYTHON := $(READER_OUT)/venv/bin/python

# Only wheels, and only those whose hashes stand in the requirements.
PINNED := --only-binary=:all: --require-hashes

tools-train:
	@dpkg -s $(TRAIN_FONTS) >/dev/null 2>&1 || { $(call install,$(TRAIN_FONTS)); }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(call install,python3-venv); }
	@[ -x $(READER_PYTHON) ] || $(PYTHON) -m venv $(READER_OUT)/venv
	@$(READER_PYTHON) -m pip install -q $(PINNED) -r $(READER)/requirements.txt

# READER_CROPS names folders of real crops with a truth.jsonl each; without, all plates are made up. READER_SECONDS: how
# long the three rounds train. The figures of models/cards/plate-reader-kakou.md are of 320, 260 and 552 seconds on an
# H100.
READER_CROPS ?=
READER_SECONDS ?= 320 260 552
READER_WORKERS ?= 6
train-reader: tools-train
	$(READER_PYTHON) $(READER)/align.py $(READER_CROPS) --out $(READER_OUT)/aligned.jsonl
	$(READER_PYTHON) $(READER)/pictures.py --samples agent/samples --out $(READER_OUT)/pictures
	$(READER_PYTHON) $(READER)/material.py --crops $(READER_CROPS) --aligned $(READER_OUT)/aligned.jsonl \
	  --pictures $(READER_OUT)/pictures/* --out $(READER_OUT)/material.npz
	OMP_NUM_THREADS=1 $(READER_PYTHON) $(READER)/train.py --material $(READER_OUT)/material.npz --workers $(READER_WORKERS) \
	  --seconds $(word 1,$(READER_SECONDS)) --keep 0.998 --seed 1 --out $(READER_OUT)/first.pt
	OMP_NUM_THREADS=1 $(READER_PYTHON) $(READER)/train.py --material $(READER_OUT)/material.npz --workers $(READER_WORKERS) \
	  --seconds $(word 2,$(READER_SECONDS)) --keep 0.998 --rate 0.0016 --seed 2 --start $(READER_OUT)/first.pt --out $(READER_OUT)/second.pt
	OMP_NUM_THREADS=1 $(READER_PYTHON) $(READER)/train.py --material $(READER_OUT)/material.npz --workers $(READER_WORKERS) \
	  --seconds $(word 3,$(READER_SECONDS)) --keep 0.998 --rate 0.0014 --again 3 --seed 3 --start $(READER_OUT)/second.pt \
	  --out $(READER_OUT)/reader.pt
	$(READER_PYTHON) $(READER)/export.py --weights $(READER_OUT)/reader.pt --material $(READER_OUT)/material.npz \
	  --out models/weights/plate-reader.onnx

# The plates are the reader's, and so is the environment. DETECTOR_CROPS as READER_CROPS. DETECTOR_SECONDS: how long the
# two rounds train. The figures of models/cards/plate-detector-kakou.md are of these on an H100, with 2,843 real crops.
DETECTOR := models/train/detector
DETECTOR_OUT := out/detector
DETECTOR_CROPS ?=
DETECTOR_SECONDS ?= 560 185
DETECTOR_WORKERS ?= 6 12
train-detector: tools-train models-public
	@mkdir -p $(DETECTOR_OUT)
	@[ -d $(DETECTOR_OUT)/opencv-doc ] || { cd $(DETECTOR_OUT); \
	  apt-get download -qq opencv-doc || { $(SUDO) apt-get update -qq && apt-get download -qq opencv-doc; }; \
	  dpkg-deb -x opencv-doc_*.deb opencv-doc; }
	$(READER_PYTHON) $(READER)/align.py $(DETECTOR_CROPS) --out $(DETECTOR_OUT)/aligned.jsonl
	$(READER_PYTHON) $(READER)/pictures.py --samples agent/samples --out $(DETECTOR_OUT)/pictures
	$(READER_PYTHON) $(DETECTOR)/photos.py --examples $(DETECTOR_OUT)/opencv-doc/usr/share/doc/opencv-doc/examples \
	  --out $(DETECTOR_OUT)/photos
	$(READER_PYTHON) $(DETECTOR)/pack.py --samples agent/samples --pictures $(DETECTOR_OUT)/pictures $(DETECTOR_OUT)/photos \
	  --crops $(DETECTOR_CROPS) --aligned $(DETECTOR_OUT)/aligned.jsonl --out $(DETECTOR_OUT)/scenes.npz
	OMP_NUM_THREADS=2 $(READER_PYTHON) $(DETECTOR)/learn.py --material $(DETECTOR_OUT)/scenes.npz --public models/cache/clp_det.onnx \
	  --workers $(word 1,$(DETECTOR_WORKERS)) --seconds $(word 1,$(DETECTOR_SECONDS)) --seed 1 --out $(DETECTOR_OUT)/first
	OMP_NUM_THREADS=2 $(READER_PYTHON) $(DETECTOR)/learn.py --material $(DETECTOR_OUT)/scenes.npz --public models/cache/clp_det.onnx \
	  --workers $(word 2,$(DETECTOR_WORKERS)) --seconds $(word 2,$(DETECTOR_SECONDS)) --rate 6e-4 --seed 2 \
	  --start $(DETECTOR_OUT)/first/plates.pt --out $(DETECTOR_OUT)/second
	$(READER_PYTHON) $(DETECTOR)/quantise.py --weights $(DETECTOR_OUT)/second/plates.pt --samples agent/samples \
	  --material $(DETECTOR_OUT)/scenes.npz --out models/weights/plate-detector.onnx

VEHICLES := models/train/vehicles
VEHICLES_PYTHON := out/vehicles/venv/bin/python

# The vehicle detector from the public one: nothing is trained, a minute.
train-vehicles: models-public
	@[ -x $(VEHICLES_PYTHON) ] || { mkdir -p out/vehicles; $(PYTHON) -m venv out/vehicles/venv; }
	@$(VEHICLES_PYTHON) -m pip install -q $(PINNED) -r $(VEHICLES)/requirements.txt
	$(VEHICLES_PYTHON) $(VEHICLES)/make.py --source models/cache/ssdlite_mobilenet_v2_coco.onnx --samples agent/samples \
	  --out models/weights/vehicles.onnx

CALIBRATION := models/train/calibration
CALIBRATION_OUT := out/calibration
CALIBRATION_PYTHON := $(CALIBRATION_OUT)/venv/bin/python
CALIBRATION_SETS ?= plates cutouts frames green inspection provinces special tollgate yard-campus yard-carpark
CALIBRATION_MOVED ?= cutouts frames green inspection provinces special tollgate yard-campus yard-carpark

# Prints the weights of agent/traffic/src/plate/probability.rs, and how well they hold where they were not fitted.
calibrate: models build
	@[ -n "$${KAKOU_DATA:-}" ] && [ -d "$${KAKOU_DATA}" ] || { echo "KAKOU_DATA must name the folder with the real pictures (it is '$${KAKOU_DATA:-}')" >&2; exit 1; }
	@[ -x $(CALIBRATION_PYTHON) ] || { mkdir -p $(CALIBRATION_OUT); $(PYTHON) -m venv $(CALIBRATION_OUT)/venv; }
	@$(CALIBRATION_PYTHON) -m pip install -q $(PINNED) -r $(CALIBRATION)/requirements.txt
	$(CALIBRATION_PYTHON) $(CALIBRATION)/wear.py pictures $${KAKOU_DATA}/plates --each 3 --out $(CALIBRATION_OUT)/worn
	$(CALIBRATION_PYTHON) $(CALIBRATION)/wear.py recordings $(CALIBRATION_MOVED:%=$${KAKOU_DATA}/%) --out $(CALIBRATION_OUT)/moved
	$(KAKOU) eval --calibration --signs $(CALIBRATION_OUT)/real.jsonl $(CALIBRATION_SETS:%=$${KAKOU_DATA}/%) $${KAKOU_DATA}/footage \
	  agent/samples/day agent/samples/dusk agent/samples/leaving
	$(KAKOU) eval --calibration --signs $(CALIBRATION_OUT)/worn.jsonl $(CALIBRATION_OUT)/worn
	$(KAKOU) eval --calibration --signs $(CALIBRATION_OUT)/moved.jsonl $(CALIBRATION_OUT)/moved
	$(CALIBRATION_PYTHON) $(CALIBRATION)/fit.py --real $(CALIBRATION_OUT)/real.jsonl --worn $(CALIBRATION_OUT)/worn.jsonl \
	  --moved $(CALIBRATION_OUT)/moved.jsonl

# 716 drawn plates stand behind the committed table; more are better.
CONFUSIONS_DRAWN ?= 716
confusions: build
	$(READER_PYTHON) $(CALIBRATION)/drawn.py --material $(READER_OUT)/material.npz --count $(CONFUSIONS_DRAWN) --out $(CALIBRATION_OUT)/drawn
	$(KAKOU) eval --confusions agent/traffic/src/plate/confusions.csv $${KAKOU_DATA} $(CALIBRATION_OUT)/worn $(CALIBRATION_OUT)/drawn

# What it needs is in agent/scene/README.md.
samples:
	for s in day dusk leaving; do \
	  $(PYTHON) agent/scene/render.py --sequence $$s --work out/scene/$$s; \
	  $(PYTHON) agent/scene/compose.py --sequence $$s --work out/scene/$$s --out agent/samples/$$s; done

clean:
	$(CARGO) clean
	rm -rf out
