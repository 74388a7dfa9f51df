#!/usr/bin/env python3
"""The double of AWS's agent against the platform, in the scenario groups of contract 15.5 that fit: it converges over the shared TLS port, delivers, is stopped and moved, is hurt by
documents that the platform did not mean for it, is killed, loses the platform, is refused a subscription, and knows last known state and commands. Prints TAP."""
import datetime
import sys
import time

from aws_agent_driver import Double
from aws_agent_wire import Message, write
from platform_under_test import Platform, Tap, wait_for
from raw_mqtt import RawMqtt

tap = Tap()
DBC = """VERSION ""
NS_ :
BS_:
BU_: E
BO_ 256 ENGINE: 8 E
 SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] "rpm" E
 SG_ Temp : 16|8@1+ (1,-40) [-40|215] "degC" E
 SG_ Trim : 24|16@1- (1,0) [-1000|1000] "" E
BO_ 2566842880 LOAD: 8 E
 SG_ Torque : 7|16@0+ (1,0) [0|65535] "Nm" E
BO_ 512 WIDE: 8 E
 SG_ Total : 0|64@1+ (0.5,0) [0|0] "km" E
BO_ 768 MUX: 8 E
 SG_ Page M : 0|8@1+ (1,0) [0|3] "" E
 SG_ OnPageOne m1 : 8|8@1+ (1,0) [0|255] "" E
BO_ 1024 IEEE: 8 E
 SG_ Real : 0|32@1- (1,0) [-10|10] "" E
SIG_VALTYPE_ 1024 Real : 1;
"""
SECOND = 'BO_ 300 CABIN: 8 E\n SG_ Light : 0|8@1+ (1,0) [0|100] "" E\n'
BUS = ("every 50 can0 256 A00F649CFF000000", "every 50 can0 2566842880 1234000000000000", "every 50 can0 512 0300000000000000", "every 50 can0 768 0107000000000000",
       "every 50 can0 1024 0000C03F00000000")
VALUES = {"Vehicle.ENGINE.Rpm": 1000.0, "Vehicle.ENGINE.Temp": 60.0, "Vehicle.ENGINE.Trim": -100.0, "Vehicle.LOAD.Torque": 4660.0, "Vehicle.WIDE.Total": 1.5, "Vehicle.IEEE.Real": 1.5}
RPM, TRIM, REAL, PAGE = (f"$variable.`Vehicle.{s}`" for s in ("ENGINE.Rpm", "ENGINE.Trim", "IEEE.Real", "MUX.OnPageOne"))


def campaign(p, name, expression=None, signals=("Vehicle.ENGINE.Rpm",), **more):
    kind = {"kind": "time", "period_ms": 500} if expression is None else {"kind": "condition", "expression": expression, "min_interval_ms": 500}
    body = {"name": name, "target_kind": "manifest", "target": "fleet", "start_now": True, "signals": [{"fqn": s} for s in signals], **kind, **more}
    return p.api("POST", "/api/v1/campaigns", body)


def stands(p, car):
    return {c["name"]: (c["status"], c["reason"]) for c in p.api("GET", f"/api/v1/vehicles/{car['id']}/campaigns")["items"]}


def becomes(p, car, name, want, text, seconds=30):
    try:
        wait_for(lambda: stands(p, car).get(name) == want, seconds, text, 0.1)
    except TimeoutError:
        pass
    tap.equal(stands(p, car).get(name), want, text)


def events(p, car):
    seen = {}
    for e in p.api("GET", f"/api/v1/vehicles/{car['id']}/events?limit=500")["items"]:
        seen[e["campaign_name"]] = seen.get(e["campaign_name"], 0) + 1
    return seen


def latest(p, car):
    return {i["fqn"]: i.get("value", i.get("text")) for i in p.api("GET", f"/api/v1/vehicles/{car['id']}/latest")["items"]}


