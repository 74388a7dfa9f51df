#!/usr/bin/env python3
"""A real server whose disk falls behind, then fills up behind a subscriber that does not read: publishers see smaller windows, then delay, then a reason code; what was
acknowledged arrives, and the server's counts are the clients'. Prints TAP.

The disk is made slow by a library that is preloaded into the server (slow_disk.c)."""
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from platform_under_test import Platform, Tap, wait_for
from raw_mqtt import Gone, RawMqtt, text, varint

tap = Tap()
HERE = pathlib.Path(__file__).resolve().parent
QUOTA = 0x97


def properties(body, at):
    """(the Receive Maximum or 65,535, the reason string or "") of properties at a place, as far as CONNACK and PUBACK have them."""
    sizes = {0x21: 2, 0x22: 2, 0x13: 2, 0x11: 4, 0x27: 4, 0x24: 1, 0x25: 1, 0x28: 1, 0x29: 1, 0x2A: 1}
    length, shift, window, reason = 0, 0, 65535, ""
    while True:
        length, shift, at = length | (body[at] & 127) << shift, shift + 7, at + 1
        if not body[at - 1] & 128:
            break
    end = at + length
    while at < end:
        kind, at = body[at], at + 1
        if kind in sizes:
            window = struct.unpack(">H", body[at:at + 2])[0] if kind == 0x21 else window
            at += sizes[kind]
        else:  # a text
            n = struct.unpack(">H", body[at:at + 2])[0]
            reason, at = body[at + 2:at + 2 + n].decode() if kind == 0x1F else reason, at + 2 + n
    return window, reason


class Mqtt5(RawMqtt):
    """The same in version 5; `window` is the Receive Maximum that it was told."""

    def __init__(self, port, client_id, expiry=0, clean=True, timeout=60):
        self.buffer = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked = (b"\x11" + struct.pack(">I", expiry)) if expiry else b""
        body = text("MQTT") + bytes([5, 2 if clean else 0]) + struct.pack(">H", 60) + bytes([len(asked)]) + asked + text(client_id)
        self.send(b"\x10" + varint(len(body)) + body)
        kind, _, answer = self.packet()
        if kind != 2 or answer[1]:
            raise Gone(f"refused with {answer!r}")
        self.session_present = bool(answer[0] & 1)
        self.window = properties(answer, 2)[0]

    def publish(self, topic, payload, packet_id=0, dup=False, retain=False):
        body = text(topic) + (struct.pack(">H", packet_id) if packet_id else b"") + b"\0" + payload
        self.send(bytes([0x30 | (2 if packet_id else 0)]) + varint(len(body)) + body)

    def subscribe(self, topic, qos=1, packet_id=1):
        body = struct.pack(">H", packet_id) + b"\0" + text(topic) + bytes([qos])
        self.send(b"\x82" + varint(len(body)) + body)
        while self.packet()[0] != 9:
            pass

    def answer(self, seconds=60):
        """The next PUBACK: (packet id, code, reason string). ("ping", 0, "") for a PINGRESP, None when nothing came."""
        self.settimeout(seconds)
        try:
            kind, _, body = self.packet()
        except TimeoutError:
            return None
        if kind == 13:
            return "ping", 0, ""
        assert kind == 4, f"packet of type {kind}: {body!r}"
        return struct.unpack(">H", body[:2])[0], body[2] if len(body) > 2 else 0, properties(body, 3)[1] if len(body) > 3 else ""

    def ping(self):
        self.send(b"\xc0\0")


def disk(sync_ms=0, free_mib=-1):
    fresh = control.with_suffix(".new")
    fresh.write_text(f"{sync_ms} {free_mib}\n")
    fresh.rename(control)


def limited(client_id):
    client = platform.api("GET", f"/api/v1/clients/detail?client_id={client_id}")["client"]
    return {each["cause"]: each["count"] for each in client["limited"]}


def total(cause):
    return platform.metric(f'motorcade_mqtt_limited_total{{cause="{cause}"}}') or 0


def window_of(name):
    new = Mqtt5(platform.dev, name)
    new.close()
    return new.window


def take_all(client, count, seconds=60):
    """Payloads of the next PUBLISH packets, each acknowledged."""
    got = []
    client.settimeout(seconds)
    while len(got) < count:
        kind, flags, body = client.packet()
        if kind != 3:
            continue
        n = struct.unpack(">H", body[:2])[0]
        got.append(body[2 + n + 3 + body[2 + n + 2]:])
        client.acknowledge(struct.unpack(">H", body[2 + n:4 + n])[0])
    return got


