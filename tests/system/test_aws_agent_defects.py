#!/usr/bin/env python3
"""What AWS's agent gets wrong, and that the platform works around it (contract fleetwise 12.2): the double of the agent fails with the documents that are made for motorcade's own agent - it gets
them when it claims to be that - and not with those that are made for it. Prints TAP."""
import sys
import time

import aws_sdk
from aws_agent_driver import Double
from platform_under_test import Platform, Tap, wait_for

tap = Tap()
DBC = """VERSION ""
NS_ :
BS_:
BU_: E
BO_ 256 ENGINE: 8 E
 SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] "rpm" E
 SG_ Trim : 24|16@1- (1,0) [-1000|1000] "" E
BO_ 512 WIDE: 8 E
 SG_ Total : 0|64@1+ (0.5,0) [0|0] "km" E
BO_ 768 MUX: 8 E
 SG_ Page M : 0|8@1+ (1,0) [0|3] "" E
 SG_ OnPageOne m1 : 8|8@1+ (1,0) [0|255] "" E
BO_ 1024 IEEE: 8 E
 SG_ Real : 0|32@1- (1,0) [-10|10] "" E
SIG_VALTYPE_ 1024 Real : 1;
BO_ 2364540158 EEC: 8 E
 SG_ Load : 16|8@1+ (1,0) [0|250] "%" E
BA_DEF_ BO_  "VFrameFormat" ENUM  "StandardCAN","ExtendedCAN","reserved","J1939PG";
BA_DEF_DEF_  "VFrameFormat" "StandardCAN";
BA_ "VFrameFormat" BO_ 2364540158 3;
"""
LOAD_ID = 2364540158
# Rpm 1000, Trim -100, Total 1.5 km, page 0 (so nothing of page one; its byte is 9), Real -1.5, Load 7.
BUS = ("every 50 can0 256 A00F009CFF000000", "every 50 can0 512 0300000000000000", "every 50 can0 768 0009000000000000", "every 50 can0 1024 0000C0BF00000000", f"every 50 can0 {LOAD_ID} 0000070000000000")
RPM, TRIM, REAL, PAGE = (f"$variable.`Vehicle.{s}`" for s in ("ENGINE.Rpm", "ENGINE.Trim", "IEEE.Real", "MUX.OnPageOne"))
# Name, condition; does it fire for an agent that is known, for one that claims to be ours; True, False, or the reason why it is not sent.
CONDITIONS = (
    ("int16", f"{TRIM} < -50", True, False),
    ("window", f"last_window_avg({RPM}) > 500", True, False),
    ("depth", " && ".join([f"{RPM} < {20000 + i}" for i in range(14)]), True, False),
    ("maximum", f"last_window_max({REAL}) < 0 && {RPM} > 1", "refused_for_agent", False),
    ("multiplex", f"{PAGE} > 8", "refused_for_agent", True),
)


def fired(agent):
    return {e["id"].rsplit("-", 1)[0] for e in agent.told("data")}


def latest(p, car):
    return {i["fqn"].split(".", 1)[1]: i["value"] for i in p.api("GET", f"/api/v1/vehicles/{car['id']}/latest")["items"] if "value" in i}


def reason(p, car, name):
    return next(c["reason"] for c in p.api("GET", f"/api/v1/vehicles/{car['id']}/campaigns")["items"] if c["name"] == name)


def beats(agent, count):
    """So many events of a campaign that has no condition: time enough for the others."""
    begin = agent.now()
    wait_for(lambda: sum(e["id"].startswith("beat-") for e in agent.told("data", begin)) >= count, 60, "its events")


def conditions(p, cars, known, claiming):
    wait_for(lambda: {c[0] for c in CONDITIONS if c[2] is True} <= fired(known), 60, "the conditions to fire")
    beats(known, 6)
    beats(claiming, 6)
    for name, _, right, wrong in CONDITIONS:
        tap.equal(name in fired(claiming), wrong, f"{name}: without a work-around the agent {'fires where it should not' if wrong else 'does not fire'}")
        if isinstance(right, bool):
            tap.equal(name in fired(known), right, f"{name}: with it the agent does what the condition says")
        else:
            tap.equal((reason(p, cars[0], name), name in fired(known)), (right, False), f"{name}: it is told instead of sent")


