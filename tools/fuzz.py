#!/usr/bin/env python3
"""Builds every fuzz target with clang and runs each for FUZZ_SECONDS (default 20) from its seed corpus, as many at once as there are
processors. What was found is kept in build-fuzz/corpus; a crashing input lies beside it, named <target>-crash-<hash>."""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-fuzz"
SECONDS = int(os.environ.get("FUZZ_SECONDS", "20"))
ONLY = os.environ.get("FUZZ_ONLY", "")  # only targets whose name holds this


def build():
    env = dict(os.environ, CC="clang")
    for step in (["cmake", "-S", str(ROOT), "-B", str(BUILD), "-G", "Ninja", "-DMC_SANITIZE=address", "-DCMAKE_C_FLAGS=-fsanitize=fuzzer-no-link"],
                 ["ninja", "-C", str(BUILD), "fuzzers"]):
        done = subprocess.run(step, env=env, capture_output=True, text=True)
        if done.returncode:
            print((done.stdout + done.stderr)[-6000:])
            sys.exit("fuzz: the targets do not build")


def targets():
    """Those whose source is there now; the folder may hold older ones."""
    names = [f"{source.parent.name}_{source.stem}" for source in sorted((ROOT / "tests").glob("*/fuzz_*.c"))]
    return [BUILD / "fuzz" / name for name in names if ONLY in name]


def run(target, scratch):
    module, name = target.name.split("_fuzz_", 1)
    seeds = ROOT / "tests" / module / "corpus" / name
    grown = BUILD / "corpus" / target.name
    grown.mkdir(parents=True, exist_ok=True)
    command = [str(target), f"-max_total_time={SECONDS}", "-max_len=65536", "-timeout=10", f"-artifact_prefix={grown}-", str(grown)]
    # files that targets write go to memory where there is such a folder
    env = dict(os.environ, TMPDIR=scratch, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")
    try:
        done = subprocess.run(command + ([str(seeds)] if seeds.is_dir() else []), capture_output=True, text=True, errors="replace", env=env, timeout=SECONDS * 3 + 300)
        return target, done.returncode, done.stderr, seeds.is_dir()
    except subprocess.TimeoutExpired:
        return target, -1, "no end: it hangs outside of the target's own time limit", seeds.is_dir()


def main():
    build()
    scratch = tempfile.mkdtemp(prefix="motorcade-fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    failed = []
    todo = targets()
    try:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            for target, code, told, seeded in pool.map(lambda t: run(t, scratch), todo):
                last = [line for line in told.splitlines() if line.startswith("#") and line[1:2].isdigit()][-1:] or [""]
                print(f"{'ok' if code == 0 else 'CRASH'} {target.name}{'' if seeded else ' (no seeds)'} {last[0]}", flush=True)
                if code:
                    failed.append(target.name)
                    print(told[-3000:])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"fuzz: {len(todo)} targets, {len(failed)} crashed{': ' + ', '.join(failed) if failed else ''}")
    return 1 if failed else 0


sys.exit(main())