def slow_disk():
    sub = Mqtt5(platform.dev, "sub")
    sub.subscribe("t/#")
    five = Mqtt5(platform.dev, "five")
    four = RawMqtt(platform.dev, "four")
    tap.equal(five.window, 1024, "a client is told a Receive Maximum of 1,024 while the disk keeps up")
    five.publish_and_wait("t/1", b"before")
    disk(sync_ms=-1)
    began = time.monotonic()
    five.publish("t/1", b"staged", 1)
    time.sleep(0.3)
    window = window_of("new")
    tap.ok(16 <= window < 1024, "first a new client is told a smaller one", window)
    tap.note(f"Receive Maximum after {time.monotonic() - began:.2f} s: {window}")
    time.sleep(max(0, 0.75 - (time.monotonic() - began)))
    five.publish("t/1", b"refused", 2)
    five.ping()
    four.publish("t/4", b"of four", 1)
    four.publish("t/4", b"not read", 2)
    tap.equal(five.answer(0.4), None, "then each waits for its answer: what lies behind is not read, not even a ping")
    got = five.answer()
    tap.ok(got and got[:2] == (2, QUOTA) and "far behind" in got[2], "then the publish is refused with 0x97 and a reason", got)
    tap.ok(time.monotonic() - began > 3.9, "... not before pressure_refuse_ms")
    tap.equal(five.answer(), ("ping", 0, ""), "and what lies behind it is read again")
    five.publish("t/1", b"refused", 3)
    got = five.answer()
    tap.equal(got and got[:2], (3, QUOTA), "the next one is refused at once")
    four.settimeout(60)
    try:
        tap.ok(False, "an MQTT 3.1.1 client, which cannot be told, is closed", four.packet())
    except Gone:
        tap.ok(True, "an MQTT 3.1.1 client, which cannot be told, is closed")
    disk()
    tap.equal(five.answer(), (1, 0, ""), "what was staged is answered when the disk took it")
    refused, after = 2, None
    while not after:  # what was staged behind it is still on its way
        five.publish("t/1", b"after", 4)
        number, code, _ = five.answer()
        refused, after = refused + (code == QUOTA), number == 4 and code == 0
    tap.ok(after, "and publishing goes on")
    tap.equal(take_all(sub, 4), [b"before", b"staged", b"of four", b"after"], "what was acknowledged arrives, and nothing of what was refused")
    counted = limited("five")
    tap.equal(counted.get("behind_refused"), refused, "the client's page counts the refusals that it saw")
    tap.ok(counted.get("behind_wait", 0) >= 1, "and its waits", counted)
    tap.equal(limited("four").get("behind_closed"), 1, "the closed one is counted, too")
    wait_for(lambda: total("behind_refused") == refused and total("behind_closed") == 1, 3, "the metrics to say the same")
    tap.ok(True, "the metrics say the same")
    shown = json.loads(platform.command("client", "show", "five"))["client"]["limited"]
    tap.ok({"cause": "behind_refused", "meaning": "publish refused: the disk is far behind, or next to full", "count": refused} in shown, "motorcade client show says it in words", shown)
    texts = [e["text"] for e in reversed(platform.events())]
    steps = [next((i for i, told in enumerate(texts) if part in told), None) for part in ("smaller windows", "waits for each answer", "publishes get 0x97", "cannot say so")]
    tap.ok(None not in steps and steps == sorted(steps), "events tell the steps in order", texts)
    for client in (sub, five):
        client.close()


def slow_subscriber():
    sub = Mqtt5(platform.dev, "slow", expiry=3600)
    sub.subscribe("flood/#")
    pub = Mqtt5(platform.dev, "flooder")
    payload, sent, acked, codes = b"x" * 2000, 0, [], []

    def publish(count):
        nonlocal sent
        for _ in range(count):
            sent += 1
            pub.publish("flood/1", b"%08d" % sent + payload, sent)
        for _ in range(count):
            number, code, _ = pub.answer()
            codes.append(code)
            if code == 0:
                acked.append(number)

    for _ in range(10):
        publish(200)
    tap.equal(set(codes), {0}, "2,000 messages of 2 KB are taken while a subscriber does not read")
    disk(free_mib=400)
    smaller = wait_for(lambda: (lambda w: w if w < 1024 else 0)(window_of("new-2")), 5, "a smaller window")
    tap.note(f"Receive Maximum with 400 MiB left of 512: {smaller}")
    waits = limited("flooder").get("behind_wait", 0)
    disk(free_mib=200)
    wait_for(lambda: window_of("new-3") == 16, 5, "the least window")
    publish(50)
    tap.ok(limited("flooder").get("behind_wait", 0) > waits, "with little room left each publish waits for the one before", limited("flooder"))
    disk(free_mib=100)
    wait_for(lambda: any("next to no room" in e["text"] for e in platform.events()), 5, "the last step")
    publish(5)
    tap.equal(codes[-5:], [QUOTA] * 5, "with next to none publishes are refused, before the disk is full")
    tap.ok(any('client "slow" has not taken' in e["text"] for e in platform.events()), "the events name who holds the journal back")
    disk()
    wait_for(lambda: window_of("new-4") == 1024, 5, "room")
    publish(20)
    tap.equal(codes.count(QUOTA), limited("flooder").get("behind_refused"), "the refusals are counted")
    tap.equal([int(p[:8]) for p in take_all(sub, len(acked))], acked, "the subscriber gets all that was acknowledged, in order, once it reads")
    pub.close()
    sub.close()


work = pathlib.Path(tempfile.mkdtemp(prefix="motorcade-slow-disk-"))
control = work / "disk"
shim = work / "slow_disk.so"
if not shutil.which("cc") or subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(HERE / "slow_disk.c"), "-ldl"]).returncode:
    tap.skip("back-pressure", "no C compiler for the library that makes the disk slow")
    tap.done()
disk()
platform = Platform(settings=["--loops", "1", "--journal-io", "plain", "--pressure-window-ms", "100", "--pressure-delay-ms", "600", "--pressure-refuse-ms", "4000", "--pressure-close-ms", "800"])
os.environ["LD_PRELOAD"], os.environ["SLOW_DISK"] = str(shim), str(control)
try:
    platform.start()
    for name in ("LD_PRELOAD", "SLOW_DISK"):
        del os.environ[name]
    tap.guard("a slow disk", slow_disk)
    disk()
    tap.guard("a slow subscriber", slow_subscriber)
finally:
    disk()
    platform.close()
    shutil.rmtree(work, ignore_errors=True)
tap.done()
