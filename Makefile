# The first call of any target makes .venv; .ci/venv says which lane of the support matrix it took.
.DEFAULT_GOAL := help
RECIPE ?= data/fashion_mnist/recipe.yaml
ROOT ?= runs/fashion-mnist
PYTEST_ARGS ?=
ARGS ?=

.PHONY: help run test lint lock bench bench-compare bench-data bench-corpora bench-intervals bench-planted bench-tuning clean
help:  ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /make \1	/p' Makefile

.venv/.ready: requirements.txt pyproject.toml .ci/venv
	@.ci/venv

run: .venv/.ready  ## train, measure and push a generator (RECIPE=, ROOT=)
	@.venv/bin/tfx-gan run $(RECIPE) --root $(ROOT)

test: .venv/.ready  ## all tests, docstrings' examples included, two at a time (PYTEST_ARGS=)
	@# One thread each: those of two processes would wait for each other. Tests start some hundred
	@# processes, and without byte code each would compile TensorFlow's source for ten seconds.
	@unset PYTHONDONTWRITEBYTECODE; TF_NUM_INTRAOP_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	  .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: .venv/.ready  ## style, the arrows of docs/design.md, types
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/lint-imports
	@.venv/bin/mypy

lock: .venv/.ready  ## pin every dependency of both lanes, with hashes, in requirements.txt
	@.ci/lock

bench: .venv/.ready  ## a training step beside a tutorial's loop and PyTorch (ARGS=)
	@PYTHONPATH=. .venv/bin/python -W ignore benchmarks/speed.py $(ARGS)

bench-compare: .venv/.ready  ## the same against the stored figures (ARGS=)
	@PYTHONPATH=. .venv/bin/python -W ignore benchmarks/speed.py --compare benchmarks/speed.json $(ARGS)

bench-data: .venv/.ready  ## speed and memory of reading data and of training input (ARGS=)
	@.venv/bin/python benchmarks/data.py $(ARGS)

bench-corpora: .venv/.ready  ## files of other packages through the readers, new and validate (ARGS=)
	@PYTHONPATH=. .venv/bin/python benchmarks/corpora.py $(ARGS)

bench-intervals: .venv/.ready  ## the metrics' intervals beside how much the metrics really vary (ARGS=)
	@PYTHONPATH=. .venv/bin/python benchmarks/intervals.py $(ARGS)

bench-planted: .venv/.ready  ## what the gate says of planted faults and of perfect generators (ARGS=)
	@PYTHONPATH=. .venv/bin/python benchmarks/planted.py $(ARGS)

bench-tuning: .venv/.ready  ## a search from poor settings beside its start and the shipped recipe (ARGS=)
	@PYTHONPATH=.:benchmarks .venv/bin/python -W ignore benchmarks/tuning.py $(ARGS)

clean:  ## remove everything that is not committed: .venv, runs, caches
	@rm -rf .venv runs build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