# ---- check-in, schemes, unknown signals, functions ----
def converges(p, car, agent):
    connected = agent.wait("connected")
    tap.equal(connected["alpn"], "x-amzn-mqtt-ca", "the shared TLS port takes the agent by its ALPN name, with mutual TLS")
    tap.equal(agent.wait("subscribed")["topics"], 6, "all six subscriptions are granted")
    tap.equal(agent.wait("checkin")["ids"], [], "a virgin's first check-in lists nothing")
    held = agent.wait("manifest")
    tap.equal(held["signals"], 7, "the multiplexed signal is left out of its manifest; its switch stays")
    agent.wait("checkin", check=lambda e: held["id"] in e["ids"] and len(e["ids"]) > 1)
    becomes(p, car, "beat", ("HEALTHY", "confirmed"), "the check-in after confirms")
    agent.say(*BUS)
    wait_for(lambda: set(VALUES) <= set(latest(p, car)), 30, "data of every signal")
    tap.equal({k: v for k, v in latest(p, car).items() if k in VALUES}, VALUES, "29-bit ids, Motorola, signs, IEEE 754 and half kilometres of 64 bits arrive as they are on the bus")
    ids = {e["id"].rsplit("-", 1)[0] for e in agent.told("data")}
    tap.ok("beat" in ids, "snappy as the campaign says", ids)


def conditions(p, car, agent, campaigns):
    """Each was sent in a form that this agent computes rightly, or is told why not."""
    want = {"int16", "window", "deep", "text"}
    begun = time.monotonic()
    try:
        wait_for(lambda: {"int16", "window", "deep"} <= set(events(p, car)), 30, "the conditions to fire", 0.2)
    except TimeoutError:
        pass
    seen = events(p, car)
    tap.ok("int16" in seen, "an INT16 condition fires: it is typed INT32 for this agent", seen)
    tap.ok("window" in seen, "a window alone fires: a comparison that always holds stands beside it", seen)
    tap.ok("deep" in seen, "fourteen conditions in a row are balanced into ten levels", seen)
    tap.ok("edge" not in seen and "low" not in seen, "a rising edge over a constant, and what never holds, do not", seen)
    tomorrow = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    begin = agent.now()
    campaigns.append(campaign(p, "later", start=tomorrow))
    agent.wait("schemes", since=begin, check=lambda e: any(i.startswith("later-") for i in e["ids"]))
    for _ in range(3):
        agent.wait("checkin", since=agent.now())
    at = stands(p, car)
    tap.equal((at["mux"], at["maximum"]), (("READY", "refused_for_agent"), ("READY", "refused_for_agent")), "what this agent would drop or compute wrongly is not sent, and told")
    tap.equal(at["later"], ("READY_FOR_CHECKIN", "not_started"), "a campaign of tomorrow is not listed, which is no loss")
    tap.equal(len([e for e in agent.documents(begin) if e["event"] == "schemes"]), 1, "and it was sent once")
    sizes = {e["snappy"] for e in agent.told("data") if e["id"].startswith("plain-")}
    tap.equal(sizes, {False}, "plain where the campaign says so")
    tap.note(f"{len(want & set(seen))} kinds fired after {time.monotonic() - begun:.1f} s")


def nothing_is_sent_twice(agent):
    begin = agent.now()
    for _ in range(3):
        agent.wait("checkin", since=agent.now())
    tap.equal(agent.documents(begin), [], "who holds what he should is sent nothing")


# ---- what the platform did not mean: silence, and the way back ----
def hurt(p, car, agent):
    """Under the prefix of the second cloud, where the desk may speak for the platform; below $aws/ nobody may."""
    desk = RawMqtt(p.dev, "desk")
    topic = f"cms/fleetwise/vehicles/{car['name']}/"
    agent.say(*BUS)
    agent.wait("data", since=agent.now())
    begin = agent.now()
    for name, payload in (("collection_schemes", b"\x0a\xff"), ("collection_schemes", b""), ("decoder_manifests", b"\x0a\x01x"), ("last_known_states/config", b"\xff")):
        desk.publish_and_wait(topic + name, payload)
    wait_for(lambda: len(agent.told("rejected", begin)) >= 4, 30, "four rejections")
    agent.wait("data", since=agent.now())
    tap.equal(stands(p, car)["beat"], ("HEALTHY", "confirmed"), "broken and empty documents change nothing, and nobody is told")
    begin = agent.now()
    desk.publish_and_wait(topic + "collection_schemes", bytes.fromhex("0a240a0263311203646d311880d095ffbc312080adf180bd312a0308e8074a040801100a60011080d095ffbc31"))
    agent.wait("running", since=begin, ids=[])
    tap.ok(True, "a campaign for another manifest stops all of them")
    agent.wait("running", since=begin, check=lambda e: len(e["ids"]) > 3)
    becomes(p, car, "beat", ("HEALTHY", "confirmed"), "the next check-ins bring all of them back")
    held = agent.told("manifest")[-1]["id"]
    zero = Message("CollectionScheme", campaign_sync_id="zero", decoder_manifest_sync_id=held, expiry_time_ms_epoch=1 << 45, time_based=Message("TimeBased", period_ms=500),
                   signal_information=[Message("SignalInformation", signal_id=1)])
    begin = agent.now()
    desk.publish_and_wait(topic + "collection_schemes", write(Message("CollectionSchemes", collection_schemes=[zero], timestamp_ms_epoch=1)))
    told = agent.wait("defect", since=begin)
    tap.ok("abandoned" in told["text"], "a buffer for no samples makes the agent give up; the platform sends none", told)
    agent.wait("running", since=begin, check=lambda e: len(e["ids"]) > 3)
    becomes(p, car, "beat", ("HEALTHY", "confirmed"), "a campaign that is not ours is taken off again")
    desk.close()


