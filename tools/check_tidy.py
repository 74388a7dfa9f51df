#!/usr/bin/env python3
"""Runs clang-tidy (.clang-tidy) over src/, as many at once as there are processors."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(path):
    done = subprocess.run(["clang-tidy", "--quiet", "-p", str(ROOT / "build"), str(path)], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return path, done.returncode, lines


def main():
    paths = sorted((ROOT / "src").rglob("*.c"))
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for path, code, lines in pool.map(run, paths):
            if code or lines:
                wrong += 1
                print("\n".join(lines) or f"{path}: clang-tidy failed")
    print(f"tidy: {len(paths)} files, {wrong} with findings")
    return 1 if wrong else 0


sys.exit(main())
