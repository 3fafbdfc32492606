PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8000
CONFIG ?= configs/nano.yaml
EXTRAS := [test,check]
# Beginnings of the tests that neither start a server nor wait for one: they can run beside the others.
UNITS  := tests/test_ tests/admission tests/fit tests/nano tests/parsing tests/prompt tests/protocol

# What vLLM and torch bring takes Python half a minute to compile; each process would do it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test live units image-test check clean

serve: $(VENV)/.server  ## run the server; PORT= and CONFIG= change where and what
	$(BIN)/electron-server serve --config $(CONFIG) --port $(PORT)

test: live units  ## all tests; a real engine, real stores and real clients among them

live: $(VENV)/.tools
	.ci/packages
	$(BIN)/python -m pytest $(UNITS:%=--deselect=%)

units: $(VENV)/.tools
	nice $(BIN)/python -m pytest $(wildcard $(UNITS:=*))

image-test: $(VENV)/.tools  ## build the image without a container engine, start it, drain it; minutes
	.ci/packages image
	$(BIN)/python -m pytest tests/image

check: $(VENV)/.tools  ## style, types, layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layout.py

clean:
	rm -rf $(VENV)

# torchvision, torchaudio and torchcodec come with vLLM but are not used for text. Where pip found a CPU build of torch, theirs
# do not match it and, imported by the way, keep vLLM from importing: then they have to go.
# Not compiled: that takes minutes, and Python compiles what it imports.
define install
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --no-compile --editable '.$(1)'
	for package in torchvision torchaudio torchcodec; do \
	  $(BIN)/python -c "import $$package" 2>/dev/null || $(BIN)/pip uninstall --yes --quiet $$package; \
	done
endef

$(VENV)/.server: pyproject.toml
	$(call install)
	touch $@

$(VENV)/.tools: pyproject.toml
	$(call install,$(EXTRAS))
	touch $@ $(VENV)/.server
