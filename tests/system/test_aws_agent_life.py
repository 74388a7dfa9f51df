#!/usr/bin/env python3
"""A FleetWise user's whole way with what AWS gives him: boto3 makes catalog, model, decoders, vehicle, fleet and campaign, the double of AWS's agent collects, and what it sent is in files as FleetWise
has them, in the vehicle's status, and among its trouble codes (OBD and, by a fetch, UDS). Prints TAP."""
import gzip
import json
import sys
import time

import aws_sdk
from aws_agent_driver import Double
from platform_under_test import Platform, Tap, wait_for

tap = Tap()
ARN = "arn:aws:iotfleetwise:eu-central-1:000000000000:"
UDS = {"DetectedDTCs": [{"ECUID": "01", "DTCAndSnapshot": {"DTCStatusAvailabilityMask": "FF", "dtcCodes": [{"DTC": "030113", "DTCSnapshotRecord": "0102", "DTCExtendedData": ""}]}}]}


def set_up(c):
    sensor = lambda name, kind: {"sensor": {"fullyQualifiedName": name, "dataType": kind}}  # noqa: E731
    c.create_signal_catalog(name="cat", nodes=[{"branch": {"fullyQualifiedName": "Vehicle"}}, sensor("Vehicle.Speed", "DOUBLE"), sensor("Vehicle.Trim", "INT16"),
                                               sensor("Vehicle.DTC_INFO", "STRING"), {"attribute": {"fullyQualifiedName": "Vehicle.Color", "dataType": "STRING"}}])
    c.create_model_manifest(name="model", signalCatalogArn=ARN + "signal-catalog/cat", nodes=["Vehicle"])
    c.update_model_manifest(name="model", status="ACTIVE")

    def can(name, start, signed):
        signal = {"messageId": 256, "isBigEndian": False, "isSigned": signed, "startBit": start, "offset": 0.0, "factor": 0.5 if not signed else 1.0, "length": 16}
        return {"fullyQualifiedName": name, "type": "CAN_SIGNAL", "interfaceId": "1", "canSignal": signal}

    c.create_decoder_manifest(name="decoder", modelManifestArn=ARN + "model-manifest/model", networkInterfaces=[
        {"interfaceId": "1", "type": "CAN_INTERFACE", "canInterface": {"name": "can0", "protocolName": "CAN", "protocolVersion": "2.0A"}},
        {"interfaceId": "UDS_DTC", "type": "CUSTOM_DECODING_INTERFACE", "customDecodingInterface": {"name": "uds"}}], signalDecoders=[
            can("Vehicle.Speed", 0, False), can("Vehicle.Trim", 16, True),
            {"fullyQualifiedName": "Vehicle.DTC_INFO", "type": "CUSTOM_DECODING_SIGNAL", "interfaceId": "UDS_DTC", "customDecodingSignal": {"id": "Vehicle.DTC_INFO"}}])
    c.update_decoder_manifest(name="decoder", status="ACTIVE")
    c.create_vehicle(vehicleName="car", modelManifestArn=ARN + "model-manifest/model", decoderManifestArn=ARN + "decoder-manifest/decoder", attributes={"Vehicle.Color": "red"})
    c.create_fleet(fleetId="blue", signalCatalogArn=ARN + "signal-catalog/cat")
    c.associate_vehicle_fleet(vehicleName="car", fleetId="blue")
    c.create_campaign(name="watch", signalCatalogArn=ARN + "signal-catalog/cat", targetArn=ARN + "fleet/blue", diagnosticsMode="SEND_ACTIVE_DTCS", compression="SNAPPY",
                      collectionScheme={"conditionBasedCollectionScheme": {"expression": "$variable.`Vehicle.Speed` > 50.0 && $variable.`Vehicle.Trim` < 0", "minimumTriggerIntervalMs": 500,
                                                                           "triggerMode": "ALWAYS", "conditionLanguageVersion": 1}},
                      signalsToCollect=[{"name": "Vehicle.Speed", "maxSampleCount": 5}, {"name": "Vehicle.DTC_INFO"}], dataExtraDimensions=["Vehicle.Color"],
                      signalsToFetch=[{"fullyQualifiedName": "Vehicle.DTC_INFO", "signalFetchConfig": {"timeBased": {"executionFrequencyMs": 500}},
                                       "actions": ["custom_function('DTC_QUERY', -1, 2, -1)"]}],
                      dataDestinationConfigs=[{"s3Config": {"bucketArn": "arn:aws:s3:::fleet-out", "dataFormat": "JSON", "storageCompressionFormat": "GZIP", "prefix": "out"}}])


