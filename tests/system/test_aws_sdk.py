#!/usr/bin/env python3
"""A FleetWise life told by AWS's own SDKs, first for Python, then for JavaScript (the command line: test_aws_cli.py): catalog, model, decoders, vehicles, fleet, state template, campaign, tags, the account - and everything deleted again.
Every operation that the server has is called, its answer parsed by the SDK and compared with the SDK's model member by member; every kind of exception is met. Prints TAP."""
import base64
import json
import os
import subprocess
import sys

import aws_sdk
from platform_under_test import Platform, Tap, npm_ready

tap = Tap()
NAME, FLEET, CAR = "life-1", "fleet-1", "car-1"
ARN = "arn:aws:iotfleetwise:eu-central-1:000000000000:"
DBC = b"""VERSION ""
BU_: ECU
BO_ 256 ENGINE: 8 ECU
 SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] "rpm" ECU
 SG_ Temp : 16|8@1+ (1,-40) [-40|215] "degC" ECU
"""
VSS = {"Vehicle": {"type": "branch", "description": "the car", "children": {
    "Speed": {"type": "sensor", "datatype": "float", "unit": "km/h", "description": "over ground"},
    "VIN": {"type": "attribute", "datatype": "string", "description": "number"}}}}


def sensor(name, kind="DOUBLE", **more):
    return {"sensor": {"fullyQualifiedName": name, "dataType": kind, **more}}


def can_decoder(name, start, interface="1"):
    return {"fullyQualifiedName": name, "type": "CAN_SIGNAL", "interfaceId": interface,
            "canSignal": {"messageId": 256, "isBigEndian": False, "isSigned": False, "startBit": start, "offset": 0.0, "factor": 0.5, "length": 8}}


INTERFACE = {"interfaceId": "1", "type": "CAN_INTERFACE", "canInterface": {"name": "can0", "protocolName": "CAN", "protocolVersion": "2.0A"}}


