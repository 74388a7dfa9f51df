#!/usr/bin/env python3
"""Vehicles that are broken or mean: check-ins that are none, ids and signals that nobody made, other manifests, events in parts and twice, clocks gone mad, messages that expand. Each is counted for
the vehicle and in all, and a good vehicle beside it, a double of AWS's agent, notices nothing, nor does the next start. Prints TAP."""
import struct
import sys
import time

from aws_agent_driver import Double
from aws_agent_mqtt import Mqtt5
from aws_agent_wire import Message, compress, expand, write
from platform_under_test import Platform, Tap, wait_for
from vehicle_data import field, varint, vehicle_data

tap = Tap()
DBC = 'VERSION ""\nNS_ :\nBS_:\nBU_: E\nBO_ 256 ENGINE: 8 E\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] "rpm" E\n'
METRICS = {"checkin_unreadable": "motorcade_checkins_unreadable", "ids_unknown": "motorcade_checkin_ids_unknown", "ids_dropped": "motorcade_checkin_ids_dropped",
           "data_unreadable": "motorcade_telemetry_undecodable", "campaign_unknown": "motorcade_telemetry_unknown_campaigns", "manifest_unknown": "motorcade_telemetry_unknown_manifests",
           "signal_unknown": "motorcade_telemetry_unknown_signals", "clock_strayed": "motorcade_telemetry_samples_strayed", "repeated": "motorcade_telemetry_repeats"}
HOUR, DAY = 3_600_000, 86_400_000
IDS_READ = 4096


class Bad:
    """A vehicle of its own certificate that says what it likes, below its own name."""

    def __init__(self, p, device):
        self.p, self.device, self.event = p, device, 0
        self.up = f"$aws/iotfleetwise/vehicles/{device['name']}/"
        self.mqtt = Mqtt5("localhost", p.tls, device["name"], device["ca"], device["cert"], device["key"])

    def say(self, topic, payload, reason=0):
        """One message; its acknowledgement is waited for. It stays connected whatever it says."""
        self.mqtt.publish(topic, payload, "said")
        until = time.monotonic() + 30
        while time.monotonic() < until:
            got = self.mqtt.next(1)
            if got and got[0] == "acked":
                if got[2] & 0x80 != reason & 0x80:
                    raise AssertionError(f"{topic}: acknowledged with {got[2]:#x}")
                return
        raise TimeoutError(f"no acknowledgement of {len(payload)} bytes to {topic}")

    def checkin(self, payload):
        self.say(self.up + "checkins", payload)

    def data(self, payload):
        self.say(self.up + "signals", payload)

    def samples(self, samples, campaign=None, manifest=None, at=None, event=None):
        """A VehicleData of samples (relative ms, signal, value); by default of the campaign and manifest that all vehicles have, now, and of a new event."""
        self.event += 1
        return vehicle_data(campaign or self.campaign, manifest or self.manifest, self.event if event is None else event, int(time.time() * 1000) if at is None else at, samples)

    def troubles(self):
        return {t["kind"]: t["count"] for t in self.p.api("GET", f"/api/v1/vehicles/{self.device['id']}/campaigns")["troubles"]}

    def counted(self, act, text, **want):
        """What `act` adds to the counters of the vehicle, and to those of all. Where it should add nothing, a check-in that is none follows it: all is read in its order."""
        if not want:
            return self.counted(lambda: (act(), self.checkin(b"\xff")), text, checkin_unreadable=1)
        before, before_all = self.troubles(), {k: self.p.metric(m) for k, m in METRICS.items()}
        act()

        def added():
            now = self.troubles()
            return {k: now[k] - before.get(k, 0) for k in now if now[k] != before.get(k, 0)}

        try:
            wait_for(lambda: added() == want, 30, text, 0.05)
        except TimeoutError:
            pass
        tap.equal(added(), want, text)
        in_all = {k: self.p.metric(METRICS[k]) - before_all[k] for k in want if k in METRICS}
        seen = dict(want, data_unreadable=want.get("data_unreadable", 0) + want.get("checkin_unreadable", 0))  # a check-in that is none is undecodable, too
        return tap.ok(all(in_all[k] == seen[k] for k in in_all), "  and in the metrics", in_all, seen)


def bomb(head, pair, times):
    """A snappy block of head and so many times two bytes, in copies of 64."""
    copies, rest = divmod(times - 1, 32)
    literal = head + pair + pair * rest
    return varint(len(head) + 2 * times) + bytes([60 << 2 | 4, len(literal) - 1 & 255, len(literal) - 1 >> 8]) + literal + b"\xfe\x02\x00" * copies


def nested(levels):
    out = b""
    for _ in range(levels):
        out = field(3, out)
        if len(out) > 120_000:
            break
    return out


