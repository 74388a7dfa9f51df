#!/usr/bin/env python3
"""A data folder enciphered at rest, with a key for each vehicle: what a thief of the disk sees, restart and kill -9, a queue that waits, erasure with
its receipt, the master key changed, lost, wrong. Prints TAP."""
import json
import os
import pathlib
import subprocess

from platform_under_test import MOTORCADE, ApiError, Platform, Tap, wait_for
from raw_mqtt import RawMqtt

tap = Tap()
MARK = b"secret-cargo-"


def on_disk(platform, text):
    """Files of the data folder that hold the bytes."""
    return sorted(str(p.relative_to(platform.data)) for p in platform.data.rglob("*") if p.is_file() and text in p.read_bytes())


def hear(client, count):
    got = []
    while len(got) < count:
        kind, flags, body = client.packet()
        if kind == 3:
            topic, packet_id, payload = RawMqtt.message(flags, body)
            if packet_id:
                client.acknowledge(packet_id)
            got.append((topic, payload))
    return got


def nothing_more(client):
    client.settimeout(0.5)
    try:
        while True:
            kind, _, body = client.packet()
            if kind == 3:
                return False
    except TimeoutError:
        return True


def send(device, topic, payload, retain=False):
    c = RawMqtt(platform.mqtt, device["name"], device)
    c.publish(topic, payload, 7, retain=retain)
    while c.packet()[0] != 4:
        pass
    c.close()


def erase(name, receipt, reason="sold"):
    return platform.command("vehicle", "erase", name, "--reason", reason, "--out", str(receipt), check=False)


