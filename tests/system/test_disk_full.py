#!/usr/bin/env python3
"""A data folder on a disk that fills up, and a network that stalls and breaks. Prints TAP.

Disk: a small tmpfs in a mount namespace of its own (needs root; skips loudly otherwise). Network: a proxy between agent and platform.
"""
import errno
import os
import pathlib
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from platform_under_test import EDGE, MOTORCADE, Platform, Tap, wait_for
from raw_mqtt import Gone, RawMqtt

tap = Tap()


# ---- the full disk ----


def publish_until_refused(platform, acked, limit_s, most=1 << 30):
    """Publishes so many with QoS 1 one after the other; True when one was refused (3.1.1 has no refusal: the connection is closed)."""
    number, until = len(acked), time.monotonic() + limit_s
    most += number
    try:
        client = RawMqtt(platform.dev, "writer", timeout=10)
    except (Gone, TimeoutError):
        return True
    try:
        while number < most and time.monotonic() < until:
            client.publish_and_wait(f"dt/writer/n/{number}", b"x" * 100000, number % 60000 + 1)
            acked.append(number)
            number += 1
        return False
    except (Gone, TimeoutError):
        return True
    finally:
        client.close()


def fill(ballast, disk, leave):
    """Takes the room there is but for so much. The journal takes and gives back room meanwhile: a refusal is no failure."""
    with open(ballast, "wb", buffering=0) as f:
        while (free := shutil.disk_usage(disk).free) > leave:
            try:
                f.write(b"\0" * min(free - leave, 1 << 20))
            except OSError as problem:
                if problem.errno != errno.ENOSPC:
                    raise
                return


def full_disk(platform, disk):
    acked = []
    ballast = disk / "ballast"
    publish_until_refused(platform, acked, 5, 200)
    tap.ok(acked, "publishes are acknowledged while there is room")
    before = len(acked)
    fill(ballast, disk, 2_000_000)
    refused = publish_until_refused(platform, acked, 60)
    tap.ok(refused, "a publish that finds no room is refused", f"{len(acked) - before} more were acknowledged, {shutil.disk_usage(disk).free} B free")
    tap.equal(platform.process.poll(), None, "motorcade goes on running on a full disk")
    tap.ok(platform.api("GET", "/api/v1/health") is not None, "and its API answers")
    again = publish_until_refused(platform, acked, 3)
    tap.ok(again, "it goes on refusing", len(acked))
    log = platform.log.read_text(errors="replace")
    tap.ok(any(words in log.lower() for words in ("space", "full", "no room")), "its log says that the disk is full", platform.log_tail(5))
    ballast.unlink()
    before = len(acked)

    def works():
        publish_until_refused(platform, acked, 5, 50)
        return len(acked) > before

    try:
        wait_for(works, 15, "publishes to be acknowledged again", 0.2)
    except TimeoutError as problem:
        tap.note(problem)
    tap.ok(len(acked) > before, "publishes are acknowledged again when there is room", platform.log_tail(5))
    check_acked(platform, acked, "with the disk once full")
    platform.kill()
    platform.start()
    check_acked(platform, acked, "and after a kill")
    publish_until_refused(platform, acked, 5, 50)
    check_acked(platform, acked, "and publishing goes on")


def check_acked(platform, acked, when):
    there = {r["topic"] for r in platform.journal("message")}
    missing = [n for n in acked if f"dt/writer/n/{n}" not in there]
    tap.ok(not missing, f"every one of {len(acked)} acknowledged messages is in the journal, {when}", missing[:10])


def read_only_at_the_start(platform, disk):
    """It says what is wrong and ends; when the disk can be written again, everything is there."""
    acked = []
    publish_until_refused(platform, acked, 5, 50)
    platform.kill()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        done = subprocess.run([MOTORCADE, "serve", "--data", str(platform.data), "--http-port", "0", "--mqtt-port", str(platform.mqtt), "--tls-port", "0"], capture_output=True, text=True, timeout=120)
        tap.equal(done.returncode, 1, "on a read-only disk it does not start")
        tap.ok("read-only" in done.stderr.lower() and str(platform.data) in done.stderr, "and says which file cannot be written, and why", done.stderr[-600:])
        tap.equal(platform.command("journal", "verify", check=False).returncode, 0, "the journal can be verified there")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    platform.start()
    there = {r["topic"] for r in platform.journal("message")}
    tap.ok(acked and {f"dt/writer/n/{n}" for n in acked} <= there, "and when it can be written again, everything that was acknowledged is there", len(acked))


