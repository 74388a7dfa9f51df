#!/usr/bin/env python3
"""The gateway's insight into itself, by API and command line: a client with its history, two devices with one id named as such, live traces with
filter, client and sampling. Prints TAP."""
import json
import subprocess
import threading

from platform_under_test import MOTORCADE, ApiError, Platform, Tap, wait_for
from raw_mqtt import Gone, RawMqtt

tap = Tap()


def traced(trace, after=0):
    return platform.api("GET", f"/api/v1/traces/{trace}?after={after}")


def clients():
    first = RawMqtt(platform.mqtt, "truck", truck)
    first.subscribe("cmd/truck/#", 1)
    one = f"127.0.0.1:{first.socket.getsockname()[1]}"
    second = RawMqtt(platform.mqtt, "truck", truck)
    other = f"127.0.0.1:{second.socket.getsockname()[1]}"
    try:
        while True:
            first.packet()
    except (Gone, TimeoutError):
        pass
    detail = platform.api("GET", "/api/v1/clients/detail?client_id=truck")
    tap.ok(detail["client"]["connected"] and detail["client"]["thing"] == "truck", "a client is shown by its id", detail["client"])
    tap.ok(any(one in e["address"] + e["text"] and other in e["address"] + e["text"] for e in detail["events"]),
           "the history names both addresses of two connections with one id", detail["events"][:4])
    tap.ok(all(e["client_id"] == "truck" for e in detail["events"]), "and holds this client's events only")
    shown = platform.command("client", "show", "truck")
    tap.ok('"client_id": "truck"' in shown, "the command shows the same", shown)
    listed = platform.command("client", "list")
    tap.ok("truck" in listed and "yes" in listed, "and lists it", listed)
    events = platform.command("client", "events", "truck")
    tap.ok("connected" in events and "ended" in events, "and its events", events)
    done = platform.command("client", "show", "nobody", check=False)
    tap.ok(done.returncode and "nobody" in done.stderr, "one that is not there is told", done.stderr)
    second.close()


def tracing():
    trace = platform.api("POST", "/api/v1/traces", {"filter": "dt/truck/#"})["id"]
    desk = RawMqtt(platform.dev, "desk")
    desk.subscribe("dt/truck/#", 1)
    c = RawMqtt(platform.mqtt, "truck", truck)
    c.publish_and_wait("dt/truck/speed", b"42 km/h", 3)
    c.publish_and_wait("dt/truck/bytes", bytes([0, 1, 255]), 4)
    while desk.packet()[0] != 3:
        pass
    c.publish("vehicles/truck/other", b"not wanted", 5)
    c.close()
    items = wait_for(lambda: (lambda i: i if len(i) >= 4 else None)(traced(trace)["items"]), 5, "traced messages")
    seen = {(e["kind"], e["client_id"], e["topic"]) for e in items}
    tap.ok({("in", "truck", "dt/truck/speed"), ("out", "desk", "dt/truck/speed")} <= seen, "a trace shows who published and who got it", items)
    tap.ok(not any("vehicles" in e["topic"] for e in items), "and nothing outside of its filter")
    speed = next(e for e in items if e["topic"] == "dt/truck/speed" and e["kind"] == "in")
    raw = next(e for e in items if e["topic"] == "dt/truck/bytes" and e["kind"] == "in")
    tap.equal((speed["text"], speed["size"], speed["qos"]), ("42 km/h", 7, 1), "text is shown as text")
    tap.equal((raw.get("hex"), raw.get("text")), ("0001ff", None), "and bytes as hex")
    tap.equal(traced(trace, items[-1]["sequence"])["items"], [], "nothing is shown twice")
    # refused
    other = platform.api("POST", "/api/v1/traces", {"filter": "dt/other/#", "sample": 1000})["id"]
    c = RawMqtt(platform.mqtt, "truck", truck)
    c.publish("dt/other/x", b"forged")
    c.publish("dt/other/x", b"forged")
    items = wait_for(lambda: (lambda i: i if len(i) >= 2 else None)(traced(other)["items"]), 5, "refused messages")
    tap.ok(all(e["kind"] == "refused" and "policy" in e["note"] for e in items), "what is refused is always shown, with the reason", items)
    platform.api("DELETE", f"/api/v1/traces/{other}")
    try:
        traced(other)
        tap.ok(False, "an ended trace is gone")
    except ApiError as problem:
        tap.ok(problem.status == 404 and "ended" in str(problem), "an ended trace is gone, and that is said", problem)
    # sampling, and more than it keeps
    sampled = platform.api("POST", "/api/v1/traces", {"filter": "dt/truck/flood", "sample": 10, "client_id": "truck"})["id"]
    every = platform.api("POST", "/api/v1/traces", {"filter": "dt/truck/flood", "client_id": "truck"})["id"]
    for i in range(2000):
        c.publish("dt/truck/flood", b"%d" % i)
    c.publish_and_wait("dt/truck/end", b"", 9)
    tap.equal(len(traced(sampled)["items"]), 200, "one of ten is shown")
    page = traced(every)
    tap.ok(page["missed"] == 2000 - 1024 and len(page["items"]) == 200, "what makes room is counted", page["missed"])
    tap.equal(page["items"][0]["text"], str(2000 - 1024), "and the rest comes in order")
    c.close()
    for wrong in ({"filter": "a/#/b"}, {"filter": "a", "sample": 0}, {"filter": "a", "seconds": 4000}, {}):
        try:
            platform.api("POST", "/api/v1/traces", wrong)
            tap.ok(False, f"{wrong} is refused")
        except ApiError as problem:
            tap.equal(problem.status, 400, f"{wrong} is refused")
    running = [platform.api("POST", "/api/v1/traces", {"filter": "x"})["id"] for _ in range(5)]
    try:
        platform.api("POST", "/api/v1/traces", {"filter": "x"})
        tap.ok(False, "a ninth trace is refused")
    except ApiError as problem:
        tap.ok(problem.status == 503 and "end one" in str(problem), "a ninth trace is refused with what to do", problem)
    for one in (trace, sampled, every, *running):
        platform.api("DELETE", f"/api/v1/traces/{one}")
    desk.close()


def by_command():
    process = subprocess.Popen([MOTORCADE, "trace", "dt/#", "--json", "--data", str(platform.data)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    c = RawMqtt(platform.mqtt, "truck", truck)
    told = threading.Event()

    def again():  # until it has begun and shows one
        while not told.wait(0.2):
            c.publish_and_wait("dt/truck/cli", b"\x1b[31mred", 2)

    publishing = threading.Thread(target=again, daemon=True)
    publishing.start()
    line = json.loads(process.stdout.readline())
    told.set()
    publishing.join()
    tap.equal((line["topic"], line["kind"]), ("dt/truck/cli", "in"), "motorcade trace shows it as it passes")
    tap.ok(line.get("hex"), "control characters come as hex", line)
    process.terminate()
    tap.equal(process.wait(60), 0, "and ends when it is told to")
    process.stdout.close()
    process.stderr.close()
    c.close()


platform = Platform()
try:
    platform.start()
    truck = platform.vehicle("truck")
    for part in (clients, tracing, by_command):
        tap.guard(part.__name__, part)
    tap.equal(platform.stop(), 0, "motorcade stops cleanly")
finally:
    platform.close()
tap.done()
