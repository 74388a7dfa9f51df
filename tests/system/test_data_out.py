#!/usr/bin/env python3
"""Data out of the whole platform: what a vehicle sent is in files (JSON, Parquet) and on a topic exactly once, through kill -9 at any moment; an S3 that is
away for a while gets everything when it is back; trouble codes are counted once. Prints TAP. MOTORCADE_KILL_SEED varies the moments."""
import gzip
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

from duck import LIBRARY, Duck
from platform_under_test import ROOT, Platform, Tap, wait_for
from raw_mqtt import Gone, RawMqtt
from vehicle_data import field, vehicle_data

SEED = int(os.environ.get("MOTORCADE_KILL_SEED", random.randrange(1 << 30)))
KILLS = 5
SAMPLES = 4
DBC = """VERSION ""
NS_ :
BS_:
BU_: A
BO_ 256 M: 8 A
 SG_ Speed : 0|16@1+ (0.01,0) [0|0] "km/h" A
 SG_ Count : 16|32@1+ (1,0) [0|0] "" A
"""
tap = Tap()


def set_up(platform, destinations):
    platform.api("POST", "/api/v1/manifests", {"name": "out", "interface": "can0", "dbc": DBC})
    manifest = platform.api("GET", "/api/v1/manifests")["items"][0]["sync_id"]
    signals = {s["fqn"]: s["id"] for s in platform.api_all("/api/v1/signals")}
    vehicle = platform.api("POST", "/api/v1/vehicles", {"name": "van", "manifest": "out"})
    campaign = platform.api("POST", "/api/v1/campaigns", {"name": "out", "target_kind": "all", "kind": "time", "period_ms": 1000, "start_now": True, "destinations": destinations,
                                                          "signals": [{"fqn": "Vehicle.M.Speed"}, {"fqn": "Vehicle.M.Count"}]})
    return campaign, manifest, signals, vehicle


def event(n, campaign, manifest, signals, begin_ms):
    """Event n: counts n*4 .. n*4+3 and a speed each, and a trouble code."""
    samples = []
    for i in range(SAMPLES):
        samples.append((i - SAMPLES, signals["Vehicle.M.Count"], float(n * SAMPLES + i)))
        samples.append((i - SAMPLES, signals["Vehicle.M.Speed"], (n * SAMPLES + i) * 0.01))
    return vehicle_data(campaign["sync_id"], manifest, n + 1, begin_ms + n, samples) + field(6, field(2, b"P0301"))