def disk_in_namespace():
    disk = pathlib.Path(tempfile.mkdtemp(prefix="motorcade-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(disk)], check=True)
    platform = None
    try:
        platform = Platform(disk / "run", ["--pressure-free-mb", "32"])  # it is the full disk that is met here, not the slowing down before it
        platform.start()
        tap.guard("full disk", full_disk, platform, disk)
        tap.guard("read-only disk at the start", read_only_at_the_start, platform, disk)
        tap.equal(platform.stop(), 0, "it stops cleanly")
        done = platform.command("journal", "verify", check=False)
        tap.ok(done.returncode == 0, "journal verify finds nothing", done.stdout + done.stderr)
    finally:
        if platform:
            platform.kill()
        subprocess.run(["umount", "-l", str(disk)], check=False)
        disk.rmdir()


# ---- the broken network ----


class Proxy(threading.Thread):
    """Passes bytes between agents and one port; can stall (keeps connections, moves nothing) and cut."""

    def __init__(self, to_port):
        super().__init__(daemon=True)
        self.to_port, self.pairs, self.stalled, self.down, self.lock = to_port, {}, False, False, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        while True:
            sockets = [self.listener] + ([] if self.stalled else list(self.pairs))
            for s in select.select(sockets, [], [], 0.05)[0]:
                with self.lock:
                    self.accept() if s is self.listener else self.move(s)

    def accept(self):
        a, _ = self.listener.accept()
        if self.down:
            a.close()
            return
        try:
            b = socket.create_connection(("127.0.0.1", self.to_port))
        except OSError:
            a.close()
            return
        self.pairs[a], self.pairs[b] = b, a

    def move(self, s):
        other = self.pairs.get(s)
        if not other:
            return
        try:
            data = s.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        self.end(s)

    def end(self, s):
        other = self.pairs.pop(s, None)
        self.pairs.pop(other, None)
        for x in (s, other):
            if x:
                x.close()

    def cut(self):
        with self.lock:
            for s in list(self.pairs):
                if s in self.pairs:
                    self.end(s)


DBC = """VERSION ""
NS_ :
BS_:
BU_: A
BO_ 256 M: 8 A
 SG_ Count : 0|32@1+ (1,0) [0|0] "" A
"""


def candump(path, seconds):
    """A recording: a counter each 10 ms."""
    with open(path, "w") as f:
        for n in range(seconds * 100):
            f.write(f"({1700000000 + n / 100:.6f}) can0 100#{n.to_bytes(4, 'little').hex().upper()}00000000\n")


def broken_network(platform):
    seconds = 15
    platform.api("POST", "/api/v1/manifests", {"name": "net", "interface": "can0", "dbc": DBC})
    device = platform.vehicle("net-1", manifest="net")
    platform.api("POST", "/api/v1/campaigns", {"name": "net", "target_kind": "vehicle", "target": "net-1", "kind": "time", "period_ms": 500, "persist": True, "start_now": True, "signals": [{"fqn": "Vehicle.M.Count"}]})
    signal = platform.api_all("/api/v1/signals")[0]["id"]
    log = platform.base / "count.log"
    candump(log, seconds)
    proxy = Proxy(platform.mqtt)
    proxy.start()
    agent = subprocess.Popen([EDGE, "--endpoint", f"localhost:{proxy.port}", "--name", "net-1", "--cert", device["cert"], "--key", device["key"], "--ca", device["ca"], "--replay", str(log), "--keep-times",
                              "--channel-map", "*=can0", "--data", str(platform.base / "agent"), "--keep-alive-s", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: (platform.metric("motorcade_telemetry_messages") or 0) >= 2, 20, "the first telemetry")
    connects = lambda: sum(1 for e in platform.events() if e["client_id"] == "net-1" and e["kind"] == "connected")  # noqa: E731
    first = connects()
    proxy.cut()  # a short loss
    wait_for(lambda: connects() > first, 15, "the agent to come back after a cut")
    tap.ok(True, "the agent comes back after its connection was cut")
    proxy.stalled = True  # a dead network: nothing moves, nothing closes
    time.sleep(4)
    proxy.down = True
    proxy.stalled = False
    proxy.cut()
    time.sleep(2)
    wait_for(lambda: platform.metric("motorcade_decoder_lag_ms") == 0, 20, "the decoder")
    at_stall = platform.metric("motorcade_telemetry_messages")
    time.sleep(1)
    tap.equal(platform.metric("motorcade_telemetry_messages"), at_stall, "nothing arrives while the network is down")
    proxy.down = False
    try:
        out, _ = agent.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        agent.kill()
        out, _ = agent.communicate()
        tap.ok(False, "the agent ends when all is acknowledged", out[-3000:])
    tap.equal(agent.returncode, 0, "the agent ends when all is acknowledged")
    wait_for(lambda: platform.metric("motorcade_decoder_lag_ms") == 0, 20, "the decoder")
    series = platform.api("GET", f"/api/v1/vehicles/{device['id']}/history?signals={signal}&from=2023-11-14T22:00:00Z&to=2023-11-14T23:00:00Z&points=5000")["series"]
    values = [int(v) for v in series[0]["mean"]] if series else []
    missing = sorted(set(range(seconds * 100)) - set(values))
    tap.ok(not missing, "every value of the drive arrived, those of the time without network too", f"{len(values)} there, {len(missing)} missing: {missing[:5]} ... {missing[-5:]}", out[-2500:])
    tap.equal(len(values), len(set(values)), "none came twice")


def main():
    if os.environ.get("MOTORCADE_DISK_CHILD"):
        disk_in_namespace()
        tap.done()
    if os.geteuid() != 0 or not shutil.which("unshare"):
        tap.skip("a full disk", "mounting a small disk needs root and unshare")
    else:
        child = subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv], env=dict(os.environ, MOTORCADE_DISK_CHILD="1"), capture_output=True, text=True, timeout=900)
        lines = child.stdout.splitlines()
        if child.returncode and not any(line.startswith("not ok") for line in lines):
            if "mount" in child.stderr and ("ermission" in child.stderr or "not permitted" in child.stderr):
                tap.skip("a full disk", "this machine does not allow mounts: " + child.stderr.strip().splitlines()[-1])
            else:
                tap.ok(False, "the full disk was tried", child.stderr[-3000:])
        for line in lines:
            if line.startswith(("ok", "not ok")):
                tap.count += 1
                tap.failed += line.startswith("not ok")
            if not line.startswith("1.."):
                print(line, flush=True)
    platform = Platform().start()
    try:
        tap.guard("broken network", broken_network, platform)
        tap.equal(platform.stop(), 0, "the platform stops cleanly")
    finally:
        platform.close()
    tap.done()


main()