def restore(backup, name, *arguments):
    """A folder of that name out of the backup; what the command said, and its code."""
    target = platform.base / name / "data"
    done = subprocess.run([MOTORCADE, "restore", "--from", str(backup), "--data", str(target), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    return target, done.returncode, done.stdout, done.stderr


def kept_messages(data, count):
    """Retained messages of a platform that is started on the folder."""
    p = Platform(data=data.parent)
    p.settings = list(platform.settings)
    p.start()
    reader = RawMqtt(p.dev, "reader")
    reader.subscribe("dt/+/kept", 1)
    got = sorted(payload for _, payload in hear(reader, count))
    more = not nothing_more(reader)
    reader.close()
    p.stop()
    p.close()
    return got, more


plain = Platform()
platform = Platform()
try:
    # what the search would find without enciphering
    plain.start()
    device = plain.vehicle("truck")
    c = RawMqtt(plain.mqtt, "truck", device)
    c.publish_and_wait("dt/truck/a", MARK + b"plain")
    c.close()
    plain.stop()
    tap.ok(on_disk(plain, MARK + b"plain"), "without a master key a payload stands readable in the journal")

    key = platform.base / "master.key"
    platform.command("key", "create", str(key))
    tap.equal(oct(key.stat().st_mode & 0o777), "0o600", "the master key is its owner's only")
    platform.settings += ["--master-key", f"file:{key}", "--subject-keys", "true"]
    platform.start()
    truck, car = platform.vehicle("truck"), platform.vehicle("car")
    listener = RawMqtt(platform.dev, "desk", clean=False)
    listener.subscribe("dt/#", 1)
    send(truck, "dt/truck/a", MARK + b"1")
    send(car, "dt/car/a", MARK + b"2")
    tap.equal([p for _, p in hear(listener, 2)], [MARK + b"1", MARK + b"2"], "subscribers get it opened")
    listener.close()
    send(truck, "dt/truck/kept", MARK + b"3", retain=True)
    send(car, "dt/car/kept", MARK + b"4", retain=True)
    send(truck, "dt/truck/a", MARK + b"5")
    send(car, "dt/car/a", MARK + b"6")

    tap.equal(on_disk(platform, MARK), [], "no payload stands readable in any file while it runs")
    platform.kill()
    tap.equal(on_disk(platform, MARK), [], "nor after kill -9")
    platform.start()
    listener = RawMqtt(platform.dev, "desk", clean=False)
    tap.equal([p for _, p in hear(listener, 4)], [MARK + b"3", MARK + b"4", MARK + b"5", MARK + b"6"], "a queue that waited through kill -9 arrives opened, in order")
    listener.close()
    tap.equal(platform.stop(), 0, "it stops")
    tap.equal(on_disk(platform, MARK), [], "and the checkpoint that it wrote holds nothing readable")
    platform.start()
    late = RawMqtt(platform.dev, "late")
    late.subscribe("dt/+/kept", 1)
    tap.equal(sorted(p for _, p in hear(late, 2)), [MARK + b"3", MARK + b"4"], "retained messages come back from it")
    late.close()

    backup = platform.base / "backup"
    done = subprocess.run([MOTORCADE, "backup", "--data", str(platform.data), "--out", str(backup)], capture_output=True, text=True, timeout=300)
    tap.equal(done.returncode, 0, f"a backup is made {done.stderr}")

    # erasing one vehicle
    send(truck, "dt/truck/a", MARK + b"7")
    send(car, "dt/car/a", MARK + b"8")
    receipt = platform.base / "receipt"
    done = erase("truck", receipt)
    tap.ok(done.returncode == 0 and receipt.exists(), "a vehicle is erased by one command", done.stdout + done.stderr)
    facts = json.loads(receipt.read_text().splitlines()[0])
    tap.equal((facts["vehicle"], facts["keys_destroyed"], facts["reason"]), ("truck", 1, "sold"), "the receipt tells what was done")
    tap.holds(facts["not_covered"], "history", "and what it does not cover")
    tap.ok(platform.command("key", "check", str(receipt), check=False).returncode == 0, "its signature holds")
    forged = platform.base / "forged"
    forged.write_text(receipt.read_text().replace('"keys_destroyed":1', '"keys_destroyed":9'))
    done = platform.command("key", "check", str(forged), check=False)
    tap.ok(done.returncode and "changed" in done.stderr, "a changed one is found out", done.stderr)
    listener = RawMqtt(platform.dev, "desk", clean=False)
    tap.equal(hear(listener, 1), [("dt/car/a", MARK + b"8")], "its messages that waited in a queue are gone, those of others are not")
    tap.ok(nothing_more(listener), "nothing else comes")
    listener.close()
    late = RawMqtt(platform.dev, "late")
    late.subscribe("dt/+/kept", 1)
    tap.equal(hear(late, 1), [("dt/car/kept", MARK + b"4")], "its retained message is gone")
    tap.ok(nothing_more(late), "and no other one")
    late.close()
    send(truck, "dt/truck/a", MARK + b"9")
    listener = RawMqtt(platform.dev, "desk", clean=False)
    tap.equal(hear(listener, 1), [("dt/truck/a", MARK + b"9")], "the vehicle goes on, under a new key")
    listener.close()
    done = platform.command("vehicle", "erase", "nobody", "--reason", "x", "--out", str(platform.base / "r2"), check=False)
    tap.ok(done.returncode and "nobody" in done.stderr, "a vehicle that is not there is not erased", done.stderr)
    done = erase("truck", receipt)
    tap.ok(done.returncode and "already" in done.stderr, "a receipt is not written over another", done.stderr)
    try:
        platform.api("POST", f"/api/v1/vehicles/{truck['id']}/erasure", {})
        tap.ok(False, "an erasure without a reason is refused")
    except ApiError as problem:
        tap.ok(problem.status == 400 and "reason" in str(problem), "an erasure without a reason is refused", problem)

    # a backup from before the erasure
    target, code, out, err = restore(backup, "open")
    tap.ok(code == 0 and "READABLE again" in out and "--receipt" in out, "a restore that was not told of the erasure says what is readable again", out + err)
    tap.equal(kept_messages(target, 2), ([MARK + b"3", MARK + b"4"], False), "and so it is")
    target, code, out, err = restore(backup, "by-receipt", "--receipt", receipt, "--json")
    tap.ok(code == 0 and json.loads(out)["taken_away"]["keys"] == 1, "told by the receipt, it destroys the key again", out + err)
    tap.equal(kept_messages(target, 1), ([MARK + b"4"], False), "what was erased stays erased, and the others' messages are there")
    target, code, out, err = restore(backup, "by-newer", "--newer", platform.data, "--json")
    tap.ok(code == 0 and json.loads(out)["taken_away"]["keys"] == 1, "told by the data folder as it is now, too", out + err)
    for arguments, text in ((("--receipt", forged), "was changed since"), (("--receipt", key), "not an erasure receipt"), (("--newer", plain.data), "another installation")):
        target, code, out, err = restore(backup, "never", *arguments)
        tap.ok(code == 1 and text in err and not target.exists(), f"{arguments[0]} {pathlib.Path(arguments[1]).name}: refused before anything is written", err)

    # the master key
    platform.kill()
    platform.start()
    late = RawMqtt(platform.dev, "late")
    late.subscribe("dt/+/kept", 1)
    tap.equal(hear(late, 1), [("dt/car/kept", MARK + b"4")], "after kill -9 what was erased stays erased")
    late.close()
    done = platform.command("key", "rewrap", "--to", f"file:{platform.base / 'other.key'}", "--master-key", f"file:{key}", check=False)
    tap.ok(done.returncode and "stop" in done.stderr, "the master key does not change under a running server", done.stderr)
    platform.stop()
    other = platform.base / "other.key"
    platform.command("key", "create", str(other))
    platform.command("key", "rewrap", "--to", f"file:{other}", "--master-key", f"file:{key}")
    platform.settings = ["--master-key", f"file:{key}", "--subject-keys", "true"]
    try:
        platform.start()
        tap.ok(False, "the old master key opens nothing any more")
    except RuntimeError as problem:
        tap.holds(problem, "master key", "the old master key opens nothing any more, and the start says so")
        platform.process = None
    platform.settings = []
    try:
        platform.start()
        tap.ok(False, "without a master key it does not start")
    except RuntimeError as problem:
        tap.holds(problem, "master_key", "without a master key it does not start, instead of losing messages silently")
        platform.process = None
    os.environ["MOTORCADE_TEST_MASTER"] = other.read_bytes().hex()
    platform.settings = ["--master-key", "env:MOTORCADE_TEST_MASTER", "--subject-keys", "true"]
    platform.start()
    late = RawMqtt(platform.dev, "late")
    late.subscribe("dt/+/kept", 1)
    tap.equal(hear(late, 1), [("dt/car/kept", MARK + b"4")], "the new one does, from the environment too")
    late.close()
    listed = platform.command("key", "list", "--master-key", f"file:{other}")
    tap.ok(listed.count("vehicle") == 3 and listed.count("in use") == 4, "key list tells those in use and the destroyed one", listed)
    tap.equal(platform.stop(), 0, "it stops")
finally:
    plain.close()
    platform.close()
tap.done()
