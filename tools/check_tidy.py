#!/usr/bin/env python3
"""Runs clang-tidy (.clang-tidy) over src/, as many at once as there are processors; some minutes in all. Names of files as arguments
check only those."""
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
    # what is generated must be there to be included; the longest files first, so that no processor waits at the end
    subprocess.run(["ninja", "-C", str(ROOT / "build"), "generated/api/operations_gen.h"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    named = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    paths = named or sorted((ROOT / "src").rglob("*.c"), key=lambda p: -p.stat().st_size)
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for path, code, lines in pool.map(run, paths):
            if code or lines:
                wrong += 1
                print("\n".join(lines) or f"{path}: clang-tidy failed")
    print(f"tidy: {len(paths)} files, {wrong} with findings")
    return 1 if wrong else 0


sys.exit(main())