def steps():
    """(operation, input, check): the check gets the answer and is true when it says what it should. One story, from top to bottom."""
    yield "RegisterAccount", {}, lambda a: a["registerAccountStatus"] == "REGISTRATION_SUCCESS"
    yield "GetRegisterAccountStatus", {}, lambda a: a["customerAccountId"] == "000000000000"
    yield "PutLoggingOptions", {"cloudWatchLogDelivery": {"logType": "ERROR", "logGroupName": "fleet/errors"}}, None
    yield "GetLoggingOptions", {}, lambda a: a["cloudWatchLogDelivery"] == {"logType": "ERROR", "logGroupName": "fleet/errors"}
    yield "PutEncryptionConfiguration", {"encryptionType": "FLEETWISE_DEFAULT_ENCRYPTION"}, lambda a: a["encryptionStatus"] == "SUCCESS"
    yield "GetEncryptionConfiguration", {}, lambda a: a["encryptionType"] == "FLEETWISE_DEFAULT_ENCRYPTION"

    catalog = ARN + f"signal-catalog/{NAME}"
    yield ("CreateSignalCatalog", {"name": NAME, "description": "signals of a life", "tags": [{"Key": "team", "Value": "blue"}],
                                   "nodes": [{"branch": {"fullyQualifiedName": "Vehicle"}}, sensor("Vehicle.Speed", unit="km/h", min=0.0, max=300.0), sensor("Vehicle.Rpm"),
                                             sensor("Vehicle.Temp", "INT16"), sensor("Vehicle.Old"),
                                             {"attribute": {"fullyQualifiedName": "Vehicle.Color", "dataType": "STRING", "defaultValue": "red"}},
                                             {"actuator": {"fullyQualifiedName": "Vehicle.Horn", "dataType": "BOOLEAN"}}]}, lambda a: a["arn"] == catalog)
    yield ("UpdateSignalCatalog", {"name": NAME, "description": "changed", "nodesToAdd": [{"branch": {"fullyQualifiedName": "Vehicle.Cabin"}}, sensor("Vehicle.Cabin.Noise")],
                                   "nodesToUpdate": [sensor("Vehicle.Speed", unit="m/s")], "nodesToRemove": ["Vehicle.Old"]}, lambda a: a["name"] == NAME)
    yield "GetSignalCatalog", {"name": NAME}, lambda a: a["description"] == "changed" and a["nodeCounts"]["totalNodes"] == 8 and a["nodeCounts"]["totalSensors"] == 4
    yield ("ListSignalCatalogNodes", {"name": NAME}, lambda a: any(n.get("sensor", {}).get("unit") == "m/s" for n in a["nodes"]) and
           "Vehicle.Old" not in json.dumps(a["nodes"]))
    yield "ListSignalCatalogNodes", {"name": NAME, "signalNodeType": "ACTUATOR"}, lambda a: [n["actuator"]["fullyQualifiedName"] for n in a["nodes"]] == ["Vehicle.Horn"]
    yield "ImportSignalCatalog", {"name": "imported", "description": "from VSS", "vss": {"vssJson": json.dumps(VSS)}}, lambda a: a["name"] == "imported"
    yield "ListSignalCatalogs", {}, lambda a: {NAME, "imported"} <= {s["name"] for s in a["summaries"]}

    model = ARN + f"model-manifest/{NAME}"
    yield ("CreateModelManifest", {"name": NAME, "signalCatalogArn": catalog, "description": "a model",
                                   "nodes": ["Vehicle.Speed", "Vehicle.Rpm", "Vehicle.Color", "Vehicle.Horn"]}, lambda a: a["arn"] == model)
    yield ("UpdateModelManifest", {"name": NAME, "nodesToAdd": ["Vehicle.Temp"], "nodesToRemove": ["Vehicle.Horn"]}, lambda a: a["name"] == NAME)
    yield "UpdateModelManifest", {"name": NAME, "status": "ACTIVE"}, lambda a: a["arn"] == model
    yield "GetModelManifest", {"name": NAME}, lambda a: a["status"] == "ACTIVE" and a["signalCatalogArn"] == catalog
    yield "ListModelManifests", {"signalCatalogArn": catalog}, lambda a: [s["name"] for s in a["summaries"]] == [NAME]
    yield "ListModelManifestNodes", {"name": NAME}, lambda a: "Vehicle.Temp" in json.dumps(a["nodes"]) and "Vehicle.Horn" not in json.dumps(a["nodes"])

    decoder = ARN + f"decoder-manifest/{NAME}"
    yield ("CreateDecoderManifest", {"name": NAME, "modelManifestArn": model, "description": "how it decodes", "networkInterfaces": [INTERFACE],
                                     "signalDecoders": [can_decoder("Vehicle.Speed", 0), can_decoder("Vehicle.Rpm", 8), can_decoder("Vehicle.Temp", 16)]},
           lambda a: a["arn"] == decoder)
    yield ("UpdateDecoderManifest", {"name": NAME, "description": "better", "networkInterfacesToAdd": [{**INTERFACE, "interfaceId": "2"}],
                                     "signalDecodersToUpdate": [can_decoder("Vehicle.Temp", 24)]}, lambda a: a["name"] == NAME)
    yield ("CreateDecoderManifest", {"name": "from-dbc", "modelManifestArn": model, "networkInterfaces": [INTERFACE], "signalDecoders": [can_decoder("Vehicle.Speed", 0)]}, None)
    yield ("ImportDecoderManifest", {"name": "from-dbc", "networkFileDefinitions": [{"canDbc": {
        "networkInterface": "1", "canDbcFiles": [DBC], "signalsMap": {"Vehicle.Rpm": "Rpm", "Vehicle.Temp": "Temp"}}}]}, lambda a: a["name"] == "from-dbc")
    yield "UpdateDecoderManifest", {"name": NAME, "status": "ACTIVE"}, lambda a: a["arn"] == decoder
    yield "GetDecoderManifest", {"name": NAME}, lambda a: a["status"] == "ACTIVE" and a["description"] == "better" and a["modelManifestArn"] == model
    yield "ListDecoderManifests", {"modelManifestArn": model}, lambda a: {"from-dbc", NAME} == {s["name"] for s in a["summaries"]}
    yield ("ListDecoderManifestSignals", {"name": NAME}, lambda a: {s["fullyQualifiedName"]: s["canSignal"]["startBit"] for s in a["signalDecoders"]} ==
           {"Vehicle.Speed": 0, "Vehicle.Rpm": 8, "Vehicle.Temp": 24})
    yield "ListDecoderManifestNetworkInterfaces", {"name": NAME}, lambda a: [i["interfaceId"] for i in a["networkInterfaces"]] == ["1", "2"]

    template = ARN + f"state-template/{NAME}"
    yield ("CreateStateTemplate", {"name": NAME, "signalCatalogArn": catalog, "description": "what is true", "stateTemplateProperties": ["Vehicle.Speed", "Vehicle.Rpm"]},
           lambda a: a["name"] == NAME and a["id"])
    yield ("UpdateStateTemplate", {"identifier": NAME, "stateTemplatePropertiesToAdd": ["Vehicle.Temp"], "stateTemplatePropertiesToRemove": ["Vehicle.Rpm"]},
           lambda a: a["name"] == NAME)
    yield ("GetStateTemplate", {"identifier": NAME}, lambda a: sorted(a["stateTemplateProperties"]) == ["Vehicle.Speed", "Vehicle.Temp"] and a["signalCatalogArn"] == catalog)
    yield "ListStateTemplates", {}, lambda a: [s["name"] for s in a["summaries"]] == [NAME]

    item = {"modelManifestArn": model, "decoderManifestArn": decoder}
    yield ("CreateVehicle", {"vehicleName": CAR, **item, "attributes": {"Vehicle.Color": "blue"}, "tags": [{"Key": "a", "Value": "1"}]},
           lambda a: a["vehicleName"] == CAR and a["arn"] == ARN + f"vehicle/{CAR}" and a["thingArn"])
    yield ("BatchCreateVehicle", {"vehicles": [{"vehicleName": "car-2", **item}, {"vehicleName": "car-3", **item}, {"vehicleName": CAR, **item}]},
           lambda a: [v["vehicleName"] for v in a["vehicles"]] == ["car-2", "car-3"] and [e["vehicleName"] for e in a["errors"]] == [CAR])
    yield ("UpdateVehicle", {"vehicleName": CAR, "attributes": {"Vehicle.Color": "green"}, "attributeUpdateMode": "Merge", "stateTemplatesToAdd": [
        {"identifier": NAME, "stateTemplateUpdateStrategy": {"periodic": {"stateTemplateUpdateRate": {"unit": "SECOND", "value": 10}}}}]}, lambda a: a["vehicleName"] == CAR)
    yield ("BatchUpdateVehicle", {"vehicles": [{"vehicleName": "car-2", "attributes": {"Vehicle.Color": "white"}, "attributeUpdateMode": "Overwrite"}, {"vehicleName": "nobody"}]},
           lambda a: [v["vehicleName"] for v in a["vehicles"]] == ["car-2"] and [e["vehicleName"] for e in a["errors"]] == ["nobody"])
    yield ("GetVehicle", {"vehicleName": CAR}, lambda a: a["attributes"] == {"Vehicle.Color": "green"} and a["decoderManifestArn"] == decoder and
           a["stateTemplates"][0]["identifier"] == NAME)
    yield "ListVehicles", {"attributeNames": ["Vehicle.Color"], "attributeValues": ["white"]}, lambda a: [v["vehicleName"] for v in a["vehicleSummaries"]] == ["car-2"]

    fleet = ARN + f"fleet/{FLEET}"
    yield "CreateFleet", {"fleetId": FLEET, "signalCatalogArn": catalog, "description": "some cars"}, lambda a: a["id"] == FLEET and a["arn"] == fleet
    yield "UpdateFleet", {"fleetId": FLEET, "description": "all cars"}, None
    yield "GetFleet", {"fleetId": FLEET}, lambda a: a["description"] == "all cars" and a["signalCatalogArn"] == catalog
    yield "ListFleets", {}, lambda a: [f["id"] for f in a["fleetSummaries"]] == [FLEET]
    yield "AssociateVehicleFleet", {"vehicleName": CAR, "fleetId": FLEET}, None
    yield "AssociateVehicleFleet", {"vehicleName": "car-2", "fleetId": FLEET}, None
    yield "ListVehiclesInFleet", {"fleetId": FLEET}, lambda a: sorted(a["vehicles"]) == [CAR, "car-2"]
    yield "ListFleetsForVehicle", {"vehicleName": CAR}, lambda a: a["fleets"] == [FLEET]

    campaign = ARN + f"campaign/{NAME}"
    yield ("CreateCampaign", {"name": NAME, "description": "fast cars", "signalCatalogArn": catalog, "targetArn": fleet, "compression": "SNAPPY", "priority": 1,
                              "collectionScheme": {"conditionBasedCollectionScheme": {"expression": "$variable.`Vehicle.Speed` > 50.0", "minimumTriggerIntervalMs": 1000,
                                                                                      "triggerMode": "ALWAYS", "conditionLanguageVersion": 1}},
                              "signalsToCollect": [{"name": "Vehicle.Speed", "maxSampleCount": 10, "minimumSamplingIntervalMs": 100}, {"name": "Vehicle.Rpm"}],
                              "dataExtraDimensions": ["Vehicle.Color"], "tags": [{"Key": "cost", "Value": "low"}]}, lambda a: a["arn"] == campaign)
    yield "GetCampaign", {"name": NAME}, lambda a: a["status"] == "WAITING_FOR_APPROVAL" and a["targetArn"] == fleet and a["compression"] == "SNAPPY"
    yield "UpdateCampaign", {"name": NAME, "action": "APPROVE"}, lambda a: a["status"] == "RUNNING"
    yield ("GetVehicleStatus", {"vehicleName": CAR}, lambda a: [(c["campaignName"], c["vehicleName"], c["status"]) for c in a["campaigns"]] == [(NAME, CAR, "CREATED")] or
           a["campaigns"][0]["status"] in ("READY", "READY_FOR_CHECKIN"))
    yield "UpdateCampaign", {"name": NAME, "action": "SUSPEND"}, lambda a: a["status"] == "SUSPENDED"
    yield "UpdateCampaign", {"name": NAME, "action": "RESUME"}, lambda a: a["status"] == "RUNNING"
    yield "UpdateCampaign", {"name": NAME, "action": "UPDATE", "description": "faster cars"}, None
    yield "ListCampaigns", {"status": "RUNNING"}, lambda a: [(c["name"], c["description"]) for c in a["campaignSummaries"]] == [(NAME, "faster cars")]

    for kind, name in (("signal-catalog", NAME), ("model-manifest", NAME), ("decoder-manifest", NAME), ("vehicle", CAR), ("fleet", FLEET), ("campaign", NAME),
                       ("state-template", NAME)):
        arn = ARN + f"{kind}/{name}"
        yield "TagResource", {"ResourceARN": arn, "Tags": [{"Key": "colour", "Value": "rot"}, {"Key": "empty", "Value": ""}]}, None
        yield "ListTagsForResource", {"ResourceARN": arn}, lambda a: {"Key": "colour", "Value": "rot"} in a["Tags"] and {"Key": "empty", "Value": ""} in a["Tags"]
        yield "UntagResource", {"ResourceARN": arn, "TagKeys": ["colour", "empty", "unknown"]}, None
    yield "ListTagsForResource", {"ResourceARN": catalog}, lambda a: a["Tags"] == [{"Key": "team", "Value": "blue"}]
    yield "ListTagsForResource", {"ResourceARN": campaign}, lambda a: a["Tags"] == [{"Key": "cost", "Value": "low"}]
    yield "ListTagsForResource", {"ResourceARN": ARN + f"vehicle/{CAR}"}, lambda a: a["Tags"] == [{"Key": "a", "Value": "1"}]