def status(c):
    return [(s["campaignName"], s["status"]) for s in c.get_vehicle_status(vehicleName="car")["campaigns"]]


def rows(p):
    out = []
    for path in (p.data / "objects" / "fleet-out").rglob("*.json.gz"):
        out += [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    return out


def life(p, c, doubles):
    set_up(c)
    car = next(v for v in p.api_all("/api/v1/vehicles") if v["name"] == "car")
    device = p.certificate(car["id"], "car")
    tap.equal(status(c), [("watch", "CREATED")], "before approval the campaign is created on the vehicle")
    c.update_campaign(name="watch", action="APPROVE")
    agent = Double(p.base / "agent", p.tls, device)
    doubles.append(agent)
    agent.say("every 50 1 256 C8009CFF00000000", "codes P0143", "uds " + json.dumps(UDS))
    wait_for(lambda: status(c) == [("watch", "HEALTHY")], 30, "HEALTHY", 0.1)
    tap.ok(True, "GetVehicleStatus goes to HEALTHY by the agent's check-in")
    asked = agent.wait("fetch")
    tap.equal((asked["function"], asked["arguments"]), ("DTC_QUERY", [-1.0, 2.0, -1.0]), "the agent fetches by the action that the campaign names")
    wait_for(lambda: {r["measure_name"] for r in rows(p)} >= {"Vehicle.Speed", "Vehicle.OBD.DTCList"}, 30, "a file with rows", 0.2)
    speed = next(r for r in rows(p) if r["measure_name"] == "Vehicle.Speed")
    tap.equal((speed["campaignName"], speed["vehicleName"], speed["measure_value_DOUBLE"], speed["Vehicle.Color"]), ("watch", "car", 100.0, "red"), "rows have FleetWise's columns and the dimension")
    codes = lambda: {t["code"]: t["active"] for t in p.api("GET", f"/api/v1/vehicles/{car['id']}/trouble-codes")["items"]}  # noqa: E731
    wait_for(lambda: {"P0143", "P0301-13"} <= set(codes()), 30, "the codes", 0.1)
    tap.equal(codes(), {"P0143": True, "P0301-13": True}, "trouble codes by OBD and by UDS are in the vehicle's history")
    begin = agent.now()
    c.update_campaign(name="watch", action="SUSPEND")
    wait_for(lambda: status(c) == [("watch", "SUSPENDED")], 30, "SUSPENDED", 0.1)
    agent.wait("running", ids=[], since=begin)
    begin = agent.now()
    c.update_campaign(name="watch", action="RESUME")
    agent.wait("running", since=begin, check=lambda e: e["ids"])
    wait_for(lambda: status(c) == [("watch", "HEALTHY")], 30, "HEALTHY again", 0.1)
    begin = agent.now()
    c.delete_campaign(name="watch")
    agent.wait("running", since=begin, ids=[])
    wait_for(lambda: status(c) == [], 30, "the campaign to be gone", 0.1)
    tap.ok(True, "suspended, resumed and deleted, the agent follows")


def main():
    reason = aws_sdk.ready()
    if reason:
        tap.skip("a whole life", reason)
        tap.done()
    p, doubles, began = Platform(settings=["--delivery-s", "1"]).start(), [], time.monotonic()
    try:
        tap.guard("a whole life", life, p, aws_sdk.client(p, aws_sdk.access_key(p, "life", "admin")), doubles)
        tap.equal([e for d in doubles for e in d.told("defect")], [], "nothing that was sent made the agent abandon or drop anything")
        tap.note(f"{time.monotonic() - began:.1f} s")
    finally:
        for d in doubles:
            d.end()
        p.close()
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
