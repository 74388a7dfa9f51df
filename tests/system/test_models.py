#!/usr/bin/env python3
"""Checks the formal models in tests/gateway/model with spin, every reachable state: as designed they hold, and each planted mistake
(-DDEFECT=n, listed at the head of each model) is found. Prints TAP. Without spin or gcc: one loud skip."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from platform_under_test import ROOT, Tap

if not shutil.which("spin") or not shutil.which("gcc"):
    print("ok 1 - formal models # SKIP spin or gcc is not installed: no model was checked\n1..1")
    sys.exit(0)

tap = Tap()


def check(model, defect):
    """Errors found and states visited by an exhaustive search."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["spin", "-a", f"-DDEFECT={defect}", str(model)], cwd=folder, check=True, capture_output=True)
        subprocess.run(["gcc", "-O2", "-w", "-DSAFETY", "-o", "pan", "pan.c"], cwd=folder, check=True, capture_output=True)
        out = subprocess.run(["./pan", "-m1000000"], cwd=folder, capture_output=True, text=True).stdout
    errors = re.search(r"errors: (\d+)", out)
    states = re.search(r"(\d+) states, stored", out)
    whole = "Search not completed" not in out and "max search depth too small" not in out
    return (int(errors.group(1)) if errors else -1), (int(states.group(1)) if states else 0), whole, out


for model in sorted(pathlib.Path(ROOT / "tests/gateway/model").glob("*.pml")):
    defects = sorted(set(int(n) for n in re.findall(r"DEFECT == (\d+)|DEFECT != (\d+)", model.read_text()) for n in n if n))
    errors, states, whole, out = check(model, 0)
    tap.ok(errors == 0 and whole and states > 1000, f"{model.stem} holds in every state", f"{errors} errors, {states} states", out[-2000:])
    for defect in defects:
        errors, states, _, out = check(model, defect)
        tap.ok(errors > 0, f"{model.stem}: planted mistake {defect} is found", f"{errors} errors, {states} states", out[-2000:])
tap.done()