def vehicle_in_javascript():
    """Of a vehicle without state templates."""
    yield "UpdateVehicle", {"vehicleName": "car-2", "attributes": {"Vehicle.Color": "black"}, "attributeUpdateMode": "Merge"}, None
    yield "GetVehicle", {"vehicleName": "car-2"}, lambda a: a["attributes"] == {"Vehicle.Color": "black"} and a["arn"].endswith("vehicle/car-2")


def endings():
    """Everything goes again, in the order that nothing is used any more."""
    yield "DeleteCampaign", {"name": NAME}, lambda a: a["name"] == NAME
    for car in (CAR, "car-2"):
        yield "DisassociateVehicleFleet", {"vehicleName": car, "fleetId": FLEET}, None
    yield "DeleteFleet", {"fleetId": FLEET}, lambda a: a["id"] == FLEET
    for car in (CAR, "car-2", "car-3"):
        yield "DeleteVehicle", {"vehicleName": car}, lambda a: a["vehicleName"].startswith("car-")
    yield "DeleteStateTemplate", {"identifier": NAME}, lambda a: a["name"] == NAME
    for name in ("from-dbc", NAME):
        yield "DeleteDecoderManifest", {"name": name}, None
    yield "DeleteModelManifest", {"name": NAME}, None
    for name in ("imported", NAME):
        yield "DeleteSignalCatalog", {"name": name}, None