def stop_and_go(p, car, agent, campaigns):
    begin = agent.now()
    for one in campaigns:
        p.api("POST", f"/api/v1/campaigns/{one['id']}/status", {"status": "suspended"})
    agent.wait("schemes", since=begin, ids=[])
    tap.ok(True, "the last one goes with an empty list")
    becomes(p, car, "beat", ("SUSPENDED", "suspended"), "and the vehicle confirms that it is gone")
    begin = agent.now()
    for one in campaigns:
        p.api("POST", f"/api/v1/campaigns/{one['id']}/status", {"status": "running"})
    agent.wait("running", since=begin, check=lambda e: any(i.startswith("beat-") for i in e["ids"]))
    begin = agent.now()
    p.api("POST", "/api/v1/manifests", {"name": "fleet", "interface": "can1", "dbc": SECOND})
    held = agent.wait("manifest", since=begin)
    agent.wait("checkin", since=begin, check=lambda e: held["id"] in e["ids"] and any(i.startswith("beat-") for i in e["ids"]))
    becomes(p, car, "beat", ("HEALTHY", "confirmed"), "another manifest takes the campaigns with it")


# ---- network ----
def killed(agent):
    begin = agent.now()
    agent.kill()
    agent.start()
    first = agent.wait("checkin", since=begin)
    tap.ok(any(i.startswith("beat-") for i in first["ids"]), "after kill -9 its first check-in lists what it kept", first)
    for _ in range(2):
        agent.wait("checkin", since=agent.now())
    tap.equal(agent.documents(begin), [], "and nothing is sent again")
    agent.say(*BUS)


def platform_lost(p, car, agent):
    agent.wait("data", since=agent.now(), check=lambda e: e["id"].startswith("kept-"))
    begin = agent.now()
    p.kill()
    agent.wait("gone", since=begin)
    agent.wait("kept", since=begin, check=lambda e: not e["file"].startswith("command-"))
    p.start()
    agent.wait("sent again", since=begin)
    kept = [e["file"] for e in agent.told("kept", begin)]
    wait_for(lambda: set(e["file"] for e in agent.told("sent again", begin)) >= set(kept[:1]), 30, "what was kept")
    events_of = {int(file.split("-")[0]) for file in kept[:1]}
    wait_for(lambda: events_of <= {e["event_id"] for e in p.api("GET", f"/api/v1/vehicles/{car['id']}/events?limit=500")["items"]}, 30, "its event")
    tap.ok(True, "what was collected while the platform was away is there when it is back")
    tap.equal([t for t in p.api("GET", f"/api/v1/vehicles/{car['id']}/campaigns")["troubles"] if t["kind"] not in ("repeated", "campaign_unknown", "ids_unknown")], [], "nothing of it is wrong")


# ---- transport: what is refused, other prefixes ----
def refused(p, car, agent):
    agent.wait("refused")
    agent.wait("refused", since=agent.now())
    tap.equal((agent.told("checkin"), stands(p, car)["beat"]), ([], ("READY", "never_checked_in")), "one refused subscription, and the agent says nothing at all: the platform tells that it never came")
    agent.end()


def with_jobs(p, car, agent):
    tap.equal(agent.wait("subscribed")["topics"], 14, "a build with jobs gets its fourteen subscriptions, $aws/events among them")
    becomes(p, car, "beat", ("HEALTHY", "confirmed"), "and converges under the prefix of the second cloud")


