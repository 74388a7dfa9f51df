#!/usr/bin/env python3
"""Builds and runs every test and ends with one line: N passed, N failed.

Stages, in this order (the last two together); each prints one line a program, and the whole output of what failed:
  layering and form      tools/check_layering.py, tools/check_format.py; the portal's types are those of src/api/operations.json; what reads
                         from outside has a fuzz target (docs/parsers.md)
  C, address+undefined   tests/<module>/test_*.c and the fuzz targets over their seed corpora
  C, thread              the same programs for the modules that have threads
  system                 tests/system/test_*.py: real programs, real clients, kill -9
  portal                 unit tests, and pages in headless Chromium against a running demo

  tests/run.py [--only SUBSTRING] [--stage NAME]...
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
THREADED = ["base", "journal", "net", "registry", "twin", "store", "gateway", "campaign", "api", "aws", "db"]
TIMEOUT_S = 1200  # what goes through the disk a thousand times may take minutes on a slow one
# Begun first, longest first: what would otherwise be alone at the end of its stage.
SLOW = [
    "portal", "test_kill", "test_clients", "test_interoperability", "test_models", "test_edge_program", "test_disk_full", "gateway_test_restart", "gateway_test_profile",
    "journal_test_compaction_faults", "journal_test_crash", "api_test_live", "geo_test_town", "journal_test_backup", "gateway_test_clock_jump", "gateway_test_gateway",
    "gateway_test_pressure", "gateway_test_will", "gateway_test_share",
]


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.lock = threading.Lock()

    def programs(self, jobs, env=None, timeout=TIMEOUT_S):
        """Several (name, command), one more at once than there are processors: most of them wait for something most of the time."""
        rank = {name: i for i, name in enumerate(SLOW)}
        jobs = sorted(jobs, key=lambda job: rank.get(job[0].split()[-1], len(SLOW)))
        with concurrent.futures.ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
            list(pool.map(lambda job: self.program(job[0], job[1], env=env, timeout=timeout), jobs))

    def program(self, name, command, env=None, cwd=None, timeout=TIMEOUT_S):
        """Runs one program and counts its TAP lines (nested ones of node:test too); no TAP at all counts by exit code."""
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=cwd, text=True, errors="replace", start_new_session=True)
        try:
            out, _ = process.communicate(timeout=timeout)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            out += f"\nnot ok - {name}: no end after {timeout} s\n"
            code = -1
        with self.lock:
            self.count(name, out, code, time.monotonic() - began)

    def count(self, name, out, code, seconds):
        passed = failed = skipped = 0
        for line in out.splitlines():
            match = re.match(r"^(not ok|ok)\b(.*)$", line)
            if not match:
                continue
            if "# SKIP" in match.group(2):
                skipped += 1
                print(f"  SKIPPED {name}: {match.group(2).strip()}")
            elif match.group(1) == "ok":
                passed += 1
            else:
                failed += 1
        if code and not failed:
            failed += 1  # crashed, or a sanitizer spoke
        if not passed and not failed and not skipped:
            passed += 1
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        word = "FAILED" if failed else "ok"
        print(f"{word:6} {name}: {passed} passed, {failed} failed{f', {skipped} skipped' if skipped else ''} ({seconds:.1f} s)", flush=True)
        if failed:
            self.failures.append(name)
            print("\n".join("    " + line for line in out.splitlines()[-120:]), flush=True)

    def step(self, name, command, **keywords):
        """A build step: counted only when it fails, and then nothing behind it can run."""
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", **keywords)
        if done.returncode:
            print((done.stdout + done.stderr)[-6000:])
            print(f"FAILED {name}")
            self.failed += 1
            self.failures.append(name)
        return done.returncode == 0


def build(tally, folder, sanitize, targets):
    path = ROOT / folder
    ok = tally.step(f"configure {folder}", ["cmake", "-S", str(ROOT), "-B", str(path), "-G", "Ninja", f"-DMC_SANITIZE={sanitize}"] + (["-DCMAKE_BUILD_TYPE=Release"]))
    return ok and tally.step(f"build {folder}", ["ninja", "-C", str(path)] + targets)


def run_c(tally, folder, modules, only, label, fuzz):
    # halt_on_error keeps a report from drowning in what follows
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1", TSAN_OPTIONS=f"halt_on_error=1:suppressions={ROOT / 'tests/tsan.supp'}")
    jobs = []
    for source in sorted(p for m in modules for p in (ROOT / "tests" / m).glob("test_*.c")):
        name = f"{source.parent.name}_{source.stem}"
        if only in name:
            jobs.append((f"{label} {name}", [str(ROOT / folder / "tests" / name)]))
    for source in sorted(p for m in modules for p in (ROOT / "tests" / m).glob("fuzz_*.c")) if fuzz else []:
        name = f"{source.parent.name}_{source.stem}"
        corpus = source.parent / "corpus" / source.stem.removeprefix("fuzz_")
        if only in name:  # one without seeds fails, and says so
            jobs.append((f"{label} {name}", [str(ROOT / folder / "fuzz" / name)] + sorted(str(p) for p in corpus.glob("*") if p.is_file())))
    tally.programs(jobs, env)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="only programs whose name holds this")
    parser.add_argument("--stage", action="append", choices=["form", "count", "asan", "tsan", "system", "portal"])
    options = parser.parse_args()
    stages = options.stage or ["form", "count", "asan", "tsan", "system", "portal"]
    only = options.only
    os.chdir(ROOT)
    tally = Tally()
    modules = [p.name for p in (ROOT / "tests").iterdir() if p.is_dir()]

    if "form" in stages:
        tally.program("layering", [sys.executable, "tools/check_layering.py"])
        tally.program("form", [sys.executable, "tools/check_format.py"])
        tally.program("parsers", [sys.executable, "tools/check_parsers.py"])
        tally.program("types of the portal", [sys.executable, "tools/generate_api.py", "--check", "portal/src/api/types.ts"])
    if "count" in stages and only in "hot path":
        tally.program("hot path", [sys.executable, "tools/hot_path.py"])
    if "asan" in stages and build(tally, "build-asan", "address", ["tests", "fuzzers"]):
        run_c(tally, "build-asan", modules, only, "asan", fuzz=True)
    if "tsan" in stages and build(tally, "build-tsan", "thread", [f"tests_{m}" for m in THREADED if m in modules]):
        run_c(tally, "build-tsan", THREADED, only, "tsan", fuzz=False)
    if "system" in stages or "portal" in stages:
        if tally.step("make programs", ["make", "--no-print-directory", "programs"]) and tally.step("make portal", ["make", "--no-print-directory", "portal"]):
            jobs = []
            if "portal" in stages and only in "portal":
                jobs.append(("portal", [sys.executable, str(ROOT / "tests/system/portal.py")]))
            if "system" in stages and tally.step("build the server of the power cuts", ["ninja", "-C", str(ROOT / "build"), "powercut_server"]):
                jobs += [(f"system {test.stem}", [sys.executable, str(test)]) for test in sorted((ROOT / "tests/system").glob("test_*.py")) if only in test.name]
            tally.programs(jobs, timeout=1200)
    if tally.failures:
        print("failed: " + ", ".join(tally.failures))
    print(f"{tally.passed} passed, {tally.failed} failed" + (f", {tally.skipped} skipped" if tally.skipped else ""))
    return 1 if tally.failed else 0


sys.exit(main())