class Sender:
    """As an agent with a store: what was not acknowledged is sent again after a reconnect."""

    def __init__(self, platform, make):
        self.platform, self.make, self.acked, self.unanswered, self.next, self.client = platform, make, 0, {}, 0, None

    def send(self, n, dup=False):
        self.client.publish("$aws/iotfleetwise/vehicles/van/signals", self.make(n), n % 60000 + 1, dup)
        self.unanswered[n % 60000 + 1] = n

    def step(self):
        try:
            if not self.client:
                self.client = RawMqtt(self.platform.dev, "van", timeout=2)
                self.client.settimeout(0.02)
                for n in sorted(self.unanswered.values()):
                    self.send(n, True)
            if len(self.unanswered) < 20:
                self.send(self.next)
                self.next += 1
            kind, _, body = self.client.packet()
            if kind == 4 and self.unanswered.pop(int.from_bytes(body[:2], "big"), None) is not None:
                self.acked += 1
        except TimeoutError:
            pass
        except (Gone, OSError):
            self.client = None
            time.sleep(0.02)

    def run(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.step()

    def finish(self):
        until = time.monotonic() + 120
        while self.unanswered and time.monotonic() < until:
            if not self.client:
                self.step()
                continue
            try:
                kind, _, body = self.client.packet()
                if kind == 4 and self.unanswered.pop(int.from_bytes(body[:2], "big"), None) is not None:
                    self.acked += 1
            except TimeoutError:
                pass
            except (Gone, OSError):
                self.client = None


def json_rows(folder):
    rows = []
    for path in sorted(pathlib.Path(folder).rglob("*.json*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows += [json.loads(line) for line in text.splitlines()]
    return rows


def want_rows(sender, begin_ms):
    """(event, name, time, value) of everything that was sent."""
    want = set()
    for n in range(sender.next):
        for i in range(SAMPLES):
            count = n * SAMPLES + i
            at = begin_ms + n + i - SAMPLES
            want.add((str(n + 1), "Vehicle.M.Count", at, float(count)))
            want.add((str(n + 1), "Vehicle.M.Speed", at, count * 0.01))
        want.add((str(n + 1), "Vehicle.OBD.DTCList", begin_ms + n, "P0301"))
    return want


def row_of(r):
    value = next(v for k, v in r.items() if k.startswith("measure_value_"))
    return r["eventId"], r["measure_name"], r["time"], value if isinstance(value, str) else float(value)


def check_json(sender, begin_ms, objects):
    folder = objects / "fleet-json"
    want = want_rows(sender, begin_ms)
    wait_for(lambda: len(json_rows(folder)) >= len(want), 15, "the last JSON file", 0.2)
    rows = json_rows(folder)
    got = [row_of(r) for r in rows]
    tap.equal(len(got), len(want), "as many JSON rows as samples were sent")
    tap.ok(set(got) == want, "and each with its name, time and value", sorted(want - set(got))[:3], sorted(set(got) - want)[:3])
    tap.equal({(r["campaignName"], r["vehicleName"]) for r in rows}, {("out", "van")}, "under the campaign's and the vehicle's name")
    keys = [str(p.relative_to(folder)) for p in folder.rglob("*.json.gz")]
    named = re.compile(r"a/processed-data/year=20\d\d/month=\d\d/date=\d\d/hour=\d\d/part-0000-[0-9a-f]{40}\.json\.gz")
    tap.ok(len(keys) > 1 and all(named.fullmatch(k) for k in keys), "in FleetWise's folders, several windows", keys[:3])


def check_parquet(sender, begin_ms, objects):
    if not LIBRARY.exists():
        tap.skip("Parquet", "no DuckDB: run `make duckdb`")
        return
    want = want_rows(sender, begin_ms)
    files = str(objects / "fleet-parquet" / "processed-data" / "**" / "*.gz.parquet")
    duck = Duck()
    read = f"read_parquet('{files}', union_by_name = true, hive_partitioning = false)"

    def count():
        try:
            return int(duck.rows(f"SELECT count(*) FROM {read}")[0][0])
        except RuntimeError:
            return 0

    wait_for(lambda: count() >= len(want), 15, "the last Parquet file", 0.2)
    tap.equal(duck.rows(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {read}) ORDER BY 1"),
              [("campaignName", "VARCHAR"), ("collectionEventTime", "TIMESTAMP WITH TIME ZONE"), ("eventId", "VARCHAR"), ("measure_name", "VARCHAR"), ("measure_value_BIGINT", "BIGINT"),
               ("measure_value_DOUBLE", "DOUBLE"), ("measure_value_VARCHAR", "VARCHAR"), ("time", "TIMESTAMP WITH TIME ZONE"), ("vehicleName", "VARCHAR")],
              "DuckDB reads FleetWise's columns with their types")
    got = set()
    rows = duck.rows(f"SELECT eventId, measure_name, epoch_us(time), measure_value_BIGINT, measure_value_DOUBLE, measure_value_VARCHAR, epoch_ms(collectionEventTime) FROM {read}")
    for e, name, us, whole, real, text, event_ms in rows:
        got.add((e, name, int(us) / 1000, text if text is not None else float(whole if whole is not None else real)))
        if int(event_ms) != begin_ms + int(e) - 1:
            tap.ok(False, "the event's time is the event's", e, event_ms)
            return
    tap.equal(len(rows), len(want), "as many Parquet rows as samples were sent")
    tap.ok(got == want, "and each with its name, time and value, bit for bit", sorted(want - got)[:3], sorted(got - want)[:3])


def check_topic(platform, sender):
    messages = []
    for record in platform.journal("command"):
        if record["topic"] == "fleet/out":
            messages.append(record)
    tap.equal(len(messages), sender.next, "one message an event stands in the journal, through all kills")


def check_codes(platform, sender, vehicle):
    wait_for(lambda: platform.metric("motorcade_decoder_lag_ms") == 0, 30, "the decoder")
    codes = platform.api("GET", f"/api/v1/vehicles/{vehicle['id']}/trouble-codes")["items"]
    tap.equal([(c["code"], c["active"], c["reports"], c["episodes"], c["text"]) for c in codes], [("P0301", True, sender.next, 1, "misfire, cylinder 1")],
              "the trouble code is active, and each report counted once")
    tap.equal([c["vehicle_name"] for c in platform.api("GET", "/api/v1/trouble-codes?state=active&code=P0301")["items"]], ["van"], "the fleet's list has it, too")


def through_kills():
    chance = random.Random(SEED)
    tap.note(f"{KILLS} kills, seed {SEED}")
    platform = Platform(settings=["--delivery-s", "1"]).start()
    try:
        destinations = [{"kind": "s3", "bucket": "fleet-json", "prefix": "a", "format": "json"}, {"kind": "s3", "bucket": "fleet-parquet"}, {"kind": "mqtt", "topic": "fleet/out"}]
        campaign, manifest, signals, vehicle = set_up(platform, destinations)
        tap.equal([d["kind"] + d.get("format", "") for d in campaign["destinations"]], ["s3json", "s3parquet", "mqtt"], "the campaign tells its destinations")
        desk = RawMqtt(platform.dev, "desk")
        desk.subscribe("fleet/out", 1)
        begin_ms = int(time.time() * 1000) - 3600 * 1000
        sender = Sender(platform, lambda n: event(n, campaign, manifest, signals, begin_ms))
        sender.run(0.3)
        message = json.loads(next(RawMqtt.message(f, b)[2] for k, f, b in iter(desk.packet, None) if k == 3))
        tap.equal(sorted(message), ["campaignName", "collectionEventTime", "dimensions", "eventId", "msgId", "signals", "vehicleName"], "a message has FleetWise's seven members")
        tap.equal([s["value"] for s in message["signals"]["Vehicle.M.Count"]], [0, 1, 2, 3], "and its samples")
        for _ in range(KILLS):
            sender.run(chance.uniform(0.2, 1.2))
            platform.kill()
            platform.start()
        sender.run(0.5)
        sender.finish()
        tap.ok(not sender.unanswered and sender.next > 50, "everything was acknowledged in the end", len(sender.unanswered), sender.next)
        objects = platform.data / "objects"
        check_json(sender, begin_ms, objects)
        check_parquet(sender, begin_ms, objects)
        check_topic(platform, sender)
        check_codes(platform, sender, vehicle)
        statuses = lambda: platform.api("GET", f"/api/v1/campaigns/{campaign['id']}/destinations")["items"]  # noqa: E731
        wait_for(lambda: not any(s["waiting"] for s in statuses()), 10, "the outbox to be empty", 0.1)
        status = statuses()
        tap.equal([(s["kind"], s["place"], s["waiting"]) for s in status], [("s3", "fleet-json/a", 0), ("s3", "fleet-parquet/", 0), ("mqtt", "fleet/out", 0)], "nothing waits any more")
        tap.equal(platform.stop(), 0, "it stops cleanly")
        platform.command("backup", "--out", str(platform.base / "backup"))
        tap.equal(((platform.base / "backup" / "motorcade.db").exists(), (platform.base / "backup" / "objects").exists()), (True, False), "a backup leaves objects to whoever copies object stores")
    finally:
        platform.close()


def away_and_back():
    folder = None
    peer = None
    platform = Platform()
    try:
        folder = platform.base / "peer"
        folder.mkdir()
        (platform.base / "secret").write_text("Another/Secret+Of=Tests\n")
        start = lambda port: subprocess.Popen([sys.executable, str(ROOT / "tests/object/s3_peer.py"), "--dir", str(folder), "--port", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: E731
        peer = start(0)
        port = int(peer.stdout.readline().split()[1])
        peer.stdin.close()
        peer.wait(60)
        peer = None
        platform.settings = ["--delivery-s", "1", "--objects", f"http://127.0.0.1:{port}", "--objects-region", "test-1", "--objects-key", "AKIDSYSTEM", "--objects-secret", f"file:{platform.base}/secret"]
        platform.start()
        campaign, manifest, signals, _ = set_up(platform, [{"kind": "s3", "bucket": "fleet", "format": "json", "compression": "none"}])
        begin_ms = int(time.time() * 1000) - 3600 * 1000
        sender = Sender(platform, lambda n: event(n, campaign, manifest, signals, begin_ms))
        sender.run(0.3)
        sender.finish()
        status = lambda: platform.api("GET", f"/api/v1/campaigns/{campaign['id']}/destinations")["items"][0]  # noqa: E731
        wait_for(lambda: status()["waiting"] and status()["error"], 10, "the object to wait", 0.1)
        tap.holds(status()["error"], str(port), "a store that is away is told with its address")
        platform.command("backup", "--out", str(platform.base / "backup"))
        tap.ok(len(list((platform.base / "backup" / "outbox").iterdir())) > 0, "a backup holds the files that wait")
        peer = start(port)
        peer.stdout.readline()
        want = want_rows(sender, begin_ms)
        wait_for(lambda: len(json_rows(folder / "fleet")) >= len(want), 20, "the object to arrive", 0.2)
        tap.ok({row_of(r) for r in json_rows(folder / "fleet")} == want, "when it is back it gets everything, over signed requests")
        wait_for(lambda: not status()["waiting"] and not status()["error"], 10, "the outbox to be empty and its error gone", 0.1)
        tap.equal((status()["error"], status()["objects"] > 0), ("", True), "and all is well again")
    finally:
        if peer:
            peer.kill()
            peer.wait()
        platform.close()


tap.guard("through kills", through_kills)
tap.guard("away and back", away_and_back)
tap.done()
