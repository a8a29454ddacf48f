# Packages for users: a program without dependencies, and the Python package that carries it.

STATIC_LIBRARIES := .build-static/lib
STATIC_EVENKEEL := .build-static/evenkeel
DEBIAN_STATIC_PACKAGES := binutils dpkg-dev libssl-dev
PACKAGING_SCRIPTS := $(wildcard packaging/build-* packaging/check-* packaging/deb/*) packaging/static-libraries
DEBIAN_DEB_PACKAGES := binutils dpkg-dev libssl-dev
DEBIAN_DEB_CHECK_PACKAGES := debootstrap systemd-container
DEBIAN_IMAGE_PACKAGES := curl runc umoci
# The one place that says the version.
VERSION := $(shell sed -n 's/.*"\([0-9.]*\)".*/\1/p' Sources/evenkeel/Version.swift)

.PHONY: static wheel wheel-check test-python python-page deb deb-check image image-check sbom \
  reproducible

# No path of this folder gets into the program, and no identity that is made of such paths.
PREFIX_MAP := $(CURDIR)=.

static: deps ## Build a program that needs no library, .build-static/evenkeel.
	$(call install-missing,$(DEBIAN_STATIC_PACKAGES))
	packaging/static-libraries $(STATIC_LIBRARIES)
	PKG_CONFIG_PATH=$(CURDIR)/$(STATIC_LIBRARIES) swift build -c release --static-swift-stdlib -Xswiftc -static-executable \
	  -Xswiftc -file-prefix-map -Xswiftc '$(PREFIX_MAP)' -Xcc '-ffile-prefix-map=$(PREFIX_MAP)' \
	  -Xlinker -L$(CURDIR)/$(STATIC_LIBRARIES) --scratch-path .build-static --product evenkeel
	strip -R .note.gnu.build-id -R .swift_modhash -o $(STATIC_EVENKEEL) .build-static/release/evenkeel

wheel: static deps-python ## Build the Python wheel, which carries the program, and the sdist: dist/.
	rm -f dist/evenkeel-*
	EVENKEEL_BINARY=$(STATIC_EVENKEEL) python3 python/backend/evenkeel_build.py dist

wheel-check: wheel ## Install the wheel with pip, here and on a bare Debian 12, and use it; as root.
	packaging/check-wheel dist
	$(call install-missing,$(DEBIAN_DEB_CHECK_PACKAGES))
	python3 packaging/check_bare_wheel.py dist/evenkeel-*.whl $(ARGS)

.venv-python/ready: python/requirements-test.txt

test-python: build .venv-python/ready ## Test the Python package against the binary.
	cd python && ../.venv-python/bin/python -m mypy
	cd python && EVENKEEL_BINARY=$(CURDIR)/$(EVENKEEL) ../.venv-python/bin/python -m pytest $(ARGS)

python-page: build deps-test .venv-python/ready ## Run the documents' Python and compare; ARGS=--write puts the output in.
	.venv-python/bin/python python/check_page.py --evenkeel $(EVENKEEL) $(ARGS)

deb: build deps-python ## Build the Debian package, dist/evenkeel_*.deb.
	$(call install-missing,$(DEBIAN_DEB_PACKAGES))
	rm -rf .build-deb
	$(MAKE) --no-print-directory -s -o build install DESTDIR=$(CURDIR)/.build-deb PREFIX=/usr SYSCONFDIR=/etc \
	  SYSTEMD_VERSION=252
	packaging/build-deb .build-deb $(VERSION) dist

deb-check: deb ## Install, upgrade and purge the package on a bare Debian 12 under systemd; as root.
	$(call install-missing,$(DEBIAN_DEB_CHECK_PACKAGES))
	python3 packaging/check_deb.py dist/evenkeel_$(VERSION)_*.deb $(ARGS)

image: static ## Build an OCI image of the static program alone, dist/evenkeel_*.oci.tar; as root.
	$(call install-missing,$(DEBIAN_IMAGE_PACKAGES))
	packaging/build-image $(STATIC_EVENKEEL) $(VERSION) dist

image-check: image ## Run the image with runc; as root.
	packaging/check-image dist/evenkeel_$(VERSION).oci.tar $(VERSION)

reproducible: deps ## Build program and wheel twice, in different folders, and compare the bytes.
	packaging/check-reproducible

sbom: deps-python ## Write what is in the static program, dist/evenkeel.cdx.json (CycloneDX); after `make static`.
	@mkdir -p dist
	python3 packaging/components.py sbom $(VERSION) --static > dist/evenkeel.cdx.json
