#!/usr/bin/env python3
"""Structured signals through the whole house: a decoder manifest with a message of the vehicle's middleware, made with AWS's SDK; a campaign whose condition reads parts of it and that
collects parts and the whole; a real agent that reads CDR from a log, some of it damaged; history, JSON, Parquet and the topic have what was in the messages. Prints TAP."""
import json
import pathlib
import struct
import subprocess
import sys
import time

import aws_sdk
from duck import LIBRARY, Duck
from platform_under_test import EDGE, Platform, Tap, wait_for

tap = Tap()
ARN = "arn:aws:iotfleetwise:eu-central-1:000000000000:"
WHOLE, NEAREST, LABEL, COUNT = "Vehicle.Camera.Objects", "Vehicle.Camera.Objects.Boxes[0].Distance", "Vehicle.Camera.Objects.Boxes[0].Label", "Vehicle.Camera.Objects.Count"


def primitive(kind, **more):
    return {"primitiveMessageDefinition": {"ros2PrimitiveMessageDefinition": {"primitiveType": kind, **more}}}


def fields(**members):
    return {"structuredMessageDefinition": [{"fieldName": name, "dataType": kind} for name, kind in members.items()]}


BOXES = {"structuredMessageListDefinition": {"name": "boxes", "memberType": fields(Label=primitive("STRING"), Distance=primitive("FLOAT64")), "listType": "DYNAMIC_BOUNDED_CAPACITY", "capacity": 4}}
MESSAGE = fields(Count=primitive("UINT32"), Boxes=BOXES)


class Cdr:
    """CDR as ROS 2 writes it on a little endian machine: a second writer, so that ours is not tested with itself."""

    def __init__(self):
        self.bytes = bytearray()

    def put(self, form, value):
        size = struct.calcsize(form)
        self.bytes += bytes(-len(self.bytes) % size) + struct.pack("<" + form, value)
        return self

    def text(self, value):
        raw = value.encode() + b"\0"
        self.put("I", len(raw)).bytes += raw
        return self

    def hex(self):
        return "00010000" + bytes(self.bytes).hex()


def message(n):
    """Message n: n boxes modulo 4 (and its number); the nearest is a child at 5 m in every tenth, else a car far away."""
    boxes = [("child" if n % 10 == 5 else "car", 5.25 if n % 10 == 5 else 40.0 + n)] + [("tree", 80.5)] * (n % 4)
    cdr = Cdr().put("I", 4000000000 + n).put("I", len(boxes))
    for label, distance in boxes:
        cdr.text(label).put("d", distance)
    return cdr.hex(), {"Count": 4000000000 + n, "Boxes": [{"Label": label, "Distance": distance} for label, distance in boxes]}


MESSAGES = 60
LOG = "".join(f"({1700000000 + n / 20:.6f}) ros /camera/objects:demo/msg/Objects={message(n)[0] if n % 20 != 3 else message(n)[0][:-10]}\n"  # every twentieth is cut off
              f"({1700000000 + n / 20:.6f}) ros /camera/other:demo/msg/Other=00010000\n" for n in range(MESSAGES))
CHILDREN = [n for n in range(MESSAGES) if n % 10 == 5]


def control(platform):
    """Everything that a FleetWise user does, with AWS's SDK."""
    aws = aws_sdk.client(platform, aws_sdk.access_key(platform, "structures", "admin"))
    aws.create_signal_catalog(name="car", nodes=[
        {"struct": {"fullyQualifiedName": "Types.Box"}}, {"property": {"fullyQualifiedName": "Types.Box.Label", "dataType": "STRING"}},
        {"property": {"fullyQualifiedName": "Types.Box.Distance", "dataType": "DOUBLE"}}, {"struct": {"fullyQualifiedName": "Types.Objects"}},
        {"property": {"fullyQualifiedName": "Types.Objects.Count", "dataType": "UINT32"}},
        {"property": {"fullyQualifiedName": "Types.Objects.Boxes", "dataType": "STRUCT_ARRAY", "structFullyQualifiedName": "Types.Box"}},
        {"sensor": {"fullyQualifiedName": WHOLE, "dataType": "STRUCT", "structFullyQualifiedName": "Types.Objects"}}])
    aws.create_model_manifest(name="model", signalCatalogArn=ARN + "signal-catalog/car", nodes=[WHOLE])
    aws.update_model_manifest(name="model", status="ACTIVE")
    aws.create_decoder_manifest(name="decoder", modelManifestArn=ARN + "model-manifest/model",
                                networkInterfaces=[{"interfaceId": "ros", "type": "VEHICLE_MIDDLEWARE", "vehicleMiddleware": {"name": "ros", "protocolName": "ROS_2"}}],
                                signalDecoders=[{"fullyQualifiedName": WHOLE, "type": "MESSAGE_SIGNAL", "interfaceId": "ros",
                                                 "messageSignal": {"topicName": "/camera/objects:demo/msg/Objects", "structuredMessage": MESSAGE}}])
    aws.update_decoder_manifest(name="decoder", status="ACTIVE")
    device = platform.vehicle("van", manifest="decoder")
    s3 = {"bucketArn": "arn:aws:s3:::fleet", "dataFormat": "JSON", "storageCompressionFormat": "NONE", "prefix": "json"}
    aws.create_campaign(name="children", signalCatalogArn=ARN + "signal-catalog/car", targetArn=ARN + "vehicle/van", compression="SNAPPY",
                        collectionScheme={"conditionBasedCollectionScheme": {"expression": f"$variable.`{NEAREST}` < 10 && $variable.`{LABEL}` == 'child'", "triggerMode": "RISING_EDGE"}},
                        signalsToCollect=[{"name": NEAREST, "maxSampleCount": 1}, {"name": LABEL, "maxSampleCount": 1}, {"name": COUNT, "maxSampleCount": 1}, {"name": WHOLE, "maxSampleCount": 1}],
                        dataDestinationConfigs=[{"s3Config": s3}, {"s3Config": {"bucketArn": "arn:aws:s3:::fleet", "prefix": "parquet"}},
                                                {"mqttTopicConfig": {"mqttTopicArn": "arn:aws:iot:eu-central-1:000000000000:topic/fleet/children",
                                                                     "executionRoleArn": "arn:aws:iam::000000000000:role/x"}}])
    aws.update_campaign(name="children", action="APPROVE")
    return aws, device


