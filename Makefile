# The entry point for all tasks. `make` without a target lists them.

PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc

INSTALLED_UNITS = $(DESTDIR)$(PREFIX)/lib/systemd/system
INSTALLED_DOCS = $(DESTDIR)$(PREFIX)/share/doc/evenkeel
INSTALLED_CONFIG = $(DESTDIR)$(SYSCONFDIR)/evenkeel/evenkeel.yaml

# $(call configured,UNIT): the unit with the paths of this installation.
configured = sed -e 's,/usr/local/,$(PREFIX)/,g' -e 's,/etc/evenkeel/,$(SYSCONFDIR)/evenkeel/,g' $(1)
# Options of the benchmarks, such as ARGS='--quick', or of one part, ARGS='--only csv'.
ARGS ?=
# If it is --strict, a benchmark fails when it misses a target; for release-check.
STRICT =
# How long the soak and the chaos last, and the seed of the chaos.
SECONDS ?= 600
SEED ?= 1

# Packages that a bare Debian 12 with Swift lacks: our C libraries; g++ for C++ headers and the linker;
# git to fetch packages; the shared libraries that Swift's own tools load (the last four).
DEBIAN_PACKAGES := ca-certificates g++ git liblz4-dev librdkafka-dev libsimdjson-dev libxxhash-dev libyaml-dev libzstd-dev pkg-config time zlib1g-dev \
  zstd \
  libcurl4 libncurses6 libsqlite3-0 libxml2
# Tests run the documents' commands, which use these.
DEBIAN_TEST_PACKAGES := curl gzip python3 socat
DEBIAN_UNIT_PACKAGES := procps systemd
DEBIAN_MACHINE_PACKAGES := debootstrap procps systemd systemd-container
DEBIAN_PYTHON_PACKAGES := python3-venv
DEBIAN_PAGE_PACKAGES := chromium prometheus

# Swift's own libraries go into the binary, so that it runs where no Swift is installed.
STATIC := -c release --static-swift-stdlib
RELEASE := $(STATIC) --product evenkeel
EVENKEEL := .build/release/evenkeel
SWIFT_SOURCES := Sources Tests Package.swift Benchmarks
PYTHON_SOURCES = $(shell find Benchmarks Tests python packaging -name '*.py')

SAMPLE := samples/weather.csv.zst
FEATURES := temp,dewp,humid,wind_*,precip,pressure,visib

# Mutated inputs over all decoders.
FUZZ_INPUTS ?= 140000
# The only decoder to feed, and the sanitizer, address or thread, that watches; empty for all and none.
FUZZ_ONLY ?=
SANITIZE ?=

.DELETE_ON_ERROR:
.PHONY: help deps deps-python deps-test build test test-processes test-asynchronous test-others documents recipes release-check simulate lint format bench bench-formats bench-arrow bench-kernels \
  bench-stages bench-growth bench-latency bench-gradients bench-keys bench-drift bench-capacity allocations memcheck demo install uninstall print-unit unit-check \
  install-check alerts-check tls-check kafka-check kafka-bench kafka-demo kafka-constants scale flood chaos systemd-check bare-check page parity arrow-interop online-check promise-check \
  drift-check why adapt equality crash fuzz sanitize soak clean

help: ## List the targets.
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1	\2/p' $(MAKEFILE_LIST) | \
	  while IFS='	' read -r target text; do printf '  make %-13s %s\n' "$$target" "$$text"; done

# $(call install-missing,PACKAGES): if nothing is missing, asks for no network and no rights.
define install-missing
	@if ! command -v dpkg-query >/dev/null; then \
	  echo "This is no Debian; make sure of the like of: $(1)"; exit 0; \
	fi; \
	missing=; \
	for package in $(1); do \
	  dpkg-query -W -f='$${Status}\n' $$package 2>/dev/null | grep -q '^install ok installed' || \
	    missing="$$missing $$package"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	echo "Installing$$missing"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -q && \
	$$sudo env DEBIAN_FRONTEND=noninteractive \
	  apt-get install -q -y --no-install-recommends $$missing
endef

deps: ## Install what the build needs and this machine lacks (Debian packages).
	$(call install-missing,$(DEBIAN_PACKAGES))
	@command -v swift >/dev/null || { echo 'Swift 6.3 or newer must be on the PATH' >&2; exit 1; }

deps-test: deps
	$(call install-missing,$(DEBIAN_TEST_PACKAGES))

deps-python:
	$(call install-missing,$(DEBIAN_PYTHON_PACKAGES))

