# `make help` lists the targets. Each does all the set-up it needs.
SHELL := /bin/bash
# This project's measurements and tests must see what users' machines have.
unexport OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
PYTHON := .venv/bin/python

.PHONY: help
help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 16

.PHONY: demo
demo: announce-demo install  ## build, show the pools, limit them, cluster a photograph; govern what goes wrong
	@$(PYTHON) examples/demo.py
	@$(PYTHON) examples/governed.py

.PHONY: announce-demo
announce-demo:
	@echo "demo: builds corewise into .venv with NumPy, SciPy, scikit-learn and mdtraj, shows their threads, and"
	@echo "demo: runs three programs without and with corewise. The first time takes about six minutes on 2 cores."

.PHONY: install
install: setup-demo  ## build the Python package into .venv
	@tools/install_package.sh

.PHONY: wheels
wheels:  ## repaired wheels for the Pythons that are here, tried in each, into dist/
	@tools/wheels.sh

.PHONY: docs
docs: setup-docs install  ## build the site into build/site
	@tools/site.sh && echo "docs: build/site/index.html"

.PHONY: setup-docs
setup-docs:
	@tools/setup.sh docs

.PHONY: setup-demo
setup-demo:
	@tools/setup.sh demo

.PHONY: setup-bench
setup-bench:
	@tools/setup.sh bench

.PHONY: setup-test
setup-test:
	@tools/setup.sh test

.PHONY: test
test: setup-test install  ## the tests of every day: core, Python, command line, README
	@$(PYTHON) tools/run_tests.py small

.PHONY: setup-large
setup-large:
	@tools/setup.sh large

.PHONY: test-large
test-large: setup-large install  ## what CI adds: large libraries, browser, MPI, R, sanitizers, arm64
	@$(PYTHON) tools/run_tests.py large

.PHONY: test-bend
test-bend: setup-large install  ## the proof of what bends, with each version of it (ten minutes)
	@tools/setup.sh bend
	@$(PYTHON) -m pytest -q tests/same/test_bend_table.py

.PHONY: setup-same
setup-same:
	@tools/setup.sh same

.PHONY: test-same
test-same: setup-large setup-same install  ## real programs, governed and not: no difference (25 minutes)
	@$(PYTHON) -m pytest -q tests/same/test_same.py

.PHONY: test-seed
test-seed: setup-large install  ## the crash of the story with its own wheels (300 MB, five minutes)
	@tools/setup.sh seed
	@$(PYTHON) -m pytest -q tests/seed tests/python/test_spare_slots.py

.PHONY: setup-smoke
setup-smoke:
	@tools/setup.sh smoke

.PHONY: test-smoke
test-smoke: setup-large setup-smoke install  ## 30 popular wheels used once, plain, with `import corewise`, governed (5 GB)
	@$(PYTHON) -m pytest -q tests/same/test_smoke.py

.PHONY: test-all
test-all: test test-large test-bend test-same test-smoke test-seed  ## all of these, one after another (hours)

.PHONY: test-sklearn
test-sklearn: setup-large install  ## scikit-learn's own tests under `corewise run` (half an hour)
	@tests/govern/run_sklearn_suite.sh $(abspath $(PYTHON))

.PHONY: test-reliability
test-reliability: setup-large install  ## the runs that used to crash, 50 times each (half an hour)
	@$(PYTHON) tools/run_tests.py build-gcc
	COREWISE_RUNS=50 ctest --test-dir build/dev -R '^reliability$$' --output-on-failure

.PHONY: test-languages
test-languages: setup-large install  ## R and Octave under `corewise run` (installs Octave, 230 MB)
	@dpkg -s octave >/dev/null 2>&1 || apt-get install -y -qq --no-install-recommends octave
	@$(PYTHON) -m pytest -q tests/estimators/test_languages.py

.PHONY: test-endurance
test-endurance: setup-large install  ## 10,000 births and deaths, a crowd with kill -9: all tokens come back (five minutes)
	@$(PYTHON) tests/govern/endurance.py

.PHONY: test-install
test-install:  ## README's install block in four fresh systems, `make test` in one (as root, an hour)
	@for suite in bookworm trixie jammy noble; do tests/install/fresh_root.sh $$suite || exit 1; done
	@tests/install/fresh_root.sh bookworm test

.PHONY: analyze
analyze: setup-large  ## clang's path analyzer over core and command line (four minutes)
	PATH="$(abspath .venv/bin):$$PATH" tools/tidy.sh --deep

.PHONY: bench
bench: setup-large install  ## print the benchmark tables
	@tools/bench.sh

.PHONY: bench-nested
bench-nested: setup-large setup-bench install  ## nested workloads under hand-tuned environments, side by side
	$(PYTHON) bench/nested/run.py --quick

.PHONY: simulate
simulate: setup-large  ## machines of 128 to 1,024 cores under each policy: docs/simulation.md
	@$(PYTHON) tools/run_tests.py build-gcc
	$(PYTHON) bench/simulate/report.py --write

.PHONY: test-arm64
test-arm64: setup-large install  ## real wheels of arm64, among them the story's own OpenBLAS, under qemu
	@tests/emulated/root.sh
	@$(PYTHON) -m pytest -q tests/emulated

.PHONY: format
format: setup-test  ## let clang-format and ruff write the sources
	@tools/format.sh --write

.PHONY: clean
clean:  ## remove what was built
	rm -rf build dist