def refusals():
    """(operation, input, exception, members that it must have): met while the life goes on, before it ends."""
    item = {"modelManifestArn": ARN + f"model-manifest/{NAME}", "decoderManifestArn": ARN + f"decoder-manifest/{NAME}"}
    yield "GetCampaign", {"name": "nobody"}, "ResourceNotFoundException", {"resourceId": "nobody", "resourceType": "campaign"}
    yield "ListTagsForResource", {"ResourceARN": ARN + "vehicle/nobody"}, "ResourceNotFoundException", {"resourceId": "nobody", "resourceType": "vehicle"}
    yield "CreateFleet", {"fleetId": FLEET, "signalCatalogArn": ARN + f"signal-catalog/{NAME}"}, "ConflictException", {"resource": FLEET, "resourceType": "fleet"}
    yield "DeleteSignalCatalog", {"name": NAME}, "ConflictException", {"resource": NAME}
    yield "UpdateModelManifest", {"name": NAME, "nodesToAdd": ["Vehicle.Horn"]}, "ConflictException", {"resource": NAME}
    yield ("CreateModelManifest", {"name": "bad", "signalCatalogArn": ARN + f"signal-catalog/{NAME}", "nodes": ["Vehicle.Nothing"]}, "InvalidSignalsException",
           {"invalidSignals": None})
    yield ("UpdateSignalCatalog", {"name": NAME, "nodesToAdd": [sensor("Vehicle.Speed.Below")]}, "InvalidNodeException", {"invalidNodes": None, "reason": None})
    yield ("CreateDecoderManifest", {"name": "bad", "modelManifestArn": item["modelManifestArn"], "networkInterfaces": [INTERFACE],
                                     "signalDecoders": [can_decoder("Vehicle.Speed", 0, "9")]}, "DecoderManifestValidationException", {"invalidSignals": None})
    yield "CreateVehicle", {"vehicleName": "bad", **item, "decoderManifestArn": "arn:aws:iotfleetwise:x:1:fleet/f"}, "ValidationException", {"reason": "fieldValidationFailed", "fieldList": None}
    yield "CreateSignalCatalog", {"name": "third"}, "LimitExceededException", {"resourceId": "third", "resourceType": "signal-catalog"}
    yield "UpdateCampaign", {"name": NAME, "action": "RESUME"}, "ConflictException", {"resource": NAME, "resourceType": "campaign"}


