BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Named by the content of what it was installed from, so that a checkout of other locks installs again.
INSTALLED := .venv/installed-$(shell cat requirements/dev.txt requirements/runtime.in pyproject.toml | cksum | tr ' ' '-')
GATEWAYS := .venv-gateways/bin
GATEWAYS_INSTALLED := .venv-gateways/installed-$(shell cat requirements/litellm.txt pyproject.toml | cksum | tr ' ' '-')
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup setup-gateways run test test-gateways quick suite-cost lint types format bench watch-latency gateway-faults torture mutation lock clean verify-with-go

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED) ## create .venv from the locks; PYTHON=python3.12 chooses the interpreter

$(INSTALLED):
	@fits='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
	if ! $(BIN)/python -c "$$fits" 2>/dev/null; then \
		for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3 python none); do \
			if "$$python" -c "$$fits" 2>/dev/null; then break; fi; \
		done; \
		if ! "$$python" -c "$$fits" 2>/dev/null; then \
			echo 'Python 3.11 or newer with its venv module is needed and was not found$(PYTHON:%= in %); name one with `make setup PYTHON=...`.' >&2; \
			exit 1; \
		fi; \
		echo "making .venv with $$python"; \
		"$$python" -m venv --clear .venv; \
	fi
	@echo "installing $$(grep -c '^[a-z].*==' requirements/dev.txt) packages into .venv, each by its hash: a minute or some, once for each change of the locks"
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --force-reinstall --no-deps --require-hashes -r requirements/otel.txt # xds-protos brings older messages under the same names
	@echo 'installing policy-engine itself'
	@$(PIP) --no-deps --no-build-isolation -e .
	@rm -f .venv/installed-* && touch $@

run: setup ## start the service on an embedded database with the demonstration roster
	@echo 'starting the service on the database and the sealed log below var/'
	@$(BIN)/policy-engine serve --demo

test: lint types ## run every check that CI runs, and say which tests took longest
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --durations 20 --durations-min 5

setup-gateways: $(GATEWAYS_INSTALLED) ## create .venv-gateways: LiteLLM's proxy and the clients of OpenAI and Anthropic, apart from everything else

$(GATEWAYS_INSTALLED): $(INSTALLED)
	@echo "installing $$(grep -c '^[a-z].*==' requirements/litellm.txt) packages into .venv-gateways, each by its hash: some minutes, once for each change of the lock"
	@$(BIN)/python -m venv --clear .venv-gateways
	@$(GATEWAYS)/python -m pip --disable-pip-version-check install --quiet --no-compile --require-hashes -r requirements/litellm.txt
	@$(GATEWAYS)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation -e .
	@touch $@

test-gateways: setup-gateways ## run the plugin for LiteLLM in a real proxy, with the clients that people use
	$(GATEWAYS)/python -m pytest --confcutdir=tests/with_litellm --durations 10 --durations-min 5 tests/with_litellm

quick: setup ## run what takes under a minute of processor time: the worked examples, domain, formats and policy; no database, service, ledger, door or story, and no test marked slow
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m 'not slow' $(addprefix tests/,domain formats policy test_cases.py test_golden.py)

suite-cost: setup ## measure the processor time of the tests by folder; as long as `make test` with one worker
	$(BIN)/python -m benchmarks.suite

lint: setup ## check the style, the direction of imports and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/hadolint Dockerfile

types: setup ## check the types
	$(BIN)/mypy

format: setup ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## run the benchmarks
	$(BIN)/python -m benchmarks

watch-latency: setup ## measure how soon listeners and receivers of webhooks know of 200 revocations
	$(BIN)/python -m benchmarks.watch_latency

gateway-faults: setup ## count what reaches the models behind the real Envoy while the decision point misbehaves, 20 times each
	$(BIN)/python -m tests.gateways.counting --times 20

mutation: setup ## change the rules one thing at a time, and say which change no worked example notices
	$(BIN)/policy-engine policy test --policies policies --coverage --mutation

lock: setup ## compile requirements/*.txt anew, with the newest versions that requirements/*.in allow
	@for lock in build runtime grpc otel parquet dev litellm; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
			--custom-compile-command 'make lock' requirements/$$lock.in --output-file requirements/$$lock.txt || exit 1; \
	done

clean: ## remove .venv and everything built or cached
	rm -rf .venv .venv-gateways build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

verify-with-go: setup ## seal a log and verify it with programs in Go that are not ours; needs Go and its proxy
	PATH="$$PATH:/usr/local/go/bin" tests/external/verify_with_go.sh

torture: setup ## kill, break and trace the service for about 30 minutes; strace is needed for a part (TORTURE_KILLS=300)
	$(BIN)/python -m benchmarks.torture
