#!/usr/bin/env python3
"""kill -9 at random moments under load, again and again on the same folder; every second life is motorcade-powercut, which loses what it did not sync. Prints TAP.

What must hold each time: every acknowledged message is in the journal, telemetry is decoded exactly once, a kept session gets every
acknowledged message, and publishes are accepted again within a second of the start.

MOTORCADE_KILL_ROUNDS (50) and MOTORCADE_KILL_SEED vary it.
"""
import os
import random
import struct
import tempfile
import threading
import time

from platform_under_test import Platform, Tap, wait_for
from raw_mqtt import Gone, RawMqtt
from vehicle_data import vehicle_data

ROUNDS = int(os.environ.get("MOTORCADE_KILL_ROUNDS", "50"))
SEED = int(os.environ.get("MOTORCADE_KILL_SEED", random.randrange(1 << 30)))
WINDOW = 20
SAMPLES = 10
DBC = """VERSION ""
NS_ :
BS_:
BU_: A
BO_ 256 M: 8 A
 SG_ Count : 0|32@1+ (1,0) [0|0] "" A
"""
tap = Tap()


class Publisher(threading.Thread):
    """Publishes on and on, reconnects after each kill, and keeps book of what was acknowledged.

    again: what was not acknowledged is sent again after a reconnect, as an agent with a store does; else it is given up."""

    def __init__(self, platform, name, device, make, again):
        super().__init__(daemon=True)
        self.platform, self.name_, self.device, self.make, self.again = platform, name, device, make, again
        self.next, self.acked, self.unanswered = 0, set(), {}
        self.stopping = threading.Event()
        self.pause = 0.0005

    def connect(self):
        return RawMqtt(self.platform.mqtt if self.device else self.platform.dev, self.name_, self.device, timeout=2)

    def run(self):
        while True:
            try:
                client = self.connect()
                client.settimeout(0.05)
                self.session(client)
                client.close()
                return
            except (Gone, TimeoutError, ConnectionError):
                if not self.again:
                    self.unanswered.clear()
                time.sleep(0.02)

    def send(self, client, number, dup=False):
        topic, payload = self.make(number)
        client.publish(topic, payload, number % 60000 + 1, dup)

    def session(self, client):
        for number in sorted(self.unanswered.values()):
            self.send(client, number, dup=True)
        while not self.stopping.is_set() or self.unanswered:
            if len(self.unanswered) < WINDOW and not self.stopping.is_set():
                self.unanswered[self.next % 60000 + 1] = self.next
                self.next += 1
                self.send(client, self.next - 1)
                time.sleep(self.pause)
                if len(self.unanswered) < WINDOW / 2:
                    client.settimeout(0.0005)
                else:
                    client.settimeout(0.5)
            else:
                client.settimeout(2)
            try:
                kind, _, body = client.packet()
            except TimeoutError:
                continue
            if kind == 4:
                number = self.unanswered.pop(struct.unpack(">H", body[:2])[0], None)
                if number is not None:
                    self.acked.add(number)


class Keeper(threading.Thread):
    """A kept session: subscribed once, resumed after each kill. Collects topics."""

    def __init__(self, platform):
        super().__init__(daemon=True)
        self.platform, self.got, self.lost_sessions, self.connects = platform, {}, 0, 0
        self.stopping = threading.Event()
        self.ready = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                client = RawMqtt(self.platform.dev, "keeper", clean=False, timeout=2)
                if self.connects and not client.session_present:
                    self.lost_sessions += 1
                if not client.session_present:
                    client.subscribe("dt/+/n/+")
                self.connects += 1
                self.ready.set()
                client.settimeout(0.2)
                while not self.stopping.is_set():
                    try:
                        kind, flags, body = client.packet()
                    except TimeoutError:
                        continue
                    if kind == 3:
                        topic, packet_id, _ = RawMqtt.message(flags, body)
                        self.got[topic] = self.got.get(topic, 0) + 1
                        if packet_id:
                            client.acknowledge(packet_id)
                client.close()
            except (Gone, TimeoutError, ConnectionError):
                time.sleep(0.02)


