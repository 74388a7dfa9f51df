#!/usr/bin/env python3
"""Builds every fuzz target with clang and runs each for FUZZ_SECONDS (default 20) from its seed corpus."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-fuzz"
SECONDS = os.environ.get("FUZZ_SECONDS", "20")


def corpus_of(target):
    module, name = target.name.split("_fuzz_", 1)
    return ROOT / "tests" / module / "corpus" / name


def main():
    env = dict(os.environ, CC="clang")
    subprocess.run(["cmake", "-S", str(ROOT), "-B", str(BUILD), "-G", "Ninja", "-DMC_SANITIZE=address", "-DCMAKE_C_FLAGS=-fsanitize=fuzzer-no-link"],
                   check=True, env=env, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(BUILD), "fuzzers"], check=True, stdout=subprocess.DEVNULL)
    failed = []
    targets = sorted(p for p in (BUILD / "fuzz").iterdir() if os.access(p, os.X_OK) and p.is_file())
    for target in targets:
        grown = BUILD / "corpus" / target.name
        grown.mkdir(parents=True, exist_ok=True)
        seeds = corpus_of(target)
        done = subprocess.run([str(target), f"-max_total_time={SECONDS}", "-max_len=65536", "-timeout=10", "-print_final_stats=0", f"-artifact_prefix={grown}-", str(grown)]
                              + ([str(seeds)] if seeds.is_dir() else []), capture_output=True, text=True)
        last = [line for line in done.stderr.splitlines() if line.startswith("#")][-1:] or [""]
        print(f"{'ok' if done.returncode == 0 else 'CRASH'} {target.name} {last[0]}", flush=True)
        if done.returncode:
            failed.append(target.name)
            print(done.stderr[-3000:])
    print(f"fuzz: {len(targets)} targets, {len(failed)} crashed")
    return 1 if failed else 0


sys.exit(main())
