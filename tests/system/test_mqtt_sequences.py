#!/usr/bin/env python3
"""Plays the byte-level MQTT conversations of the data folder against the whole program, on the loopback port. Prints TAP.

What is left out, and why: the cases of EXCLUDED in tests/gateway/mqtt_sequences.py, each with the clause that allows it; at most 2 % of
those of version 5.
The player fails when a line of its own list matches no case any more.
"""
import subprocess
import sys

from platform_under_test import ROOT, Platform, Tap, data_dir

if not data_dir():
    print("ok 1 - byte-level MQTT cases # SKIP the folder of real inputs is not here (MOTORCADE_DATA): nothing was played\n1..1")
    sys.exit(0)
platform = Platform().start()
try:
    done = subprocess.run([sys.executable, str(ROOT / "tests/gateway/mqtt_sequences.py"), "--port", str(platform.dev), "--data", str(data_dir() / "mqtt")],
                          capture_output=True, text=True, timeout=900)
    lines = done.stdout.splitlines()
    print("\n".join(line for line in lines if not line.startswith("1..")))
    tap = Tap()
    tap.count = sum(1 for line in lines if line.startswith(("ok", "not ok")))
    tap.failed = sum(1 for line in lines if line.startswith("not ok"))
    tap.ok(tap.count > 500, "most cases were played", f"{tap.count} cases, exit {done.returncode}", done.stderr[-2000:])
    tap.equal(platform.process.poll(), None, "motorcade still runs after all of them")
    tap.equal(platform.stop(), 0, "and stops cleanly")
finally:
    platform.close()
tap.done()