def first_acknowledgement(platform, number):
    """Seconds from the start of the process until a publish is acknowledged."""
    while True:
        if platform.process.poll() is not None:
            raise RuntimeError(f"serve ended with {platform.process.returncode}:\n{platform.log_tail()}")
        try:
            client = RawMqtt(platform.dev, "first", timeout=5)
            client.publish_and_wait(f"dt/first/n/{number}", b"x")
            took = time.monotonic() - platform.started
            client.close()
            return took
        except (Gone, TimeoutError, ConnectionError):
            if time.monotonic() - platform.started > 120:
                raise
            time.sleep(0.005)


def set_up(platform):
    platform.api("POST", "/api/v1/manifests", {"name": "kill", "interface": "can0", "dbc": DBC})
    manifest = platform.api("GET", "/api/v1/manifests")["items"][0]["sync_id"]
    signal = platform.api_all("/api/v1/signals")[0]["id"]
    devices = [platform.vehicle(f"tele-{i}", manifest="kill") for i in range(2)] + [platform.vehicle(f"tls-{i}") for i in range(2)]
    campaign = platform.api("POST", "/api/v1/campaigns", {"name": "kill", "target_kind": "manifest", "target": "kill", "kind": "time", "period_ms": 1000, "start_now": True, "signals": [{"fqn": "Vehicle.M.Count"}]})
    return manifest, campaign["sync_id"], signal, devices


def telemetry(device, campaign, manifest, signal, begin_ms):
    """Message n holds the numbers n*SAMPLES .. n*SAMPLES+9, one a millisecond."""
    topic = f"$aws/iotfleetwise/vehicles/{device['name']}/signals"

    def make(n):
        samples = [(i, signal, float(n * SAMPLES + i)) for i in range(SAMPLES)]
        return topic, vehicle_data(campaign, manifest, n % (1 << 31) + 1, begin_ms + n * SAMPLES, samples)

    return make


def numbered(name):
    return lambda n: (f"dt/{name}/n/{n}", b"%d" % n)


def in_history(platform, vehicle, signal, begin_ms, messages):
    """All values of the signal, read back through the API in pages that are small enough not to be thinned out."""
    from datetime import datetime, timezone

    def stamp(ms):
        return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"

    values, step = [], 4000
    for at in range(0, messages * SAMPLES, step):
        page = platform.api("GET", f"/api/v1/vehicles/{vehicle}/history?signals={signal}&from={stamp(begin_ms + at)}&to={stamp(begin_ms + at + step)}&points=5000")
        for series in page["series"]:
            if series["downsampled"]:
                raise RuntimeError("a page of history was thinned out")
            values += [(t - begin_ms, v) for t, v in zip(series["time"], series["mean"])]
    return values


def rounds(platform, chance, first):
    starts = []
    for number in range(1, ROUNDS + 1):
        time.sleep(chance.uniform(0.3, 2.2))
        power = {"seed": SEED + number} if number % 2 else None
        platform.kill()
        platform.settings = ["--journal-io", "uring" if number % 4 == 2 else "plain"]  # what one way wrote the other one reads
        platform.start(wait=False, power=power)
        if chance.random() < 0.1:  # in the middle of the recovery too
            time.sleep(chance.uniform(0, 0.1))
            platform.kill()
            platform.start(wait=False, power=power)
        starts.append(first_acknowledgement(platform, number))
        first.add(number)
    return starts


def main():
    tap.note(f"{ROUNDS} rounds, seed {SEED}")
    chance = random.Random(SEED)
    platform = Platform().start()
    try:
        manifest, campaign, signal, devices = set_up(platform)
        keeper = Keeper(platform)
        keeper.start()
        keeper.ready.wait(60)
        begin_ms = int(time.time() * 1000) - 20 * 3600 * 1000
        tele = [Publisher(platform, d["name"], d, telemetry(d, campaign, manifest, signal, begin_ms), True) for d in devices[:2]]
        plain = [Publisher(platform, n, None, numbered(n), False) for n in ("plain-0", "plain-1")]
        secure = [Publisher(platform, d["name"], d, numbered(d["name"]), False) for d in devices[2:]]
        for p in tele + plain + secure:
            p.start()
        first = set()
        starts = rounds(platform, chance, first)
        tap.holds(platform.log.read_text(errors="replace"), "io_uring", "every other round wrote its groups by io_uring, or was told why not")
        time.sleep(0.5)
        platform.wait_ready()
        for p in tele + plain + secure:
            p.stopping.set()
        for p in tele + plain + secure:
            p.join(120)
        tap.ok(not any(p.is_alive() for p in tele + plain + secure), "after the last kill every publisher finds its way back and empties its window")
        check_starts(starts)
        check_journal(platform, plain + secure, first)
        check_session(keeper, plain + secure)
        check_decoded(platform, tele, devices, signal, begin_ms)
        keeper.stopping.set()
        tap.equal(platform.stop(), 0, "it stops cleanly")
        done = platform.command("journal", "verify", check=False)
        tap.ok(done.returncode == 0, "journal verify finds nothing", done.stdout + done.stderr)
        done = platform.command("store", "verify", check=False)
        tap.ok(done.returncode == 0, "store verify finds nothing", done.stdout + done.stderr)
    finally:
        platform.kill()
        platform.close()
    tap.done()


