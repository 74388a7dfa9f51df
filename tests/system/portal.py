#!/usr/bin/env python3
"""The portal's tests: its units, then its pages in headless Chromium against a demo of our own. Passes their TAP through; then checks what
the demo says of itself at its end."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from platform_under_test import MOTORCADE, ROOT, Tap, free_port

tap = Tap()
PORTAL = ROOT / "portal"


def pass_through(name, command, env):
    done = subprocess.run(command, cwd=PORTAL, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=900)
    lines = done.stdout.splitlines()
    results = [line for line in lines if re.match(r"(not )?ok\b", line)]
    print("\n".join(line for line in lines if not re.match(r"\d+\.\.\d+|TAP version", line)), flush=True)
    tap.count += len(results)
    tap.failed += sum(line.startswith("not ok") for line in results)
    tap.ok(results and (done.returncode == 0) == (not any(line.startswith("not ok") for line in results)), f"{name}: its tests ran to their end", f"exit {done.returncode}", done.stdout[-3000:])


def start_demo(data):
    ports = [str(free_port()) for _ in range(3)]
    command = [MOTORCADE, "demo", "--data", str(data), "--vehicles", "25", "--json", "--portal", str(PORTAL / "dist"), "--http-port", ports[0], "--mqtt-port", ports[1], "--tls-port", ports[2]]
    log = open(data.parent / "log", "w+")
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    until = time.monotonic() + 180
    while time.monotonic() < until and demo.poll() is None:
        text = (data.parent / "log").read_text()
        link = re.search(r"(http://127\.0\.0\.1:\d+)/#code=(\S+)", text)
        if link:
            return demo, link.group(1), link.group(0)
        time.sleep(0.1)
    demo.kill()
    raise RuntimeError("the demo did not start:\n" + (data.parent / "log").read_text()[-3000:])


def main():
    node = shutil.which("node")
    if not node or not (PORTAL / "node_modules").exists() or not (PORTAL / "dist" / "index.html").exists():
        print("ok 1 - portal # SKIP node, portal/node_modules or portal/dist is missing; run `make portal`\n1..1")
        sys.exit(0)
    env = dict(os.environ)
    pass_through("portal units", [node, str(ROOT / "tests/portal/unit.mjs")], env)
    base = pathlib.Path(tempfile.mkdtemp(prefix="motorcade-portal-"))
    demo = None
    try:
        demo, url, link = start_demo(base / "data")
        time.sleep(5)  # some driving to look at
        env.update(MOTORCADE_URL=url, MOTORCADE_LINK=link, NODE_NO_WARNINGS="1")
        if shutil.which("chromium") or env.get("CHROMIUM"):
            pass_through("portal pages", [node, "--test", "--test-reporter=tap", str(ROOT / "tests/portal/browser.test.mjs")], env)
        else:
            tap.skip("portal pages", "chromium is not installed (Debian: chromium)")
        tap.equal(demo.poll(), None, "the demo still runs")
        demo.send_signal(signal.SIGINT)
        out, _ = demo.communicate(timeout=180)
        tap.equal(demo.returncode, 0, "Ctrl-C ends the demo cleanly")
        told = json.loads(out.strip().splitlines()[-1])
        tap.note(json.dumps(told))
        tap.equal(set(told), {"vehicles", "connected", "messages", "samples", "acknowledged", "durable", "lost", "decoded", "p50_ms", "p99_ms"}, "the demo ends with one JSON object")
        tap.ok(told["connected"] >= 25 and told["samples"] > 0, "its vehicles were connected and sent samples", told)
        tap.equal(told["lost"], 0, "no acknowledged message was lost")
        demo = None
    finally:
        if demo:
            print((base / "log").read_text()[-3000:].replace("\n", "\n# "))
            demo.kill()
            demo.wait()
        if not os.environ.get("MOTORCADE_TEST_KEEP"):
            shutil.rmtree(base, ignore_errors=True)
    tap.done()


main()
