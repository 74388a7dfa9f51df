#!/usr/bin/env python3
"""Backup of a whole data folder while it works, and the way back: what was acknowledged is there, a point in time is exact, damage is refused. Prints TAP."""
import json
import pathlib
import shutil
import subprocess
import threading

from platform_under_test import MOTORCADE, Platform, Tap, wait_for
from raw_mqtt import RawMqtt

tap = Tap()


def run(*arguments):
    done = subprocess.run([MOTORCADE, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def records(data, stream="message"):
    code, out, err = run("journal", "tail", "--data", data, "--compacted", "--json", "--stream", stream)
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


class Publisher(threading.Thread):
    """Numbers, one after the other, each sent when the one before was acknowledged."""

    def __init__(self, platform):
        super().__init__(daemon=True)
        self.client = RawMqtt(platform.dev, "writer")
        self.acknowledged = 0
        self.going = True

    def run(self):
        while self.going:
            self.client.publish_and_wait("load/x", str(self.acknowledged + 1).encode())
            self.acknowledged += 1


def started_on(data):
    """The platform once more, on a folder that was restored."""
    p = Platform(data=data.parent)
    p.start()
    return p


def retained(platform, want):
    c = RawMqtt(platform.dev, "reader")
    c.subscribe("kept/#", 1)
    got = {}
    try:
        while True:
            c.settimeout(60 if len(got) < want else 1)
            kind, flags, body = c.packet()
            if kind == 3:
                topic, packet_id, payload = RawMqtt.message(flags, body)
                got[topic] = payload
                if packet_id:
                    c.acknowledge(packet_id)
    except TimeoutError:
        pass
    c.close()
    return got


def publish(platform, topic, payload, retain=False):
    c = RawMqtt(platform.dev, "desk")
    c.publish(topic, payload, 1, retain=retain)
    while c.packet()[0] != 4:
        pass
    c.close()


platform = Platform()
again = []
try:
    platform.start()
    platform.vehicle("early")
    publish(platform, "kept/a", b"first", retain=True)
    publisher = Publisher(platform)
    publisher.start()
    wait_for(lambda: publisher.acknowledged > 20, 10, "publishes")
    one, two = platform.base / "backup-1", platform.base / "backup-2"
    before = publisher.acknowledged
    code, out, err = run("backup", "--data", platform.data, "--out", one, "--json")
    tap.equal(code, 0, f"a backup is made while publishes come in {err}")
    tap.ok(before > 20, "publishes came in meanwhile", before)
    made = json.loads(out)
    held = records(one)
    tap.ok(sum(r["topic"] == "load/x" for r in held) >= before, "it holds every publish that was acknowledged before it")
    publisher.going = False
    publisher.join()
    publish(platform, "kept/a", b"second", retain=True)
    publish(platform, "kept/b", b"late", retain=True)
    platform.vehicle("late")
    code, out, err = run("backup", "--data", platform.data, "--out", two, "--since", one, "--json")
    tap.equal(code, 0, f"a second backup shares with the first {err}")
    whole = json.loads(out)
    tap.ok(whole["end_offset"] > made["end_offset"], "and holds more of the journal")
    code, out, err = run("journal", "verify", "--data", two)
    tap.equal(code, 0, f"a backup's journal verifies as it lies there {err}")

    # refusals
    code, out, err = run("backup", "--data", platform.data, "--out", two)
    tap.ok(code == 1 and "not empty" in err, "a backup into a folder that holds something is refused", err)
    code, out, err = run("restore", "--from", two, "--data", platform.data)
    tap.ok(code == 1 and "not empty" in err, "a restore into a folder that holds something is refused", err)
    code, out, err = run("restore", "--from", two, "--data", platform.base / "x", "--at", "yesterday")
    tap.ok(code == 2 and "--at expects" in err, "a senseless point in time is refused", err)
    code, out, err = run("restore", "--from", two, "--data", platform.base / "x", "--at", "2001-01-01T00:00:00Z")
    tap.ok(code == 1 and "older backup" in err, "a time before the backup begins is refused", err)
    for victim in ("motorcade.db", "server.key", "backup", next(p.name for p in (two / "journal").glob("*.mcj"))):
        broken = platform.base / "broken"
        shutil.copytree(two, broken)
        path = next(broken.rglob(victim))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x20
        path.unlink()
        path.write_bytes(content)
        code, out, err = run("restore", "--from", broken, "--data", platform.base / "never")
        tap.ok(code == 1 and victim in err and "use another" in err and not (platform.base / "never").exists(),
               f"a backup whose {victim if len(victim) < 20 else 'segment'} is damaged is refused, with what, where and what to do", err)
        shutil.rmtree(broken)
    (platform.base / "unfinished").mkdir()
    shutil.copy(two / "ca.pem", platform.base / "unfinished")
    code, out, err = run("restore", "--from", platform.base / "unfinished", "--data", platform.base / "never")
    tap.ok(code == 1 and "was not finished" in err, "a backup that was not finished is refused", err)

    # all of it
    original = records(platform.data)
    platform.stop()
    code, out, err = run("restore", "--from", two, "--data", platform.base / "all" / "data", "--json")
    tap.equal(code, 0, f"the newest backup is restored {err}")
    tap.equal(records(platform.base / "all" / "data"), original, "its journal equals the one it was taken from")
    p = started_on(platform.base / "all" / "data")
    again.append(p)
    tap.equal(retained(p, 2), {"kept/a": b"second", "kept/b": b"late"}, "started on it, the platform has its retained messages")
    tap.equal(sorted(v["name"] for v in p.api_all("/api/v1/vehicles")), ["early", "late"], "and its vehicles")
    publish(p, "load/x", b"goes on")
    p.stop()

    # a point in time, exact to the group: just before the second retained message
    cut = next(r["offset"] for r in original if r["topic"] == "kept/a" and r["offset"] > made["end_offset"]) - 8
    code, out, err = run("restore", "--from", two, "--data", platform.base / "then" / "data", "--at", cut, "--json")
    tap.equal(code, 0, f"a point in time is restored {err}")
    report = json.loads(out)
    tap.ok(report["end_offset"] <= cut and report["records_left_out"] >= 2 and report["registry_changes_kept"] >= 1, "the report says what was left out and what stays newer", out)
    tap.equal(records(platform.base / "then" / "data"), [r for r in original if r["offset"] < cut], "the journal holds exactly what was written before it")
    p = started_on(platform.base / "then" / "data")
    again.append(p)
    tap.equal(retained(p, 1), {"kept/a": b"first"}, "started on it, retained messages are those of that time")
    tap.equal(sorted(v["name"] for v in p.api_all("/api/v1/vehicles")), ["early", "late"], "vehicles are those of the backup, as the report says")
    publish(p, "load/x", b"goes on")
    p.stop()

    # by time
    code, out, err = run("restore", "--from", two, "--data", platform.base / "when" / "data", "--at", made["end_time"], "--json")
    tap.ok(code == 0 and json.loads(out)["end_time"] <= made["end_time"], "a time means the last group at or before it", out + err)
finally:
    for p in again:
        p.close()
    platform.close()
tap.done()
