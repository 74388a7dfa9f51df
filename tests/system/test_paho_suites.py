#!/usr/bin/env python3
"""The interoperability suites of paho.mqtt.testing (client_test.py: MQTT 3.1.1, client_test5.py: 5.0) against the whole program. Prints TAP.

The suites are not part of this repository: MOTORCADE_PAHO_TESTING names a checkout. Without it this is one loud skip; what the suites look
at is then looked at by test_interoperability.py. Each test is a process of its own with a time limit (paho_suite.py). Most run on the
loopback port; the one about a refused subscription needs a policy and gets a vehicle's, through a small TLS relay.
"""
import os
import pathlib
import queue
import re
import socket
import ssl
import subprocess
import sys
import threading

from platform_under_test import Platform, Tap

LIMIT_S, LANES = 60, 3
SUITES = {"client_test": 10, "client_test5": 27}
# Where a suite asks for more, or for something else, than the standard does. Each must still fail: else the line goes.
WRONG = {
    ("client_test", "test_dollar_topics"): "publishing below $ is refused, and 3.1.1 can only close the connection then (MQTT 3.1.1, 3.3.5-2, 4.7.2); the suite itself says to leave it out",
    ("client_test5", "test_dollar_topics"): "the suite's own reader takes no PUBACK with a reason string (MQTT 5.0, 3.4.2.2.2)",
    ("client_test5", "test_subscribe_failure"): "wants 0x80 where 0x87, not authorized, is the fitting code (MQTT 5.0, 3.9.3)",
    ("client_test5", "test_server_keep_alive"): "wants a Server Keep Alive of 60, which a server sends only if it does not take what was asked (MQTT 5.0, 3.2.2.3.14)",
    ("client_test5", "test_server_topic_alias"): "wants the server to use a topic alias at once, which it may (MQTT 5.0, 3.3.2.3.4)",
}
NEEDS_POLICY = "test_subscribe_failure"


def relay(port, device):
    """A plain port on loopback; what comes there goes on over TLS with the device's certificate. Returns its number."""
    context = ssl.create_default_context(cafile=device["ca"])
    context.load_cert_chain(device["cert"], device["key"])
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def serve():
        while True:
            plain, _ = listener.accept()
            try:
                tls = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
            except OSError:
                plain.close()
                continue
            for pair in ((plain, tls), (tls, plain)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def names(checkout, suite):
    text = (checkout / "interoperability" / f"{suite}.py").read_text(encoding="utf-8")
    return re.findall(r"^    def (test\w*)\(self", text, re.M)


def run(checkout, suite, name, port, *more):
    """None: passed; else what it said."""
    here = pathlib.Path(__file__).resolve().parent
    try:
        done = subprocess.run([sys.executable, str(here / "paho_suite.py"), str(checkout), suite, name, str(port), *more], capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return f"no end after {LIMIT_S} s"
    return None if done.returncode == 0 else "\n".join((done.stdout + done.stderr).splitlines()[-12:])


def judge(tap, checkout, platform, suite, name):
    port, more = platform.dev, []
    if name == NEEDS_POLICY:
        port, more = platform.policy_port, ["bare"]
    said = run(checkout, suite, name, port, *more)
    reason = WRONG.get((suite, name))
    if reason:
        tap.ok(said is not None, f"{suite} {name}: {reason}", "it passes: take the line away")
    else:
        tap.ok(said is None, f"{suite} {name}", said)


def lane(tap, checkout, jobs):
    platform = Platform().start()
    try:
        platform.policy_port = relay(platform.mqtt, platform.vehicle("myclientid"))
        while True:
            try:
                suite, name = jobs.get_nowait()
            except queue.Empty:
                break
            judge(tap, checkout, platform, suite, name)
        tap.equal(platform.stop(), 0, "motorcade stops cleanly after them")
    finally:
        platform.close()


def main():
    given = os.environ.get("MOTORCADE_PAHO_TESTING")
    if not given or not (pathlib.Path(given) / "interoperability" / "client_test5.py").exists():
        print("ok 1 - paho.mqtt.testing # SKIP MOTORCADE_PAHO_TESTING names no checkout of it: its 37 interoperability tests were not run\n1..1")
        return
    checkout, tap, jobs = pathlib.Path(given).resolve(), Tap(), queue.Queue()
    for suite, expected in SUITES.items():
        found = names(checkout, suite)
        tap.equal(len(found), expected, f"{suite} has {expected} tests")
        for name in found:
            jobs.put((suite, name))
    threads = [threading.Thread(target=lambda: tap.guard("a lane", lane, tap, checkout, jobs)) for _ in range(LANES)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    tap.done()


main()