def one_sync():
    """What the disk takes for one, the middle of eleven."""
    took = []
    with tempfile.TemporaryFile() as f:
        for _ in range(11):
            f.write(b"x" * 4096)
            f.flush()
            began = time.monotonic()
            os.fdatasync(f.fileno())
            took.append(time.monotonic() - began)
    return sorted(took)[5]


def check_starts(starts):
    starts.sort()
    tap.note(f"start to first acknowledgement: median {starts[len(starts) // 2] * 1000:.0f} ms, slowest {starts[-1] * 1000:.0f} ms of {len(starts)}")
    sync, load = one_sync(), os.getloadavg()[0] / (os.cpu_count() or 1)
    most = (1 + 15 * sync) * max(1, load)  # the promise is for a machine and a disk that have time: the benchmark shows it
    tap.note(f"a sync takes {sync * 1000:.1f} ms here, and {load:.1f} want each processor")
    tap.ok(starts[len(starts) // 2] < most and starts[-1] < 10 * most, f"publishes are accepted within {most:.2f} s of a start", [f"{s:.3f}" for s in starts[-5:]])


def check_journal(platform, publishers, first):
    there = {r["topic"] for r in platform.journal("message")}
    wanted = {f"dt/first/n/{n}" for n in first}
    for p in publishers:
        wanted |= {f"dt/{p.name_}/n/{n}" for n in p.acked}
    tap.note(f"{len(wanted)} messages acknowledged, {len(there)} in the journal")
    missing = sorted(wanted - there)
    tap.ok(len(wanted) > ROUNDS * 20, "there was load", len(wanted))
    tap.ok(not missing, "every acknowledged message is in the journal", f"{len(missing)} missing", missing[:10])


def check_session(keeper, publishers):
    wanted = {f"dt/{p.name_}/n/{n}" for p in publishers for n in p.acked}
    try:
        wait_for(lambda: wanted <= set(keeper.got), 30, "the kept session to catch up", 0.2)
    except TimeoutError:
        pass
    missing = sorted(wanted - set(keeper.got))
    again = sum(keeper.got.values()) - len(keeper.got)
    tap.note(f"the kept session was resumed {keeper.connects - 1} times and got {len(keeper.got)} messages; {again} came again")
    tap.equal(keeper.lost_sessions, 0, "the kept session is resumed after every kill")
    tap.ok(not missing, "the kept session got every acknowledged message", f"{len(missing)} missing", missing[:10])


def check_decoded(platform, tele, devices, signal, begin_ms):
    for p, device in zip(tele, devices):
        sent = sorted(p.acked)
        tap.equal(sent, list(range(p.next)), f"{p.name_}: every one of its {p.next} telemetry messages is acknowledged in the end")
        wait_for(lambda: platform.metric("motorcade_decoder_lag_ms") == 0, 30, "the decoder")
        values = in_history(platform, device["id"], signal, begin_ms, p.next)
        want = [(n, float(n)) for n in range(p.next * SAMPLES)]
        missing = sorted(set(want) - set(values))
        tap.ok(values == want, f"{p.name_}: each of its {len(want)} samples is in the history once, with its value", f"{len(values)} there, {len(missing)} missing", missing[:5])
        events = platform.api("GET", f"/api/v1/vehicles/{device['id']}/events?limit=500")["items"]
        twice = [e for e in events if e["samples"] != SAMPLES or e["messages"] != 1]
        tap.ok(events and not twice, f"{p.name_}: none of its last {len(events)} events was decoded twice", twice[:3])


main()