# ---- the telling ----

def wire(value):
    """An input as awsJson has it: bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {k: wire(v) for k, v in value.items()}
    return [wire(v) for v in value] if isinstance(value, list) else value


class Boto:
    """boto3, and the JSON that it was given."""

    def __init__(self, platform, key):
        from botocore import xform_name

        self.client = aws_sdk.client(platform, key)
        self.model = aws_sdk.model()
        self.method = {o: getattr(self.client, xform_name(o)) for o in self.model.operation_names}
        self.raw = {}
        self.client.meta.events.register("before-parse.iotfleetwise.*", self.keep)

    def keep(self, response_dict=None, **_):
        self.raw = json.loads(response_dict["body"] or b"{}")

    def call(self, operation, given):
        """The answer, and what of it the model does not allow."""
        answer = self.method[operation](**given)
        answer.pop("ResponseMetadata")
        shape = self.model.operation_model(operation).output_shape
        return answer, aws_sdk.conforms(shape, self.raw) if shape else [f"an answer where none is: {self.raw}"] if self.raw else []


class Node:
    """aws_client.mjs. What its model does not know, state templates, another teller says."""

    def __init__(self, platform, key, other):
        self.other, self.called = other, set()
        here = os.path.dirname(os.path.abspath(__file__))
        self.process = subprocess.Popen(["node", os.path.join(here, "aws_client.mjs"), f"http://127.0.0.1:{platform.http}/aws", key["id"], key["secret"]], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.operations = {o[0].upper() + o[1:] for o in json.loads(self.process.stdout.readline())["operations"]}

    def call(self, operation, given):
        templates = any(name.startswith("stateTemplates") for name in given) or (operation == "GetVehicle" and given["vehicleName"] == CAR)
        if templates or operation not in self.operations:
            return self.other.call(operation, given)
        self.called.add(operation)

        def revived(value):
            if isinstance(value, bytes):
                return {"base64": base64.b64encode(value).decode()}
            if isinstance(value, dict):
                return {k: revived(v) for k, v in value.items()}
            return [revived(v) for v in value] if isinstance(value, list) else value

        self.process.stdin.write(json.dumps({"operation": operation[0].lower() + operation[1:], "input": revived(given)}) + "\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        if "answer" not in said:
            raise RuntimeError(f"{said['code']}: {said['message']}")
        return said["answer"], []

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Life:
    def __init__(self, platform, key, teller):
        self.platform, self.key, self.teller = platform, key, teller
        self.called = set()

    def tell(self, story):
        for operation, given, check in story:
            self.called.add(operation)
            shown = f"{type(self.teller).__name__}: {operation} {json.dumps(wire(given))[:70]}"
            try:
                answer, wrong = self.teller.call(operation, given)
            except Exception as problem:  # noqa: BLE001 - whatever the SDK says is the diagnosis
                tap.ok(False, shown, f"{type(problem).__name__}: {problem}")
                continue
            right = False
            try:
                right = check is None or bool(check(answer))
            except Exception as problem:  # noqa: BLE001
                wrong.append(f"{type(problem).__name__}: {problem}")
            tap.ok(right and not wrong, shown, *wrong, answer)

    def refused(self, stories):
        for operation, given, exception, members in stories:
            try:
                answer = self.teller.call(operation, given)[0]
                tap.ok(False, f"{operation} is refused with {exception}", answer)
            except Exception as problem:  # noqa: BLE001
                said = getattr(problem, "response", {})
                right = type(problem).__name__ == exception and all(name in said and (value is None and said[name] or said[name] == value) for name, value in members.items())
                wrong = aws_sdk.conforms(self.teller.model.shape_for(exception), {k: v for k, v in self.teller.raw.items() if k != "__type"})
                tap.ok(right and not wrong and said["ResponseMetadata"]["HTTPStatusCode"] == 400, f"{operation} is refused with {exception}", problem, said, *wrong)

    def pages(self):
        """What a list gives in pages of one is what it gives at once; a token that no answer carried is refused."""
        for operation, given in [("ListSignalCatalogNodes", {"name": NAME}), ("ListModelManifestNodes", {"name": NAME}), ("ListDecoderManifestSignals", {"name": NAME}),
                                 ("ListDecoderManifestNetworkInterfaces", {"name": NAME}), ("ListSignalCatalogs", {}), ("ListDecoderManifests", {}), ("ListModelManifests", {}),
                                 ("ListVehicles", {}), ("ListVehiclesInFleet", {"fleetId": FLEET}), ("ListFleets", {}), ("ListFleetsForVehicle", {"vehicleName": CAR}),
                                 ("ListCampaigns", {}), ("ListStateTemplates", {}), ("GetVehicleStatus", {"vehicleName": CAR})]:
            name = [m for m, o in self.teller.client.meta.method_to_api_mapping.items() if o == operation][0]
            key = self.teller.client.get_paginator(name).result_keys[0].expression
            whole = self.teller.method[operation](**given)
            pages = list(self.teller.client.get_paginator(name).paginate(**given, PaginationConfig={"PageSize": 1}))
            one = [i for p in pages for i in p[key]]
            tap.ok(one == whole[key] and len(whole[key]) > 0 and all(len(p[key]) <= 1 for p in pages) and "nextToken" not in whole and "nextToken" not in pages[-1],
                   f"{operation}: {len(whole[key])} in pages of one", one, whole[key], [p.get("nextToken") for p in pages])
            answer = aws_sdk.send(self.platform, self.key, f"IoTAutobahnControlPlane.{operation}", json.dumps({**given, "nextToken": "%%%"}).encode())
            tap.ok(aws_sdk.code(answer) == "ValidationException" and answer[2]["fieldList"][0]["name"] == "nextToken", f"{operation}: a token that is none", answer)


def main():
    reason = aws_sdk.ready()
    if reason:
        tap.skip("the life of a fleet told by boto3", reason)
        tap.done()
    platform = Platform(settings=["--fleetwise-catalogs", "2"]).start()
    try:
        key = aws_sdk.access_key(platform, "sdk", "admin")
        names = sorted(aws_sdk.model().operation_names)
        missing = [o for o in names if aws_sdk.code(aws_sdk.send(platform, key, f"IoTAutobahnControlPlane.{o}", b'{"no such member":1}')) == "UnknownOperationException"]
        tap.ok(len(names) == aws_sdk.OPERATIONS and not missing, f"the server has all {aws_sdk.OPERATIONS} operations of the SDK", missing)
        boto = Boto(platform, key)
        life = Life(platform, key, boto)
        tap.guard("the life", life.tell, steps())
        tap.guard("refusals", life.refused, refusals())
        viewer = Life(platform, key, Boto(platform, aws_sdk.access_key(platform, "looks only", "viewer")))
        tap.guard("a viewer", viewer.refused, [("DeleteCampaign", {"name": NAME}, "AccessDeniedException", {"message": None})])
        tap.guard("pages", life.pages)
        tap.guard("the end", life.tell, endings())
        tap.equal(sorted(life.called), names, "each of them was called")
        if npm_ready():
            node = Node(platform, key, boto)
            again = Life(platform, key, node)
            tap.guard("the life in JavaScript", again.tell, steps())
            tap.guard("what it says of a vehicle", again.tell, vehicle_in_javascript())
            tap.guard("its end", again.tell, endings())
            tap.ok(node.operations <= set(names) and node.called == node.operations and len(node.operations) == 52, "JavaScript called all operations that it knows",
                   sorted(node.operations - node.called))
            node.close()
        else:
            tap.skip("the life of a fleet told by JavaScript", "no node or npm")
    finally:
        platform.close()
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