build: deps ## Build the release binary, .build/release/evenkeel.
	swift build $(RELEASE)

# Tests that start processes block the threads that asynchronous ones need, so each kind is a run of its own.
# Those with processes often wait, so the others run beside them.
PROCESS_TESTS := ^EndToEndTests|^CrashTests
ASYNCHRONOUS_TESTS := ControlPlaneTests
# The program of the tests. SwiftPM would run it too, but three of it at once find the build's database locked.
TEST_PROGRAM = $(shell swift build --show-bin-path)/evenkeelPackageTests.xctest
# One compiler a module and not two: the build of the tests from nothing takes 0.9 of the time on two cores.
DEBUG_BUILD := -Xswiftc -driver-batch-count -Xswiftc 1
SWIFT_TEST = $(TEST_PROGRAM) --testing-library swift-testing

# $(call run-tests,OPTIONS)
define run-tests
	swift build --build-tests $(DEBUG_BUILD) $(1)
	@$(MAKE) --no-print-directory -j3 TEST_PROGRAM="$$(swift build --show-bin-path $(1))/evenkeelPackageTests.xctest" \
	  test-processes test-asynchronous test-others
endef

test: deps-test ## Run the tests.
	$(call run-tests)

test-processes:
	$(SWIFT_TEST) --filter '$(PROCESS_TESTS)'

test-others:
	$(SWIFT_TEST) --skip '$(PROCESS_TESTS)|$(ASYNCHRONOUS_TESTS)'

test-asynchronous:
	$(SWIFT_TEST) --filter '$(ASYNCHRONOUS_TESTS)'