def values(p, cars):
    right = {"ENGINE.Rpm": 1000.0, "ENGINE.Trim": -100.0, "WIDE.Total": 1.5, "IEEE.Real": -1.5, "EEC.Load": 7.0}
    for i, car in enumerate(cars[:2]):
        wait_for(lambda car=car: {"ENGINE.Rpm", "WIDE.Total", "EEC.Load"} <= set(latest(p, car)), 30, f"values of vehicle {i}")
    tap.equal({k: v for k, v in latest(p, cars[0]).items() if k in right}, right, "values arrive as they are on the bus; masked ids as the one that was given")
    tap.equal("MUX.OnPageOne" in latest(p, cars[0]), False, "and none of a page that is not there")
    tap.equal(latest(p, cars[1]).get("MUX.OnPageOne"), 9, "without a work-around comes of page one what stands on page zero")


def before_ieee(p, cars, old, old_claiming):
    for agent in (old, old_claiming):
        beats(agent, 3)
    wait_for(lambda: "EEC.Load" in latest(p, cars[2]) and "IEEE.Real" in latest(p, cars[3]), 30, "their values")
    tap.equal("IEEE.Real" in latest(p, cars[2]), False, "IEEE 754 is not collected from an agent that says it is 1.1.2")
    tap.equal(latest(p, cars[3])["IEEE.Real"], 0xBFC00000, "which would have made a whole number of it")


ARN = "arn:aws:iotfleetwise:eu-central-1:000000000000:"


def made_by_aws(c):
    """What only FleetWise's own API can say: whole numbers of 64 bits with a fraction, text signals, partitions."""
    sensor = lambda name, kind: {"sensor": {"fullyQualifiedName": name, "dataType": kind}}  # noqa: E731
    c.create_signal_catalog(name="car", nodes=[{"branch": {"fullyQualifiedName": "Car"}}, sensor("Car.Total", "UINT64"), sensor("Car.Song", "STRING")])
    c.create_model_manifest(name="car", signalCatalogArn=ARN + "signal-catalog/car", nodes=["Car"])
    c.update_model_manifest(name="car", status="ACTIVE")
    half = {"messageId": 512, "isBigEndian": False, "isSigned": False, "startBit": 0, "offset": 0.0, "factor": 0.5, "length": 64}
    c.create_decoder_manifest(name="car", modelManifestArn=ARN + "model-manifest/car", networkInterfaces=[
        {"interfaceId": "can0", "type": "CAN_INTERFACE", "canInterface": {"name": "can0"}},
        {"interfaceId": "radio", "type": "CUSTOM_DECODING_INTERFACE", "customDecodingInterface": {"name": "radio"}}], signalDecoders=[
            {"fullyQualifiedName": "Car.Total", "type": "CAN_SIGNAL", "interfaceId": "can0", "canSignal": half},
            {"fullyQualifiedName": "Car.Song", "type": "CUSTOM_DECODING_SIGNAL", "interfaceId": "radio", "customDecodingSignal": {"id": "Song"}}])
    c.update_decoder_manifest(name="car", status="ACTIVE")
    c.create_state_template(name="now", signalCatalogArn=ARN + "signal-catalog/car", stateTemplateProperties=["Car.Total", "Car.Song"])
    for name in ("aws-known", "aws-claiming"):
        c.create_vehicle(vehicleName=name, modelManifestArn=ARN + "model-manifest/car", decoderManifestArn=ARN + "decoder-manifest/car",
                         stateTemplates=[{"identifier": "now", "stateTemplateUpdateStrategy": {"onChange": {}}}])
        c.create_campaign(name=f"store-{name}", signalCatalogArn=ARN + "signal-catalog/car", targetArn=ARN + f"vehicle/{name}",
                          collectionScheme={"conditionBasedCollectionScheme": {"expression": "$variable.`Car.Total` < 1.0", "minimumTriggerIntervalMs": 300, "triggerMode": "ALWAYS"}},
                          signalsToCollect=[{"name": "Car.Total", "dataPartitionId": "default"}], spoolingMode="TO_DISK",
                          dataPartitions=[{"id": "default", "storageOptions": {"maximumSize": {"unit": "TB", "value": 5}, "storageLocation": "deep", "minimumTimeToLive": {"unit": "DAYS", "value": 60}},
                                           "uploadOptions": {"expression": "$variable.`Car.Total` > 0.0"}}])
        c.update_campaign(name=f"store-{name}", action="APPROVE")