# ---- last known state, commands ----
def states(p, car, agent):
    path = f"/api/v1/vehicles/{car['id']}/templates"
    p.api("POST", "/api/v1/templates", {"name": "now", "signals": ["Vehicle.ENGINE.Rpm", "Vehicle.ENGINE.Temp", "Vehicle.WIDE.Total"]})
    p.api("POST", path, {"template": "now", "period_ms": 0})
    agent.wait("templates")
    wait_for(lambda: p.api("GET", path)["items"][0]["state"] == "healthy", 30, "the template to be confirmed", 0.1)
    tap.equal(agent.told("state"), [], "a template that was given is silent")

    def command(want, **body):
        made = p.api("POST", path + "/now/commands", body)["id"]
        done = lambda: next(c for c in p.api("GET", path)["commands"] if c["id"] == made)  # noqa: E731
        wait_for(lambda: done()["status"] not in ("sent", "in_progress"), 30, "an answer", 0.05)
        tap.equal((done()["status"], done()["reason"]), want, f"{body['action']} is answered")

    command(("succeeded", 0), action="activate")
    agent.wait("state")
    command(("succeeded", 16), action="activate")
    begin = agent.now()
    agent.say("every 50 can0 256 400F649CFF000000")
    agent.wait("state", since=begin)
    wait_for(lambda: latest(p, car).get("Vehicle.ENGINE.Rpm") == 976.0, 30, "the changed value")
    tap.ok(True, "a change is known at once")
    begin = agent.now()
    agent.kill()
    agent.start()
    agent.wait("checkin", since=begin)
    begin = agent.now()
    agent.say(*BUS)
    agent.wait("state", since=begin)
    tap.ok(True, "an active template lives through kill -9")
    command(("succeeded", 0), action="fetch")
    command(("succeeded", 0), action="deactivate")
    command(("succeeded", 17), action="deactivate")
    p.api("DELETE", path + "/now")
    agent.wait("templates", since=begin, ids=[])
    tap.ok(True, "a template that is taken away goes")


def main():
    p = Platform()
    doubles = []

    def double(car, **connection):
        doubles.append(Double(p.base / "agents" / f"{car['name']}-{len(doubles)}", p.tls, car, **connection))
        return doubles[-1]

    try:
        p.start()
        began = time.monotonic()
        p.api("POST", "/api/v1/manifests", {"name": "fleet", "interface": "can0", "dbc": DBC})
        cars = [p.vehicle(f"car-{i}", manifest="fleet") for i in (1, 2, 3)]
        row = " && ".join([f"{RPM} < {20000 + i}" for i in range(14)])
        campaigns = [campaign(p, "beat", signals=tuple(VALUES)), campaign(p, "int16", f"{TRIM} < -50"), campaign(p, "window", f"last_window_avg({RPM}) > 500"), campaign(p, "deep", row),
                     campaign(p, "edge", f"{RPM} > 500", rising_edge=True), campaign(p, "low", f"{RPM} < 10"), campaign(p, "mux", f"{PAGE} > 1"),
                     campaign(p, "maximum", f"last_window_max({REAL}) > 1"), campaign(p, "plain", compress=False), campaign(p, "kept", persist=True)]
        tap.equal(stands(p, cars[0])["beat"], ("READY", "never_checked_in"), "before the agent comes it is told so")
        first = double(cars[0])
        third = double(cars[2], jobs=True, iotFleetWiseTopicPrefix="cms/fleetwise/", commandsTopicPrefix="cms/commands/")
        second = double(cars[1], jobs=True, jobsTopicPrefix="$aws/things/car-1/not-")
        tap.guard("convergence", converges, p, cars[0], first)
        tap.guard("conditions", conditions, p, cars[0], first, campaigns)
        tap.guard("nothing twice", nothing_is_sent_twice, first)
        tap.guard("a refused subscription", refused, p, cars[1], second)
        tap.guard("jobs and another prefix", with_jobs, p, cars[2], third)
        tap.guard("documents from elsewhere", hurt, p, cars[2], third)
        tap.guard("last known state", states, p, cars[0], first)
        tap.guard("stop, go, another manifest", stop_and_go, p, cars[0], first, campaigns)
        tap.guard("the agent is killed", killed, first)
        tap.guard("the platform is killed", platform_lost, p, cars[0], first)
        tap.equal([e for d in doubles for e in d.told("defect") if d is not third], [], "nothing that was sent made an agent abandon or drop anything")
        tap.note(f"{time.monotonic() - began:.1f} s")
    finally:
        for d in doubles:
            d.end()
        p.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