documents: build deps-test ## Run the commands of README.md and docs; ARGS=--write puts their output into the pages.
	python3 Tests/Documents/commands.py --evenkeel $(EVENKEEL) $(ARGS) README.md docs/*.md

# Each is a target; those that need root or the whole machine come last.
RELEASE_CHECKS := lint test sanitize simulate fuzz crash parity arrow-interop online-check promise-check drift-check why adapt recipes \
  documents python-page test-python alerts-check tls-check unit-check install-check allocations memcheck flood chaos wheel-check deb-check \
  image-check sbom systemd-check bare-check reproducible bench

release-check: ## Run all that a release must pass, for some hours, as root; RELEASE_CHECKS='test parity' for a part.
	@for check in $(RELEASE_CHECKS); do \
	  echo "release-check: make $$check"; \
	  $(MAKE) --no-print-directory STRICT=--strict $$check || { echo "release-check: make $$check failed" >&2; exit 1; }; \
	done
	@echo 'release-check: fine: $(RELEASE_CHECKS)'

simulate: deps ## Crash a stream 10,000 times; EVENKEEL_SIMULATION_SEED=N runs only one seed.
	EVENKEEL_FULL=1 swift test $(DEBUG_BUILD) --disable-xctest --filter SimulationTests

lint: deps-python ## Check the format of the sources.
	swift format lint --strict -r $(SWIFT_SOURCES)
	PYTHONPYCACHEPREFIX=.build-pycache python3 -m py_compile $(PYTHON_SOURCES)
	for script in .ci/run Tests/Units/* $(PACKAGING_SCRIPTS); do bash -n $$script || exit 1; done

format: ## Format the Swift sources.
	swift format -i -r $(SWIFT_SOURCES)

demo: build ## Normalise a year of hourly weather, twice.
	@mkdir -p .build-demo
	$(EVENKEEL) normalize $(SAMPLE) --features '$(FEATURES)' \
	  -o .build-demo/weather.csv.zst --checkpoint-out .build-demo/first.safetensors
	$(EVENKEEL) inspect .build-demo/first.safetensors
	@echo; echo 'A second pass goes on from the moments of the first:'
	$(EVENKEEL) normalize $(SAMPLE) --features '$(FEATURES)' \
	  --checkpoint-in .build-demo/first.safetensors \
	  -o .build-demo/weather-again.csv.zst --checkpoint-out .build-demo/second.safetensors
	$(EVENKEEL) inspect .build-demo/second.safetensors
	@echo
	zstd -dc $(SAMPLE) | head -n 4
	zstd -dc .build-demo/weather.csv.zst | head -n 4
	zstd -dc .build-demo/weather-again.csv.zst | head -n 4

install: build ## Install binary, unit, example configuration and docs; PREFIX, DESTDIR, SYSCONFDIR.
	install -D -s -m 755 $(EVENKEEL) '$(DESTDIR)$(PREFIX)/bin/evenkeel'
	install -d '$(INSTALLED_UNITS)' '$(INSTALLED_DOCS)/docs/decisions' '$(INSTALLED_DOCS)/docs/images' \
	  '$(INSTALLED_DOCS)/examples'
	$(call configured,config/evenkeel.service) > '$(INSTALLED_UNITS)/evenkeel.service'
	chmod 644 '$(INSTALLED_UNITS)/evenkeel.service'
	install -m 644 README.md CHANGELOG.md LICENSE '$(INSTALLED_DOCS)'
	install -m 644 docs/*.md '$(INSTALLED_DOCS)/docs'
	install -m 644 docs/decisions/*.md '$(INSTALLED_DOCS)/docs/decisions'
	install -m 644 docs/images/* '$(INSTALLED_DOCS)/docs/images'
	install -m 644 config/evenkeel.yaml config/evenkeel-weather.socket config/grafana-dashboard.json \
	  config/prometheus-alerts.yaml \
	  '$(INSTALLED_DOCS)/examples'
	@if [ -e '$(INSTALLED_CONFIG)' ]; then echo 'Kept $(INSTALLED_CONFIG)'; else \
	  install -D -v -m 644 config/evenkeel.yaml '$(INSTALLED_CONFIG)'; fi

# For Tests/Units.
print-unit:
	@$(call configured,config/evenkeel.service)

uninstall: ## Remove the installed files; the configuration and the state stay.
	rm -f '$(DESTDIR)$(PREFIX)/bin/evenkeel' '$(INSTALLED_UNITS)/evenkeel.service'
	rm -rf '$(INSTALLED_DOCS)'

unit-check: build ## Verify the units, and that the exposure of the service is low.
	$(call install-missing,$(DEBIAN_UNIT_PACKAGES))
	bash Tests/Units/check-units '$(EVENKEEL)'

install-check: build ## Install into a directory, check and run the installed files, and uninstall.
	bash Tests/Units/check-install

alerts-check: ## Test the alerts for Prometheus with promtool.
	$(call install-missing,prometheus)
	promtool check rules config/prometheus-alerts.yaml
	promtool test rules Tests/Alerts/alerts-test.yaml

tls-check: build deps-python ## Run the documented stunnel with client certificates, on loopback.
	$(call install-missing,curl openssl stunnel4)
	python3 Tests/TLS/tls.py --evenkeel '$(EVENKEEL)'

kafka-check: build .venv-kafka/ready ## Kill the daemon between topics of real brokers from PyPI, also with TLS and passwords, and compare.
	$(call install-missing,openssl)
	.venv-kafka/bin/python Tests/Kafka/check.py --evenkeel '$(EVENKEEL)' $(ARGS)

kafka-demo: build .venv-kafka/ready ## Normalise between two topics by two members, kill one, and show that nothing is lost.
	.venv-kafka/bin/python Tests/Kafka/demo.py --evenkeel '$(EVENKEEL)' $(ARGS)

kafka-bench: build .venv-kafka/ready ## Compare a stream between two topics with a bare loop over librdkafka.
	@mkdir -p .build-kafka
	gcc -O2 -Wall -Werror -o .build-kafka/loop Tests/Kafka/loop.c -lrdkafka
	.venv-kafka/bin/python Tests/Kafka/bench.py --evenkeel '$(EVENKEEL)' --loop .build-kafka/loop $(ARGS)

kafka-constants: build .venv-kafka/ready ## Measure the constants of Benchmarks/scale.py; ARGS='--only members'.
	.venv-kafka/bin/python Tests/Kafka/constants.py --evenkeel '$(EVENKEEL)' $(ARGS)

scale: ## Compute how streams between topics scale to more partitions (docs/SCALE.md); ARGS='--features 256'.
	python3 Benchmarks/scale.py $(ARGS)

flood: build deps-python ## Flood the control port with 50,000 connections; health answers and data must continue.
	python3 Tests/Chaos/flood.py --evenkeel '$(EVENKEEL)' $(ARGS)

chaos: build deps-python ## Run the daemon while everything fails, for SECONDS (600); SEED=N; an hour for a release.
	@mkdir -p .build-chaos
	gcc -O1 -Wall -Werror -shared -fPIC -o .build-chaos/clock.so Tests/Chaos/clock.c
	python3 Tests/Chaos/chaos.py --evenkeel '$(EVENKEEL)' --seconds $(SECONDS) --seed $(SEED) \
	  --clock '$(CURDIR)/.build-chaos/clock.so'

systemd-check: build deps-python ## Run the service under a real systemd on a bare Debian 12; as root.
	$(call install-missing,$(DEBIAN_MACHINE_PACKAGES))
	python3 Tests/Systemd/check.py --evenkeel '$(EVENKEEL)' $(ARGS)

bare-check: deps-python ## Build and run the demo on a bare Debian 12 with this machine's Swift; as root.
	$(call install-missing,$(DEBIAN_MACHINE_PACKAGES))
	python3 Tests/Systemd/bare.py $(ARGS)

.venv-%/ready: | deps-python
	python3 -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

.venv-bench/ready: Benchmarks/requirements.txt
.venv-kernels/ready: Benchmarks/requirements-kernels.txt
.venv-parity/ready: Tests/Parity/requirements.txt
.venv-online/ready: Tests/Online/requirements.txt
.venv-recipes/ready: Tests/Oracles/requirements-statistics.txt
.venv-arrow/ready: Tests/Oracles/arrow/requirements.txt
.venv-why/ready: Tests/Why/requirements.txt
.venv-drift/ready: Tests/Drift/requirements.txt
.venv-kafka/ready: Tests/Kafka/requirements.txt

# Never at the same time: each wants the machine for itself.
BENCHMARKS := formats arrow kernels stages growth latency gradients keys drift capacity

bench: build ## Run all benchmarks below, a quarter of an hour; ARGS='--quick'.
	for part in $(BENCHMARKS); do $(MAKE) --no-print-directory bench-$$part || exit 1; done

bench-formats: build .venv-bench/ready ## Measure against pipes and Python peers; ARGS='--only csv'.
	.venv-bench/bin/python Benchmarks/run.py --evenkeel $(EVENKEEL) $(STRICT) $(ARGS)

# $(call build-benchmark,NAME)
build-benchmark = swift build $(STATIC) --product $(1)

bench-arrow: build .venv-bench/ready ## Measure Arrow streams against PyArrow with NumPy, Polars, cat and a zstd pipe.
	.venv-bench/bin/python Benchmarks/arrow.py --evenkeel $(EVENKEEL) $(STRICT) $(ARGS)

bench-kernels: build .venv-kernels/ready ## Measure the arithmetic against PyTorch's, one thread each.
	$(call build-benchmark,KernelBenchmark)
	.venv-kernels/bin/python Benchmarks/kernels.py --evenkeel $(EVENKEEL) \
	  --benchmark .build/release/KernelBenchmark $(STRICT) $(ARGS)

bench-stages: build deps-python ## Measure each stage of the data path by itself.
	$(call build-benchmark,StageBenchmark)
	python3 Benchmarks/stages.py --evenkeel $(EVENKEEL) --benchmark .build/release/StageBenchmark $(ARGS)

bench-growth: build deps-python ## Measure by records, features, batch size, streams; ARGS='--axis batch'.
	python3 Benchmarks/growth.py --evenkeel $(EVENKEEL) $(STRICT) $(ARGS)

bench-latency: build deps-python ## Measure the latency of a record through the daemon.
	python3 Benchmarks/latency.py --evenkeel $(EVENKEEL) $(ARGS)

bench-gradients: build deps-python ## Measure the latency of a record while gradients of γ and β come.
	python3 Benchmarks/gradients.py --evenkeel $(EVENKEEL) $(ARGS)

bench-keys: build deps-python ## Measure keys, 10³ to 10⁶ of them, against none: arithmetic, whole process, memory.
	$(call build-benchmark,KernelBenchmark)
	python3 Benchmarks/keys.py --evenkeel $(EVENKEEL) --benchmark .build/release/KernelBenchmark $(ARGS)

bench-drift: build deps-python ## Measure what the charts of drift cost: the arithmetic, and whole runs on and off.
	$(call build-benchmark,KernelBenchmark)
	python3 Benchmarks/drift.py --evenkeel $(EVENKEEL) --benchmark .build/release/KernelBenchmark $(ARGS)

bench-capacity: build deps-python ## Measure what a service takes, in processor time and memory; ARGS='--quick'.
	python3 Benchmarks/capacity.py --evenkeel $(EVENKEEL) $(ARGS)

memcheck: build deps-python ## Run the release binary under valgrind; fails for memory that is not its own.
	$(call install-missing,binutils valgrind)
	python3 Tests/Memcheck/memcheck.py --evenkeel $(EVENKEEL)

allocations: build deps-python ## Count heap allocations per record; fails if there are too many.
	python3 Tests/Allocations/allocations.py --evenkeel $(EVENKEEL)

parity: build .venv-parity/ready ## Compare with PyTorch's BatchNorm1d, checkpoints both ways.
	.venv-parity/bin/python Tests/Parity/parity.py --evenkeel $(EVENKEEL) --sample $(SAMPLE)

arrow-interop: build .venv-arrow/ready ## Run Arrow files of four writers through the binary, and read the output with each.
	.venv-arrow/bin/python Tests/Interop/arrow.py --evenkeel $(EVENKEEL)
	PATH="$(CURDIR)/.venv-arrow/bin:$$PATH" python3 Tests/Documents/commands.py --evenkeel $(EVENKEEL) \
	  --target arrow-interop docs/ARROW.md docs/COOKBOOK.md

equality: build ## Compare the output bytes with those of another version; OLD=its binary.
	python3 Tests/Parity/equality.py --old '$(OLD)' --new $(EVENKEEL) $(ARGS)

recipes: .venv-recipes/ready ## Run the recipes of docs/CHECKPOINTS.md with each library, and make the golden files of it.
	.venv-recipes/bin/python Tests/Oracles/make_statistics_golden.py

online-check: build .venv-online/ready ## Train a linear model online on our features, beside River's scalers.
	.venv-online/bin/python Tests/Online/online.py --evenkeel $(EVENKEEL) --sample $(SAMPLE)

promise-check: build .venv-online/ready ## Measure mean and deviation of the defaults on made streams of full length.
	.venv-online/bin/python Tests/Promise/promise.py --evenkeel $(EVENKEEL)

why: build .venv-why/ready ## Run the experiments of docs/WHY.md and compare; ARGS=--write puts the results in.
	.venv-why/bin/python -B Tests/Why/why.py --evenkeel $(EVENKEEL) $(ARGS)

adapt: build .venv-why/ready ## Run the experiments of docs/ADAPTATION.md and compare; ARGS=--write puts the results in.
	.venv-why/bin/python -B Tests/Adapt/adapt.py --evenkeel $(EVENKEEL) $(ARGS)

drift-check: build .venv-drift/ready ## Measure false alarms and delays of drift beside other detectors; ARGS='--seeds 10' for less.
	.venv-drift/bin/python Tests/Drift/drift.py --evenkeel $(EVENKEEL) --peers $(ARGS)

page: build ## Test the live page in Chromium and the metrics with promtool; take docs/images of a daemon on the sample.
	$(call install-missing,$(DEBIAN_PAGE_PACKAGES))
	EVENKEEL_CHROMIUM="$$(command -v chromium)" swift test $(DEBUG_BUILD) --disable-xctest --filter ControlPlaneTests
	python3 Tests/Page/pictures.py --evenkeel $(EVENKEEL) --chromium "$$(command -v chromium)" docs/images

crash: deps ## Kill the daemon 200 times, fill disks; EVENKEEL_SEED=N repeats the numbers of a run.
	EVENKEEL_FULL=1 swift test $(DEBUG_BUILD) --disable-xctest --filter CrashTests

fuzz: deps ## Feed mutated input to every decoder, FUZZ_INPUTS in all; FUZZ_ONLY=arrow for one, SANITIZE=address under it.
	EVENKEEL_FUZZ=$(FUZZ_INPUTS) EVENKEEL_FUZZ_ONLY=$(FUZZ_ONLY) EVENKEEL_FULL=1 \
	  EVENKEEL_SANITIZED=$(if $(SANITIZE),1) ASAN_OPTIONS=detect_leaks=0 swift test $(DEBUG_BUILD) --disable-xctest \
	  $(if $(SANITIZE),--sanitize=$(SANITIZE) --scratch-path .build-$(if $(filter thread,$(SANITIZE)),tsan,asan)) \
	  --filter '$(if $(FUZZ_ONLY),FuzzTests,FuzzTests|ShortestTextTests|ArrowHostileTests|CheckpointTests|CheckpointFallbackTests)'

sanitize: export EVENKEEL_SANITIZED = 1
# Swift hides the address of a weak reference's side table, which looks like a leak of 32 bytes.
sanitize: export ASAN_OPTIONS = detect_leaks=0
sanitize: deps-test ## Run the tests under AddressSanitizer and ThreadSanitizer.
	$(call run-tests,--sanitize=address --scratch-path .build-asan)
	$(call run-tests,--sanitize=thread --scratch-path .build-tsan)

soak: build ## Run the daemon under load; SECONDS=60 for less than ten minutes.
	python3 Tests/Soak/soak.py --evenkeel $(EVENKEEL) --seconds $(SECONDS)

include packaging/packaging.mk

clean: ## Remove everything that was made.
	rm -rf .build .build-* .venv-* dist
