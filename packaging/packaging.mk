# What is given to users: a program without dependencies, and the Python package that carries it.

STATIC_LIBRARIES := .build-static/lib
STATIC_EVENKEEL := .build-static/evenkeel
DEBIAN_STATIC_PACKAGES := binutils dpkg-dev
PACKAGING_SCRIPTS := packaging/check-wheel packaging/static-libraries

.PHONY: static wheel wheel-check test-python python-page

static: deps ## Build a program that needs no library, .build-static/evenkeel.
	$(call install-missing,$(DEBIAN_STATIC_PACKAGES))
	packaging/static-libraries $(STATIC_LIBRARIES)
	swift build -c release --static-swift-stdlib -Xswiftc -static-executable \
	  -Xlinker -L$(CURDIR)/$(STATIC_LIBRARIES) --scratch-path .build-static --product evenkeel
	strip -o $(STATIC_EVENKEEL) .build-static/release/evenkeel

wheel: static deps-python ## Build the Python wheel, which carries the program, and the sdist: dist/.
	rm -rf dist
	EVENKEEL_BINARY=$(STATIC_EVENKEEL) python3 python/backend/evenkeel_build.py dist

wheel-check: wheel ## Install the wheel into an environment of its own, and use it.
	packaging/check-wheel dist

.venv-python/ready: python/requirements-test.txt

test-python: build .venv-python/ready ## Test the Python package against the binary.
	cd python && ../.venv-python/bin/python -m mypy
	cd python && EVENKEEL_BINARY=$(CURDIR)/$(EVENKEEL) ../.venv-python/bin/python -m pytest $(ARGS)

python-page: build .venv-python/ready ## Run docs/PYTHON.md and compare; ARGS=--write puts the output into it.
	.venv-python/bin/python python/check_page.py --evenkeel $(EVENKEEL) $(ARGS)