def drive(platform, device):
    log = platform.base / "van.log"
    log.write_text(LOG)
    agent = subprocess.run([EDGE, "--endpoint", f"localhost:{platform.mqtt}", "--name", "van", "--cert", device["cert"], "--key", device["key"], "--ca", device["ca"], "--replay", str(log), "--speed", "10",
                            "--data", str(platform.base / "agent")], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    tap.equal(agent.returncode, 0, "an agent with a log of messages ends when all is acknowledged")
    tap.holds(agent.stdout + agent.stderr, "a structured message cannot be read", "it tells of damaged messages")


def rows_of(platform):
    rows = []
    for path in sorted((platform.data / "objects" / "fleet" / "json").rglob("*.json")):
        rows += [json.loads(line) for line in path.read_text().splitlines()]
    return rows


def check_files(platform):
    want = len(CHILDREN) * 4
    wait_for(lambda: len(rows_of(platform)) >= want, 20, "the last JSON file", 0.2)
    rows = rows_of(platform)
    values = lambda name, column: [r[column] for r in rows if r["measure_name"] == name]  # noqa: E731
    tap.equal(len(rows), want, "each event has a row of each part and one of the whole")
    tap.equal(sorted(values(NEAREST, "measure_value_DOUBLE")), [5.25] * len(CHILDREN), "numbers of parts are there under their names")
    tap.equal(values(LABEL, "measure_value_VARCHAR"), ["child"] * len(CHILDREN), "texts of parts, too")
    tap.equal(sorted(values(COUNT, "measure_value_BIGINT")), [4000000000 + n for n in CHILDREN], "whole numbers are whole")
    tap.equal(sorted(values(WHOLE, "measure_value_STRUCT"), key=lambda v: v["Count"]), [message(n)[1] for n in CHILDREN], "the whole is a struct, member by member")
    if not LIBRARY.exists():
        tap.skip("Parquet", "no DuckDB: run `make duckdb`")
        return
    duck = Duck()
    read = f"read_parquet('{platform.data}/objects/fleet/parquet/**/*.parquet', union_by_name = true, hive_partitioning = false)"

    def count():
        try:
            return int(duck.rows(f"SELECT count(*) FROM {read}")[0][0])
        except RuntimeError:
            return 0

    wait_for(lambda: count() >= want, 20, "the last Parquet file", 0.2)
    got = [json.loads(r[0]) for r in duck.rows(f"SELECT measure_value_STRUCT FROM {read} WHERE measure_name = '{WHOLE}' ORDER BY time")]
    tap.equal(got, [message(n)[1] for n in CHILDREN], "Parquet has the same structs")


def check_history(platform, device):
    car = device["id"]

    def latest():
        return {i["fqn"]: i.get("value", i.get("text")) for i in platform.api("GET", f"/api/v1/vehicles/{car}/latest")["items"]}

    wait_for(lambda: {NEAREST, LABEL, COUNT, WHOLE} <= set(latest()), 20, "the vehicle's picture")
    picture = latest()
    tap.equal((picture[NEAREST], picture[LABEL], picture[COUNT]), (5.25, "child", 4000000000 + CHILDREN[-1]), "the vehicle's picture has the parts")
    tap.equal(json.loads(picture[WHOLE]), message(CHILDREN[-1])[1], "and the whole")
    topics = [r for r in platform.journal("command") if r["topic"] == "fleet/children"]
    tap.equal(len(topics), len(CHILDREN), "the topic got one message an event")


def life(platform):
    aws, device = control(platform)
    tap.equal([s["name"] for s in aws.get_campaign(name="children")["signalsToCollect"]], [NEAREST, LABEL, COUNT, WHOLE], "AWS's face keeps the names of parts")
    try:
        aws.create_campaign(name="wrong", signalCatalogArn=ARN + "signal-catalog/car", targetArn=ARN + "vehicle/van", collectionScheme={"timeBasedCollectionScheme": {"periodMs": 10000}},
                            signalsToCollect=[{"name": WHOLE + ".Boxes[9].Distance"}])
        tap.ok(False, "an element beyond the list's capacity is refused")
    except aws.exceptions.ClientError as problem:
        tap.holds(str(problem), "at most 4", "an element beyond the list's capacity is refused")
    drive(platform, device)
    check_files(platform)
    check_history(platform, device)


def main():
    missing = aws_sdk.ready()
    if missing:
        tap.skip("structured signals through the whole house", missing)
        return tap.done()
    platform = Platform(settings=["--delivery-s", "1"])
    try:
        platform.start()
        began = time.monotonic()
        tap.guard("a life of structured signals", life, platform)
        tap.note(f"{time.monotonic() - began:.1f} s")
    finally:
        platform.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
