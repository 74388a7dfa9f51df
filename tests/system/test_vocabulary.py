#!/usr/bin/env python3
"""Catalogs, models, decoder manifests, vehicles and fleets from the command line, and what is left of them after a kill -9. Prints TAP."""
import json
import pathlib
import tempfile

from platform_under_test import Platform, Tap

tap = Tap()
platform = Platform()
folder = pathlib.Path(tempfile.mkdtemp(prefix="mc-vocabulary-"))


def file(name, value):
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def listed(*arguments):
    return json.loads(platform.command(*arguments, "--json"))


def refused(part, *arguments):
    done = platform.command(*arguments, check=False)
    tap.ok(done.returncode and part in done.stderr + done.stdout, f"{' '.join(arguments[:3])} is refused with {part!r}", done.stderr)


def catalogs():
    nodes = [{"sensor": {"fullyQualifiedName": "V.Speed", "dataType": "FLOAT", "unit": "km/h"}}, {"sensor": {"fullyQualifiedName": "V.Gear", "dataType": "INT8"}}]
    platform.command("catalog", "create", "cars", "--file", file("nodes.json", {"nodes": nodes}), "--description", "ours")
    tree = "Vehicle:\n  type: branch\n  description: all\nVehicle.Speed:\n  type: sensor\n  datatype: float\n  unit: km/h\n  description: how fast\n"
    platform.command("catalog", "import", "--vss", file("tree.vspec", tree), "--catalog", "tree")
    tap.equal([c["name"] for c in listed("catalog", "catalogs")], ["cars", "tree"], "a list of nodes and a vspec file become catalogs")
    table = platform.command("catalog", "nodes", "cars")
    tap.ok("V.Gear" in table and "INT8" in table and "km/h" in table, "its nodes are shown as a table", table)
    tap.ok("how fast" in platform.command("catalog", "nodes", "tree"), "the tree's descriptions came along")
    platform.command("catalog", "update", "cars", "--file", file("more.json", {"nodesToAdd": [{"attribute": {"fullyQualifiedName": "V.Kind", "dataType": "STRING"}}]}))
    tap.equal(json.loads(platform.command("catalog", "show", "cars"))["nodeCounts"]["totalAttributes"], 1, "a node is added")
    refused("V.Speed", "catalog", "update", "cars", "--file", file("again.json", {"nodesToAdd": nodes[:1]}))
    refused("not a JSON object", "catalog", "update", "cars", "--file", file("list.json", [1]))
    refused("usage: motorcade catalog", "catalog", "update")


def models():
    platform.command("model", "create", "m", "--catalog", "cars", "--file", file("model.json", {"nodes": ["V"]}))
    tap.ok("DRAFT" in platform.command("model", "list"), "a model begins as a draft")
    refused("ACTIVE", "decoder", "create", "d", "--model", "m")
    platform.command("model", "update", "m", "--status", "ACTIVE")
    tap.ok("V.Speed" in platform.command("model", "list", "m"), "a branch stands for what is below it")
    platform.command("decoder", "create", "d", "--model", "m")
    decoder = {"fullyQualifiedName": "V.Speed", "type": "CAN_SIGNAL", "interfaceId": "can0",
               "canSignal": {"messageId": 256, "isBigEndian": False, "isSigned": False, "startBit": 0, "offset": 0, "factor": 0.01, "length": 16}}
    refused("V.Speed: SIGNAL_NOT_ASSOCIATED_WITH_NETWORK_INTERFACE", "decoder", "update", "d", "--file", file("alone.json", {"signalDecodersToAdd": [decoder]}))
    whole = {"signalDecodersToAdd": [decoder], "networkInterfacesToAdd": [{"interfaceId": "can0", "type": "CAN_INTERFACE", "canInterface": {"name": "can0"}}]}
    platform.command("decoder", "update", "d", "--file", file("whole.json", whole))
    refused("V.Gear: NO_DECODER_INFO_FOR_SIGNAL_IN_MODEL", "decoder", "update", "d", "--status", "ACTIVE")
    platform.command("decoder", "update", "d", "--status", "ACTIVE", "--file", file("default.json", {"defaultForUnmappedSignals": "CUSTOM_DECODING"}))
    tap.ok("ACTIVE" in platform.command("decoder", "list"), "a decoder manifest becomes active")
    tap.ok("CAN_SIGNAL" in platform.command("decoder", "list", "d") and "CAN_INTERFACE" in platform.command("decoder", "interfaces", "d"), "decoders and interfaces are listed")
    refused("made for it", "model", "delete", "m")


def vehicles():
    arn = "arn:aws:iotfleetwise:local:000000000000:"
    for name in ("car-1", "car-2"):
        platform.command("vehicle", "create", name)
        platform.command("vehicle", "define", name, "--file",
                         file("define.json", {"decoderManifestArn": arn + "decoder-manifest/d", "attributes": {"colour": "red"}, "attributeUpdateMode": "Merge"}))
    known = json.loads(platform.command("vehicle", "definition", "car-1"))
    tap.equal((known["attributes"], known["modelManifestArn"]), ({"colour": "red"}, arn + "model-manifest/m"), "a vehicle has a manifest and attributes")
    platform.command("fleet", "create", "north", "--catalog", "cars")
    platform.command("fleet", "add", "north", "car-1")
    platform.command("fleet", "add", "north", "car-2")
    tap.equal(listed("fleet", "list", "north"), ["car-1", "car-2"], "a fleet lists its vehicles")
    platform.command("fleet", "remove", "north", "car-2")
    refused("nobody", "fleet", "add", "north", "nobody")
    refused("vehicles", "fleet", "delete", "north")
    refused("vehicles use it", "decoder", "delete", "d")
    platform.command("vehicle", "delete", "car-2")
    refused("car-2", "vehicle", "definition", "car-2")


def after_a_kill():
    platform.kill()
    platform.start()
    tap.equal(listed("fleet", "list", "north"), ["car-1"], "after kill -9 the fleet is as it was")
    tap.equal(json.loads(platform.command("decoder", "show", "d"))["status"], "ACTIVE", "the manifest too")
    platform.command("fleet", "remove", "north", "car-1")
    for arguments in (("vehicle", "delete", "car-1"), ("fleet", "delete", "north"), ("decoder", "delete", "d"), ("model", "delete", "m"), ("catalog", "delete", "cars")):
        platform.command(*arguments)
    tap.equal([c["name"] for c in listed("catalog", "catalogs")], ["tree"], "everything goes again, in its order")


try:
    platform.start()
    for part in (catalogs, models, vehicles, after_a_kill):
        tap.guard(part.__name__, part)
finally:
    platform.close()
tap.done()
