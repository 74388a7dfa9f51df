# motorcade. Two commands: `make run` (platform with a demo fleet) and `make test` (everything).
# The build itself is CMake and ninja; this file installs what is missing and calls them.
# `make run` takes VEHICLES=500, OSM=extract.osm.pbf, DATA=folder and ARGS="--http-port 9080" (any option of `motorcade demo --help`).

VEHICLES ?= 60
OSM ?=
DATA ?= run
ARGS ?=
JOBS ?= $(shell nproc)
NINJA = ninja -j$(JOBS)
PORTAL_SOURCES = $(shell find portal -path portal/node_modules -prune -o -path portal/dist -prune -o -type f -print 2>/dev/null) src/api/operations.json tools/generate_api.py

.PHONY: all programs portal duckdb run test test-kill check check-layering bench fuzz clean setup

all: programs

setup:
	@tools/setup.sh build

build/build.ninja: CMakeLists.txt cmake/modules.cmake cmake/tests.cmake | setup
	@cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
	@rm -f build-configure.log

programs: build/build.ninja
	@$(NINJA) -C build motorcade motorcade-edge motorcade-sim

portal: portal/dist/.built

portal/node_modules/.installed: portal/package.json portal/package-lock.json | setup
	@echo "portal: npm ci"
	@cd portal && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

portal/dist/.built: $(PORTAL_SOURCES) portal/node_modules/.installed
	@cd portal && npm run --silent build
	@touch $@

# The SQL engine's library, which Parquet files need; everything else works without it.
duckdb: tools/duckdb/node_modules/.installed

tools/duckdb/node_modules/.installed: tools/duckdb/package.json tools/duckdb/package-lock.json | setup
	@echo "duckdb: npm ci"
	@(cd tools/duckdb && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) && touch $@ || echo "duckdb: not to be had here (no network, or no x86-64); Parquet files will be JSON, their tests are skipped"

run: programs portal duckdb
	@exec build/motorcade demo --vehicles $(VEHICLES) --data $(DATA) --portal portal/dist $(if $(OSM),--osm $(OSM)) $(ARGS)

test: duckdb
	@tools/setup.sh build test
	@python3 tests/run.py

# The long proof: 500 ends under mixed load, by kill -9 and by power cuts (some five minutes).
test-kill:
	@tools/setup.sh build test
	@MOTORCADE_KILL_ROUNDS=500 python3 tests/run.py --stage system --only test_kill_mixed

check: build/build.ninja portal/node_modules/.installed
	@tools/setup.sh check
	@python3 tools/check_layering.py
	@python3 tools/check_format.py
	@python3 tools/check_parsers.py
	@python3 tools/generate_api.py --check portal/src/api/types.ts
	@python3 tools/check_tidy.py
	@cd portal && npm run --silent check

check-layering:
	@python3 tools/check_layering.py

bench: programs
	@for b in mqtt ingest edge store fleetwise; do build/motorcade bench $$b --json || exit 1; done

fuzz:
	@tools/setup.sh build check
	@python3 tools/fuzz.py

clean:
	rm -rf build build-asan build-tsan build-fuzz portal/dist
