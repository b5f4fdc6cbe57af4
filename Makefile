PYTHON ?= python3.11
SOURCE ?= demo
PRECISION ?= fp32
VENV := .venv
JUDGE_VENV := .venv-judge
RUN := $(VENV)/bin/python
DEMO_REPOSITORY := build/demo_repository
PLAYGROUND_PORT ?= 8080
# `make setup GPU=1` installs what uses a GPU. Later calls of make see its mark, so they keep it.
GPU ?= $(if $(wildcard $(VENV)/.gpu-ready),1)
# uv does not read pip's setting for additional places to find wheels.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

GPU_LOCK := --quiet --only-binary :all: --no-header --no-annotate --python-version 3.11 \
	--python-platform x86_64-manylinux_2_31

.DEFAULT_GOAL := help
.PHONY: help setup demo playground test test-clients docs check export serve bench soak load gpu-check recipe lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: $(if $(GPU),$(VENV)/.gpu-ready $(JUDGE_VENV)/.gpu-ready,$(VENV)/.ready $(JUDGE_VENV)/.ready)  ## make both virtual environments, with pinned packages (GPU=1: for a GPU)

$(VENV)/.ready: launcher/environments/main.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet uv==0.13.8
	$(VENV)/bin/uv pip install --quiet --python $(RUN) --requirement launcher/environments/main.txt
	$(VENV)/bin/uv pip install --quiet --python $(RUN) --no-deps --editable .
	touch $@

# Without dependencies: the lock is complete, and overrides the numpy requirement of vLLM's packages.
$(JUDGE_VENV)/.ready: launcher/environments/judge.txt $(VENV)/.ready
	$(PYTHON) -m venv $(JUDGE_VENV)
	$(VENV)/bin/uv pip install --quiet --python $(JUDGE_VENV)/bin/python --no-deps \
		--requirement launcher/environments/judge.txt
	touch $@

# Both packages of ONNX Runtime have the same files, so one replaces the other.
$(VENV)/.gpu-ready: launcher/environments/gpu.txt $(VENV)/.ready
	$(VENV)/bin/uv pip uninstall --quiet --python $(RUN) onnxruntime onnxruntime-gpu
	$(VENV)/bin/uv pip install --quiet --python $(RUN) --no-deps --requirement launcher/environments/gpu.txt
	touch $@

# Additional places may have a build of torch for CPUs, which uv would prefer.
$(JUDGE_VENV)/.gpu-ready: launcher/environments/judge_gpu.txt $(VENV)/.ready
	$(PYTHON) -m venv --clear $(JUDGE_VENV)
	UV_FIND_LINKS= $(VENV)/bin/uv pip install --quiet --python $(JUDGE_VENV)/bin/python --no-deps \
		--requirement launcher/environments/judge_gpu.txt
	touch $@

demo: setup  ## export the demo weights, serve them, screen a dozen texts, stop
	$(RUN) -m export_scripts --source demo --repository $(DEMO_REPOSITORY)
	$(RUN) -m launcher --repository $(DEMO_REPOSITORY) --free-ports -- \
		$(VENV)/bin/tribunal moderate < export_scripts/demo/text/demo.txt
	@echo
	@echo "These verdicts come from small demonstration weights. Next:"
	@echo "  make export SOURCE=hub    fetch and export the real models (needs the Hugging Face hub)"
	@echo "  make serve                serve them; then, in another terminal:"
	@echo "  $(VENV)/bin/tribunal moderate 'your own text'"

playground: setup  ## serve the demo weights and a gateway with its page, until Ctrl-C
	$(RUN) -m export_scripts --source demo --repository $(DEMO_REPOSITORY)
	$(RUN) -m launcher --repository $(DEMO_REPOSITORY) --free-ports -- \
		$(VENV)/bin/tribunal gateway --port $(PLAYGROUND_PORT) --policies docker/gateway/policies.toml

test: setup check  ## check, then run all tests
	$(RUN) -m pytest tests/unit --numprocesses 2 --cov --cov-report= --cov-fail-under=83
	$(RUN) -m pytest tests/integration --durations 10
	$(MAKE) docs

test-clients: setup  ## run other projects' clients against a gateway, each in its own environment
	$(RUN) -m tests.clients.run

docs: setup  ## build the documentation site in build/docs, and check its links
	$(VENV)/bin/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet --fresh-env --builder html docs build/docs

check: setup  ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) -m mypy
	for model in model_repository/*/1/model.py launcher/backends/*/model.py; do folder=$${model%/model.py}; \
		MYPYPATH=$${folder%/1} $(RUN) -m mypy $$model || exit 1; done

export: setup  ## fill model_repository (SOURCE=demo|hub|DIR, PRECISION=fp32|int8|fp16)
	$(RUN) -m export_scripts --source $(SOURCE) --precision $(PRECISION)

serve: setup  ## serve model_repository until Ctrl-C
	$(RUN) -m launcher

bench: setup  ## measure Tribunal beside every baseline, with full-size random weights
	$(RUN) -m export_scripts --source demo --repository $(DEMO_REPOSITORY)
	for benchmark in compare overhead memory scaling start judge; do $(RUN) -m perf $$benchmark || exit 1; done
	-$(RUN) -m perf sweep
	$(RUN) -m perf plot

soak: setup  ## ten minutes of mixed load while faults are injected
	$(RUN) -m export_scripts --source demo --repository $(DEMO_REPOSITORY)
	$(RUN) -m perf soak

load: setup  ## a minute of mixed load by Locust, with its report in build/
	$(RUN) -m export_scripts --source demo --repository $(DEMO_REPOSITORY)
	$(RUN) -m launcher --repository $(DEMO_REPOSITORY) --http-port 8000 --without-judge -- \
		$(VENV)/bin/locust --locustfile perf/load/locustfile.py --headless --users 16 --spawn-rate 4 \
		--run-time 60s --host http://127.0.0.1:8000 --html build/load.html --only-summary

gpu-check: setup  ## on a machine with a GPU: serve, compare scores with the CPU, load, report
	$(RUN) -m perf gpu-check

recipe: setup  ## retrain the demonstration weights
	$(VENV)/bin/uv pip install --quiet --python $(RUN) --group recipe \
		--constraint launcher/environments/main.txt
	$(RUN) -m export_scripts.demo.recipe

lock: setup  ## resolve and pin all packages
	$(VENV)/bin/uv pip compile --quiet --no-header --no-annotate --extra cli --extra evaluate --extra gateway --extra scan \
		--group serve --group export --group perf --group docs --group dev pyproject.toml | sed 's/+cpu$$//' > launcher/environments/main.txt
	$(VENV)/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.11 \
		--override launcher/environments/judge_overrides.txt launcher/environments/judge.in \
		| sed 's/+cpu$$//' > launcher/environments/judge.txt
	UV_FIND_LINKS= $(VENV)/bin/uv pip compile $(GPU_LOCK) --constraint launcher/environments/main.txt \
		launcher/environments/gpu.in > launcher/environments/gpu.txt
	UV_FIND_LINKS= $(VENV)/bin/uv pip compile $(GPU_LOCK) --override launcher/environments/judge_overrides.txt \
		launcher/environments/judge_gpu.in > launcher/environments/judge_gpu.txt
	$(VENV)/bin/uv pip compile --quiet --no-header --no-annotate --extra gateway --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 --constraint launcher/environments/main.txt pyproject.toml \
		> docker/gateway.txt

clean:  ## remove the environments, caches and exported models
	rm -rf $(VENV) $(JUDGE_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	git clean -q -d -f -X model_repository
