# make demo   a simulated drive, upload, correction, search, training, and a drive of the model, on
#             this machine; DATABASE=team for the same with an Elasticsearch and an S3 that it
#             starts, or that the variables name
# make test   all tests, exactly what CI runs
# make check  lint, types and the quick tests, without a server or a browser
# make versions  the quick tests with the lowest and with the newest packages that are allowed
# make fresh  demo and all tests on a bare Debian 12 and 13, as root, an hour; SUITE=trixie for one
# make virtualpi  drives in a virtual Pi: QEMU, and the kernel's own pads, pins, I2C and PWM; built
#             once from Debian's packages, some minutes; JUNIT=FILE for the result in that format
# make virtualpi ARCH=arm64  docs/raspberry_pi.md followed on a Debian 12 and 13 for a Pi's processor,
#             as root; then the quick tests of what a Pi runs, and instructions counted; an hour
# make servers  Elasticsearch and an S3 on this machine; DATA=DIR keeps what is stored, NODES=3 makes
#             Elasticsearch a cluster
# make soak   the promises at full length, every order of events and a cluster of three nodes
#             included, some hours; a soak that was killed goes on
# make bench  the figures of tests/benchmarks/README.md
# make onpi   on a real Pi: checks and measures it, and writes a report to send back; OPTIONS are in
#             `.venv/bin/python -m tests.on_pi --help`
# make lock   the versions and hashes in locks/, chosen anew within the ranges of requirements*.txt
# make clean  removes the environment, and the demo with its drives and its database

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
READY_TO_TEST := .venv/ready-to-test
READY_TO_LINT := node_modules/ready
# pip shows its progress on a terminal; inside $(...) no output would be one
PIP := [ -t 1 ] && quiet= || quiet=--quiet; $(BIN)/python -m pip install --disable-pip-version-check $$quiet
NODE := $(BIN)/node
PAGES := "get_data/**/*.{js,ts,css,html}" "*.mjs"
# twice as many as the two cores of a small machine: tests wait more than they compute
WORKERS := 4
# what a label index promises, tried once more on a cluster
CLUSTERED := tests/label_index tests/test_differential.py tests/test_search_answers.py tests/test_growing.py
# whose workers need what pytest has compiled, each 12 seconds of computing
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
QUICK := -q -n 2 -m "not slow and not servers and not browser"

.PHONY: demo test check versions fresh virtualpi lint servers soak bench onpi lock clean

demo: $(if $(filter team,$(DATABASE)),$(READY_TO_TEST),$(READY))
	@sh demo.sh $(BIN)/python $(DATABASE)

test: lint
	$(BIN)/python -m tests.servers --fetch
	$(PYTEST) -n $(WORKERS) --dist worksteal

check: lint
	$(PYTEST) $(QUICK)

versions: $(READY_TO_TEST)
	$(BIN)/python -m tests.environments.versions $(QUICK)

fresh:
	for suite in $(or $(SUITE),bookworm trixie); do sh tests/environments/fresh_machine.sh $$suite || exit; done

ifeq ($(ARCH),arm64)
virtualpi:
	for suite in $(or $(SUITE),bookworm trixie); do sh tests/environments/arm64/run.sh $$suite || exit; done
else
virtualpi: $(READY_TO_TEST)
	$(PYTEST) -p tests.environments.virtual_pi.running -p no:cacheprovider \
	  $(if $(JUNIT),--junitxml=$(JUNIT)) tests/environments/virtual_pi/scenarios.py
endif

lint: $(READY_TO_LINT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(NODE) node_modules/typescript/bin/tsc
	$(NODE) node_modules/eslint/bin/eslint.js --cache --cache-location node_modules/.cache/eslint/ get_data *.mjs
	$(NODE) node_modules/prettier/bin/prettier.cjs --cache --log-level warn --check $(PAGES)

servers: $(READY_TO_TEST)
	@$(BIN)/python -m tests.servers $(if $(DATA),--data $(DATA)) $(if $(NODES),--nodes $(NODES))

soak: $(READY_TO_TEST)
	$(BIN)/python -m pytest -n 2 tests/model --every-order
	$(BIN)/python -m pytest -n 2 -m servers $(CLUSTERED) --nodes 3 --shards 12
	$(BIN)/python -m tests.soak

bench: $(READY_TO_TEST)
	$(BIN)/python -m tests.benchmarks

# With the .venv that the Pi's page makes, which make must leave as it is. 3: something is missing,
# which the script has named.
onpi:
	@[ -x $(BIN)/python ] || { echo "There is no .venv. See docs/raspberry_pi.md, section 1"; exit 1; }
	@$(BIN)/python -m tests.on_pi $(OPTIONS) || [ $$? = 3 ]

lock: $(READY_TO_TEST)
	for lock in "desk.txt requirements.txt" "pi.txt requirements-pi.txt" \
	  "dev.txt requirements.txt requirements-export.txt requirements-dev.txt requirements-lint.txt"; do \
	  set -- $$lock; output=$$1; shift; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --upgrade "$$@" --output-file locks/$$output || exit; done

clean:
	rm -rf .venv .venv-lowest .venv-newest node_modules demo

$(READY): requirements.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version). Say: make PYTHON=python3.12"; exit 1; }
	@! grep -qs "include-system-site-packages = true" .venv/pyvenv.cfg || \
	  { echo "The .venv that is here sees the system's packages, as on a Pi, and make would empty it." \
	    "Use it as it is, or say: rm -r .venv"; exit 1; }
	@echo "Installing requirements.txt into .venv (first run only, about a minute)"
	@$(PYTHON) -m venv --clear .venv || \
	  { echo "Python's venv is missing. Say: sudo apt-get install python3-venv"; exit 1; }
	@$(PIP) -r requirements.txt
	@touch $@

$(READY_TO_TEST): $(READY) pyproject.toml requirements-dev.txt requirements-export.txt
	@echo "Installing requirements-dev.txt into .venv (first run only, about a minute)"
	@$(PIP) -r requirements-dev.txt -r requirements-export.txt
	@touch $@

# Node.js comes from PyPI and the tools that it runs from npm, so that no system package is needed.
# What pip and npm have to say of a failure is left to the command that the message names.
$(READY_TO_LINT): $(READY_TO_TEST) requirements-lint.txt package.json package-lock.json .npmrc
	@echo "Installing requirements-lint.txt and package-lock.json (first run only, about a minute)"
	@$(PIP) --only-binary :all: -r requirements-lint.txt 2>/dev/null || \
	  { echo "Node.js, which checks the JavaScript, cannot be installed." \
	    "See why: $(BIN)/python -m pip install --only-binary :all: -r requirements-lint.txt"; exit 1; }
	@$(BIN)/npm ci --silent || \
	  { echo "The tools that check the JavaScript cannot be installed. See why: $(BIN)/npm ci"; exit 1; }
	@touch $@