def checkins(bad):
    def unreadable():
        for payload in (b"\xff", b"\x0a\x05ab", b"\x0b\x0c", b"\x0a\x02\xff\xfe", b"\x0d\x01", b"\x10" + b"\xff" * 11):
            bad.checkin(payload)

    bad.counted(unreadable, "check-ins that are none", checkin_unreadable=6)
    bad.counted(lambda: bad.checkin(b"".join(field(1, f"id-{i}".encode()) for i in range(10000)) + b"\x10\x01"), "ten thousand ids: so many are read, the rest is dropped",
                ids_unknown=IDS_READ, ids_dropped=10000 - IDS_READ)
    bad.counted(lambda: bad.checkin(b"\x0a\x00" * 60000), "a bomb of empty ids", ids_unknown=IDS_READ, ids_dropped=60000 - IDS_READ)
    bad.counted(lambda: bad.checkin(field(1, b"x" * 120_000)), "an id of 120,000 letters", ids_unknown=1)
    bad.counted(lambda: bad.checkin(nested(20000)), "fields in fields that nobody knows are passed over")
    bad.counted(lambda: bad.checkin(b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "a clock at the end of time")


def unknown(bad):
    bad.counted(lambda: bad.data(bad.samples([(0, 9_999_999, 1.0), (0, 0, 1.0), (0, 1 << 31 | 1, 1.0), (0, bad.signal, 700.0)])), "signal ids that nobody has are left out", signal_unknown=3)
    bad.counted(lambda: bad.data(bad.samples([(0, bad.signal, 701.0)], manifest="fleet-0000000000000000")), "another manifest: the value stays as it came", manifest_unknown=1)
    bad.counted(lambda: bad.data(bad.samples([(0, bad.signal, 702.0)], campaign="nobody-0")), "a campaign that nobody made", campaign_unknown=1)
    path = f"/api/v1/vehicles/{bad.device['id']}/latest"
    wait_for(lambda: [i["value"] for i in bad.p.api("GET", path)["items"] if i["fqn"] == "Vehicle.ENGINE.Rpm"] == [702.0], 30, "the latest value")
    tap.ok(True, "what is right in such messages is kept")


def events(bad):
    return {e["event_id"]: (e["messages"], e["samples"]) for e in bad.p.api("GET", f"/api/v1/vehicles/{bad.device['id']}/events?limit=500")["items"]}


def parts_and_repeats(bad):
    at = int(time.time() * 1000)
    parts = [bad.samples([(-i, bad.signal, 800.0 + i)], at=at, event=77) for i in range(3)]

    def say():
        for part in parts:
            bad.data(part)

    bad.counted(say, "an event in three parts is no repeat")
    bad.counted(say, "the same three again are", repeated=3)
    wait_for(lambda: events(bad).get(77) == (3, 3), 30, "one event of three parts")
    tap.ok(True, "and it stays one event of three messages")


def clocks(bad):
    now = int(time.time() * 1000)
    bad.counted(lambda: bad.data(bad.samples([(0, bad.signal, 900.0)], at=now + 400 * DAY)), "a clock a year ahead: kept, never the latest", clock_ahead=1)
    for at in (1 << 63, (1 << 64) - 1):
        bad.counted(lambda at=at: bad.data(bad.samples([(0, bad.signal, 1.0)], at=at)), f"a time of {at} ms", data_unreadable=1)
    bad.counted(lambda: bad.data(bad.samples([(-(1 << 62), bad.signal, 1.0)])), "a sample before all time", data_unreadable=1)
    far = [(-HOUR * (200 + i), bad.signal, 1.0) for i in range(1500)]
    begun = bad.troubles().get("clock_strayed", 0)
    bad.data(bad.samples(far))
    wait_for(lambda: bad.troubles().get("clock_strayed", 0) > begun, 30, "samples that stray")
    strayed = bad.troubles()["clock_strayed"] - begun
    tap.ok(400 <= strayed < 1500, "samples in 1,500 hours of the past: some hundreds are taken, the rest is left out", strayed)
    bad.counted(lambda: bad.data(bad.samples([(0, bad.signal, 901.0)])), "and a clock that is right again is right")


def bombs(bad):
    def snappy(length, rest):
        return varint(length) + rest

    for name, payload in (("a block that says it holds 4 GiB", snappy((1 << 32) - 1, b"\x00a")), ("one that says it holds a little too much", snappy((16 << 20) + 7, b"\x00a")),
                          ("one that copies from before its beginning", snappy(64, b"\xfe\x00\x01")), ("bytes of no kind", bytes(range(256)) * 400)):
        bad.counted(lambda payload=payload: bad.data(payload), f"snappy: {name}", data_unreadable=1)
    head = field(1, bad.campaign.encode()) + field(2, bad.manifest.encode())
    empty = bomb(head + b"\x18\x07\x20" + varint(int(time.time() * 1000)), b"\x2a\x00", 1_200_000)
    tap.ok(len(empty) < 131072, f"1.2 million empty samples fit into {len(empty)} bytes")
    tap.equal(expand(bomb(b"head", b"ab", 100)), b"head" + b"ab" * 100, "such a block is one")
    bad.counted(lambda: bad.data(empty), "and are counted as what they are", signal_unknown=1_200_000)
    bad.counted(lambda: bad.data(bomb(head, b"\x2a\x00", 7_800_000)), "millions of them are more than one message may hold", data_unreadable=1)
    bad.counted(lambda: bad.data(head + field(3, b"")), "a field of another wire type", data_unreadable=1)
    bad.counted(lambda: bad.data(head + nested(20000)), "fields in fields that nobody knows", data_unreadable=1)
    path = field(2, field(1, b"\x01" * 100_000))
    bad.counted(lambda: bad.data(head + field(5, b"\x08\x00" + field(10, b"\x08" + varint(bad.signal) + path) + b"\x19" + struct.pack("<d", 1.0))), "a path of 100,000 steps", signal_unknown=1)
    bad.counted(lambda: bad.data(head + field(6, field(2, b"P0301") * 10000)), "ten thousand trouble codes of no time")


def states_and_answers(bad):
    stuff = write(Message("LastKnownStateData", collection_event_time_ms_epoch=int(time.time() * 1000), state_template_information=[
        Message("StateTemplateInformation", state_template_sync_id="nobody", captured_signals=[Message("StateSignal", signal_id=bad.signal, double=1.0)])]))
    bad.counted(lambda: bad.say(bad.up + "last_known_states/data", compress(stuff)), "states of a template that nobody made", template_unknown=1)
    bad.counted(lambda: bad.say(bad.up + "last_known_states/data", b"\xff\xff\xff\xff\x0f\x00a"), "states that say they hold 4 GiB", data_unreadable=1)
    answer = write(Message("CommandResponse", status=1, command_id="nobody"))
    bad.counted(lambda: bad.say(f"$aws/commands/things/{bad.device['name']}/executions/nobody/response/protobuf", answer), "an answer to no command", command_unknown=1)


def strangers(bad, good):
    for topic in (f"$aws/iotfleetwise/vehicles/{good['name']}/checkins", f"$aws/iotfleetwise/vehicles/{good['name']}/signals", bad.up + "decoder_manifests", bad.up + "collection_schemes"):
        bad.say(topic, b"\x10\x01", reason=0x80)
    tap.ok(True, "another's name, and the platform's own topics, are refused")


def good_all_along(p, car, agent, since):
    """What the good one is told, and what comes of it."""
    stands = lambda: {c["name"]: c["status"] for c in p.api("GET", f"/api/v1/vehicles/{car['id']}/campaigns")["items"]}  # noqa: E731
    sent = agent.wait("data", since=agent.now())["event_id"]
    ids = lambda: {e["event_id"] for e in p.api("GET", f"/api/v1/vehicles/{car['id']}/events?limit=500")["items"]}  # noqa: E731
    wait_for(lambda: sent in ids(), 30, "its event")
    tap.equal((stands(), agent.told("gone", since), agent.documents(since)), ({"beat": "HEALTHY"}, [], []), "the good vehicle stays connected and healthy, and is sent nothing anew")
    missing = {e["event_id"] for e in agent.told("data", since)[-100:-5]} - ids()
    tap.equal(missing, set(), "each of its events is there")
    tap.equal(p.api("GET", f"/api/v1/vehicles/{car['id']}/campaigns")["troubles"], [], "and it has no trouble")


def resident_mib(p):
    with open(f"/proc/{p.process.pid}/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def main():
    p = Platform().start()
    doubles, began = [], time.monotonic()
    try:
        p.api("POST", "/api/v1/manifests", {"name": "fleet", "interface": "can0", "dbc": DBC})
        good, rogue = (p.vehicle(name, manifest="fleet") for name in ("good", "bad"))
        p.api("POST", "/api/v1/campaigns", {"name": "beat", "target_kind": "manifest", "target": "fleet", "start_now": True, "kind": "time", "period_ms": 200, "signals": [{"fqn": "Vehicle.ENGINE.Rpm"}]})
        agent = Double(p.base / "agent", p.tls, good)
        doubles.append(agent)
        agent.say("every 50 can0 256 A00F000000000000")
        agent.wait("data")
        bad = Bad(p, rogue)
        bad.campaign, bad.manifest = agent.told("running")[-1]["ids"][0], agent.told("manifest")[-1]["id"]
        bad.signal = next(s["id"] for s in p.api("GET", "/api/v1/signals?limit=100")["items"] if s["fqn"] == "Vehicle.ENGINE.Rpm")
        for _ in range(2):
            agent.wait("checkin", since=agent.now())
        since, resident = agent.now(), resident_mib(p)
        for name, part in (("check-ins", checkins), ("unknown ids", unknown), ("parts and repeats", parts_and_repeats), ("clocks", clocks), ("bombs", bombs), ("states and answers", states_and_answers)):
            tap.guard(name, part, bad)
        tap.guard("strangers", strangers, bad, good)
        tap.guard("the good vehicle", good_all_along, p, good, agent, since)
        grown = resident_mib(p) - resident
        tap.ok(grown < 400, "memory stays bounded", f"{grown:.0f} MiB more")
        begin = agent.now()
        p.kill()
        agent.wait("gone", since=begin)
        p.start()
        agent.wait("subscribed", since=begin)
        agent.wait("data", since=agent.now())
        tap.guard("after a start", good_all_along, p, good, agent, agent.now())
        tap.note(f"{time.monotonic() - began:.1f} s, {grown:.0f} MiB more")
    finally:
        for d in doubles:
            d.end()
        p.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
