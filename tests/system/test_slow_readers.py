#!/usr/bin/env python3
"""Vehicles over mutual TLS that subscribe and do not read while they are flooded; some send all the while. Prints TAP.

The server's memory does not follow what they are owed (it waits in the journal), others are served without delay, and when the slow ones read at last they get
every message once and in order.
"""
import os
import pathlib
import struct
import threading
import time

from platform_under_test import Platform, Tap
from raw_mqtt import Gone, RawMqtt, text, varint

READERS, MESSAGES, SIZE = 5, 12000, 1000
MEMORY_MIB = 40  # for all of them; what they are owed is some 60 MB, and mutual TLS with full buffers has its own
tap = Tap()


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


def flood(platform, number, names):
    """QoS 1 to all of them in turn, with a window."""
    client = RawMqtt(platform.dev, f"flood-{number}", timeout=120)
    acked = sent = 0
    while acked < MESSAGES * len(names):
        out = b""
        while sent < MESSAGES * len(names) and sent - acked < 500:
            body = text(f"cmd/{names[sent % len(names)]}/x") + struct.pack(">H", sent % 60000 + 1) + (b"%d " % (sent // len(names))).ljust(SIZE)
            out += b"\x32" + varint(len(body)) + body
            sent += 1
        client.send(out)
        while sent - acked >= 250 or (sent == MESSAGES * len(names) and acked < sent):
            acked += client.packet()[0] == 4
    client.close()


class Witness(threading.Thread):
    """How long an ordinary client waits for its PUBACKs meanwhile."""

    def __init__(self, platform):
        super().__init__(daemon=True)
        self.platform, self.took, self.stopping = platform, [], threading.Event()

    def run(self):
        client = RawMqtt(self.platform.dev, "witness", timeout=120)
        while not self.stopping.wait(0.02):
            began = time.monotonic()
            client.publish_and_wait("dt/witness/x", b"x")
            self.took.append(time.monotonic() - began)
        client.close()


def chatter(client, stop):
    """Sends without reading what comes back, until the server lets it wait."""
    client.settimeout(0.2)
    while not stop.is_set():
        try:
            client.socket.sendall(b"\xc0\x00" * 500)
        except (OSError, Gone):
            time.sleep(0.05)


def read_all(client):
    """The numbers that came, in order; each is acknowledged."""
    numbers, out = [], b""
    client.settimeout(60)
    while len(numbers) < MESSAGES:
        try:
            kind, flags, body = client.packet()
        except (TimeoutError, Gone) as problem:
            return numbers, repr(problem)
        if kind == 3:
            _, packet_id, payload = RawMqtt.message(flags, body)
            numbers.append(int(payload.split(b" ")[0]))
            out += b"\x40\x02" + struct.pack(">H", packet_id)
        if len(out) > 400:
            client.send(out)
            out = b""
    client.send(out)
    return numbers, ""


platform = Platform()
try:
    platform.start()
    names = [f"slow-{i}" for i in range(READERS)]
    readers = []
    for name in names:
        client = RawMqtt(platform.mqtt, name, platform.vehicle(name), timeout=60)
        tap.equal(client.subscribe(f"cmd/{name}/#"), 1, f"{name} subscribes over mutual TLS")
        readers.append(client)
    before = resident_mib(platform.process.pid)
    witness = Witness(platform)
    witness.start()
    began = time.monotonic()
    flood(platform, 0, names)
    took = time.monotonic() - began
    grown = resident_mib(platform.process.pid) - before
    tap.ok(grown <= MEMORY_MIB, f"{READERS * MESSAGES * SIZE >> 20} MiB owed to {READERS} readers cost {grown:.1f} MiB of memory", f"at most {MEMORY_MIB}")
    stop = threading.Event()
    mad = RawMqtt(platform.mqtt, "mad", platform.vehicle("mad"), timeout=60)
    mad_before = resident_mib(platform.process.pid)
    thread = threading.Thread(target=chatter, args=(mad, stop), daemon=True)
    thread.start()
    time.sleep(1.5)
    stop.set()
    thread.join(60)
    grown = resident_mib(platform.process.pid) - mad_before
    tap.ok(grown <= 16, f"one that sends and never reads costs {grown:.1f} MiB")
    mad.socket.close()
    for client, name in zip(readers, names):
        numbers, problem = read_all(client)
        tap.ok(numbers == list(range(MESSAGES)), f"{name} gets its {MESSAGES} messages once and in order", problem, len(numbers),
               [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1][:5])
    witness.stopping.set()
    witness.join(60)
    slowest = sorted(witness.took)[int(len(witness.took) * 0.99)]
    tap.note(f"flooded in {took:.1f} s; a PUBACK took {sorted(witness.took)[len(witness.took) // 2] * 1000:.0f} ms median, {slowest * 1000:.0f} ms p99, of {len(witness.took)}")
    tap.ok(len(witness.took) > 50 and slowest < 10, "others were served meanwhile")
    tap.equal(platform.stop(), 0, "motorcade stops cleanly")
finally:
    platform.close()
tap.done()