def by_aws(p, double):
    why = aws_sdk.ready()
    if why:
        tap.skip("what is made by FleetWise's own API", why)
        return
    made_by_aws(aws_sdk.client(p, aws_sdk.access_key(p, "defects", "admin")))
    vehicles = {v["name"]: v["id"] for v in p.api_all("/api/v1/vehicles")}
    known, claiming = (double(p.certificate(vehicles[name], name), claims=name == "aws-claiming") for name in ("aws-known", "aws-claiming"))
    tap.equal(known.wait("templates")["signals"], [1], "text is left out of a state template")
    tap.equal(claiming.wait("templates")["signals"], [2], "which the agent would take, and never send")
    claiming.wait("data", check=lambda e: e["id"].startswith("store-"))
    tap.ok(True, "without a work-around half kilometres of 64 bits are none, and 1.5 is below 1")
    known.wait("running", check=lambda e: any(i.startswith("store-") for i in e["ids"]))
    for _ in range(6):
        known.wait("checkin", since=known.now())
    tap.equal(known.told("data"), [], "with it, it is not")
    wraps = [e["text"] for e in claiming.told("defect")]
    tap.ok(any("partition of" in t for t in wraps) and any("life of" in t for t in wraps), "5 TB and 60 days wrap in an agent's 32 bits", wraps)
    tap.equal(known.told("defect"), [], "what is made for it never does")


def main():
    p = Platform().start()
    doubles, began = [], time.monotonic()

    def double(car, **static):
        doubles.append(Double(p.base / "agents" / car["name"], p.tls, car, static=static))
        doubles[-1].say(*BUS)
        return doubles[-1]

    try:
        p.api("POST", "/api/v1/manifests", {"name": "fleet", "interface": "can0", "dbc": DBC})
        cars = [p.vehicle(name, manifest="fleet") for name in ("known", "claiming", "old", "old-claiming")]
        for car in cars[2:]:
            p.api("PATCH", f"/api/v1/vehicles/{car['id']}/definition", {"attributes": {"agentVersion": "1.1.2"}, "attributeUpdateMode": "Merge"})
        every = [{"fqn": f"Vehicle.{s}"} for s in ("ENGINE.Rpm", "ENGINE.Trim", "WIDE.Total", "IEEE.Real", "EEC.Load", "MUX.OnPageOne")]
        body = {"target_kind": "all", "start_now": True}
        p.api("POST", "/api/v1/campaigns", {"name": "beat", "kind": "time", "period_ms": 300, "signals": every, **body})
        for name, expression, _, _ in CONDITIONS:
            p.api("POST", "/api/v1/campaigns", {"name": name, "kind": "condition", "expression": expression, "min_interval_ms": 300, "signals": every[:1], **body})
        known, claiming, old, old_claiming = double(cars[0]), double(cars[1], claims=True), double(cars[2], ieee=False), double(cars[3], ieee=False, claims=True)
        tap.guard("conditions", conditions, p, cars, known, claiming)
        tap.guard("values", values, p, cars)
        tap.guard("an older agent", before_ieee, p, cars, old, old_claiming)
        tap.guard("what AWS's API makes", by_aws, p, double)
        tap.note(f"{time.monotonic() - began:.1f} s")
    finally:
        for d in doubles:
            d.end()
        p.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
