#!/usr/bin/env python3
"""A FleetWise user's whole way with the AWS command line and nothing but another endpoint: VSS and DBC imported, a vehicle in a fleet, a campaign approved; the double of AWS's agent is the vehicle, and
what it sends can be read. Prints TAP."""
import json
import sys

import aws_sdk
from aws_agent_driver import Double
from platform_under_test import Platform, Tap, wait_for

tap = Tap()
ARN = "arn:aws:iotfleetwise:eu-central-1:000000000000:"
VSS = {"Vehicle": {"type": "branch", "description": "the car", "children": {"Speed": {"type": "sensor", "datatype": "double", "unit": "km/h", "description": "over ground"}}}}
DBC = 'VERSION ""\nBU_: E\nBO_ 256 ABS: 8 E\n SG_ Speed : 0|16@1+ (0.5,0) [0|300] "km/h" E\n'
SCHEME = {"conditionBasedCollectionScheme": {"expression": "$variable.`Vehicle.Speed` > 50.0", "minimumTriggerIntervalMs": 500, "triggerMode": "ALWAYS"}}
# The first version of the command line takes blobs as they are, and encodes them itself.
FILES = [{"canDbc": {"networkInterface": "1", "canDbcFiles": [DBC], "signalsMap": {"Vehicle.Speed": "Speed"}}}]
INTERFACE = [{"interfaceId": "1", "type": "CAN_INTERFACE", "canInterface": {"name": "can0"}}]
STORY = (
    ("import-signal-catalog", "--name", "cat", "--vss", json.dumps({"vssJson": json.dumps(VSS)})),
    ("create-model-manifest", "--name", "model", "--nodes", "Vehicle", "--signal-catalog-arn", ARN + "signal-catalog/cat"),
    ("update-model-manifest", "--name", "model", "--status", "ACTIVE"),
    ("create-decoder-manifest", "--name", "decoder", "--model-manifest-arn", ARN + "model-manifest/model", "--network-interfaces", json.dumps(INTERFACE)),
    ("import-decoder-manifest", "--name", "decoder", "--network-file-definitions", json.dumps(FILES)),
    ("update-decoder-manifest", "--name", "decoder", "--status", "ACTIVE"),
    ("create-vehicle", "--vehicle-name", "car", "--model-manifest-arn", ARN + "model-manifest/model", "--decoder-manifest-arn", ARN + "decoder-manifest/decoder"),
    ("create-fleet", "--fleet-id", "blue", "--signal-catalog-arn", ARN + "signal-catalog/cat"),
    ("associate-vehicle-fleet", "--vehicle-name", "car", "--fleet-id", "blue"),
    ("create-campaign", "--name", "watch", "--signal-catalog-arn", ARN + "signal-catalog/cat", "--target-arn", ARN + "fleet/blue", "--collection-scheme", json.dumps(SCHEME),
     "--signals-to-collect", json.dumps([{"name": "Vehicle.Speed", "maxSampleCount": 5}])),
    ("update-campaign", "--name", "watch", "--action", "APPROVE"),
)


def tell(p, run, doubles):
    for words in STORY:
        done = run(*words)
        if not tap.ok(done.returncode == 0, f"aws iotfleetwise {words[0]}", done.stdout, done.stderr):
            return
    car = next(v for v in p.api_all("/api/v1/vehicles") if v["name"] == "car")
    agent = Double(p.base / "agent", p.tls, p.certificate(car["id"], "car"))
    doubles.append(agent)
    agent.say("every 50 1 256 C800000000000000")
    agent.wait("data")

    def status():
        done = run("get-vehicle-status", "--vehicle-name", "car")
        return [(c["campaignName"], c["status"]) for c in json.loads(done.stdout)["campaigns"]] if done.returncode == 0 else done.stderr

    wait_for(lambda: status() == [("watch", "HEALTHY")], 60, "HEALTHY", 0.1)
    tap.ok(True, "aws iotfleetwise get-vehicle-status says HEALTHY")
    latest = lambda: [i["value"] for i in p.api("GET", f"/api/v1/vehicles/{car['id']}/latest")["items"] if i["fqn"] == "Vehicle.Speed"]  # noqa: E731
    wait_for(lambda: latest() == [100.0], 30, "the speed")
    tap.ok(True, "and the speed that the vehicle sent is there")
    done = run("list-tags-for-resource", "--resource-arn", ARN + "vehicle/nobody")
    tap.ok(done.returncode != 0 and "ResourceNotFoundException" in done.stderr, "an exception is told by its name", done.stderr)


def main():
    p, doubles = Platform().start(), []
    try:
        run, reason = aws_sdk.command_line(p, aws_sdk.access_key(p, "cli", "admin"))
        if reason:
            tap.skip("the AWS command line", reason)
        else:
            tap.guard("the command line", tell, p, run, doubles)
    finally:
        for d in doubles:
            d.end()
        p.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
