#!/usr/bin/env python3
"""An account's answers, as the control plane gives them, recreated on another platform; then a campaign is tried on what is stored and its cost told. Prints TAP."""
import http.server
import json
import os
import pathlib
import pty
import subprocess
import tempfile
import threading
import time

from platform_under_test import MOTORCADE, Platform, Tap

tap = Tap()
old, new, third, fourth = Platform(settings=["--price-currency", "EUR"]), Platform(), Platform(), Platform()
folder = pathlib.Path(tempfile.mkdtemp(prefix="mc-fleetwise-"))
ARN = "arn:aws:iotfleetwise:local:000000000000:"


def call(operation, **members):
    return old.api("POST", f"/api/v1/fleetwise/{operation}", members)


def save(operation, name, answer):
    (folder / f"{operation}{'.' + name if name else ''}.json").write_text(json.dumps(answer))


def signal(name, start, factor):
    return {"fullyQualifiedName": name, "type": "CAN_SIGNAL", "interfaceId": "can0",
            "canSignal": {"messageId": 256, "isBigEndian": False, "isSigned": False, "startBit": start, "offset": 0, "factor": factor, "length": 16}}


def make_account():
    nodes = [{"sensor": {"fullyQualifiedName": f"V.{n}", "dataType": "DOUBLE"}} for n in ("Speed", "Temp")]
    call("CreateSignalCatalog", name="cat", nodes=nodes)
    call("CreateModelManifest", name="model", signalCatalogArn=ARN + "signal-catalog/cat", nodes=["V"])
    call("UpdateModelManifest", name="model", status="ACTIVE")
    call("CreateDecoderManifest", name="decoder", modelManifestArn=ARN + "model-manifest/model", signalDecoders=[signal("V.Speed", 0, 0.01), signal("V.Temp", 16, 0.1)],
         networkInterfaces=[{"interfaceId": "can0", "type": "CAN_INTERFACE", "canInterface": {"name": "can0"}}])
    call("UpdateDecoderManifest", name="decoder", status="ACTIVE")
    for name in ("car-1", "car-2"):
        call("CreateVehicle", vehicleName=name, modelManifestArn=ARN + "model-manifest/model", decoderManifestArn=ARN + "decoder-manifest/decoder", attributes={"colour": name})
    call("CreateFleet", fleetId="north", signalCatalogArn=ARN + "signal-catalog/cat")
    call("AssociateVehicleFleet", fleetId="north", vehicleName="car-1")
    call("CreateCampaign", name="fast", signalCatalogArn=ARN + "signal-catalog/cat", targetArn=ARN + "fleet/north", signalsToCollect=[{"name": "V.Speed"}],
         collectionScheme={"conditionBasedCollectionScheme": {"expression": "$variable.`V.Temp` > 90", "minimumTriggerIntervalMs": 1000, "triggerMode": "RISING_EDGE"}})
    call("UpdateCampaign", name="fast", action="APPROVE")


def save_account():
    for operation, list_of, key in (("get-signal-catalog", ["cat"], "name"), ("get-model-manifest", ["model"], "name"), ("get-decoder-manifest", ["decoder"], "name"),
                                    ("get-vehicle", ["car-1", "car-2"], "vehicleName"), ("get-fleet", ["north"], "fleetId"), ("get-campaign", ["fast"], "name"),
                                    ("list-signal-catalog-nodes", ["cat"], "name"), ("list-model-manifest-nodes", ["model"], "name"), ("list-decoder-manifest-signals", ["decoder"], "name"),
                                    ("list-decoder-manifest-network-interfaces", ["decoder"], "name"), ("list-vehicles-in-fleet", ["north"], "fleetId")):
        for name in list_of:
            save(operation, name, call("".join(word.capitalize() for word in operation.split("-")), **{key: name}))
    save("list-vehicles", "", call("ListVehicles"))
    save("list-campaigns", "", call("ListCampaigns"))


def imported():
    vehicles = folder / "list-vehicles-in-fleet.north.json"
    right = vehicles.read_text()
    vehicles.write_text(json.dumps({"vehicles": ["car-1", "car-9"]}))
    done = new.command("fleetwise", "import", str(folder), check=False)
    tap.ok(done.returncode == 1 and "names vehicle car-9, which is not here" in done.stdout and "nothing was sent" in done.stdout, "what does not fit together is told, and nothing is made",
           done.stdout + done.stderr)
    tap.equal(new.api("GET", "/api/v1/catalogs")["items"], [], "there is nothing yet")
    hostile = folder / "get-fleet.evil.json"
    hostile.write_text(json.dumps({"id": "\x1b[31mevil"}))
    done = new.command("fleetwise", "import", str(folder), check=False)
    tap.ok(done.returncode == 1 and "[31mevil" in done.stderr and "\x1b" not in done.stdout + done.stderr, "a name that would steer the terminal does not", done.stderr)
    hostile.unlink()
    vehicles.write_text(right)
    report = json.loads(new.command("fleetwise", "import", str(folder), "--json"))
    tap.equal(sorted({i["outcome"] for i in report["items"]}), ["made"], "everything is made")
    tap.equal(len(report["items"]), 7, "each resource is told")
    report = json.loads(new.command("fleetwise", "import", str(folder), "--approve", "--json"))
    tap.equal(sorted({i["outcome"] for i in report["items"]}), ["there already"], "a second time finds all of it")
    tap.equal(new.api("POST", "/api/v1/fleetwise/GetCampaign", {"name": "fast"})["status"], "RUNNING", "and approves what ran")
    for operation, members in (("ListSignalCatalogNodes", {"name": "cat"}), ("ListDecoderManifestSignals", {"name": "decoder"}), ("ListVehiclesInFleet", {"fleetId": "north"})):
        tap.equal(new.api("POST", f"/api/v1/fleetwise/{operation}", members), call(operation, **members), f"{operation} answers the same here and there")


def by_standard_input():
    text = "".join(json.dumps({"operation": p.name.split(".")[0], "name": p.name.split(".")[1] if p.name.count(".") > 1 else "", "answer": json.loads(p.read_text())}) for p in folder.iterdir())
    done = subprocess.run([MOTORCADE, "fleetwise", "import", "-", "--json", "--data", str(new.data)], input=text, capture_output=True, text=True, timeout=300)
    tap.equal(sorted({i["outcome"] for i in json.loads(done.stdout)["items"]}), ["there already"], "standard input says the same")


def by_account():
    """The account itself, by its own API: the old platform's face of AWS, with an access key that may only look."""
    key = old.api("POST", "/api/v1/access-keys", {"name": "mover", "role": "viewer"})
    environment = dict(os.environ, AWS_ACCESS_KEY_ID=key["access_key"]["key_id"], AWS_SECRET_ACCESS_KEY=key["secret"], AWS_REGION="eu-central-1")
    run = lambda *more, **env: subprocess.run([MOTORCADE, "fleetwise", "import", "--account", "--endpoint", f"http://127.0.0.1:{old.http}/aws", "--data", str(third.data), *more],
                                              capture_output=True, text=True, timeout=300, env=dict(environment, **env))
    done = run("--json")
    tap.equal(sorted({i["outcome"] for i in json.loads(done.stdout)["items"]}), ["made"], "an account that is asked itself is recreated")
    tap.equal(len(json.loads(done.stdout)["items"]), 7, "with all that it holds")
    done = run("--json")
    tap.equal(sorted({i["outcome"] for i in json.loads(done.stdout)["items"]}), ["there already"], "and a second time changes nothing")
    done = run(AWS_SECRET_ACCESS_KEY="wrong")
    tap.ok(done.returncode == 1 and "InvalidSignatureException" in done.stderr, "a wrong secret is refused with the service's words", done.stdout + done.stderr)
    done = run(AWS_SECRET_ACCESS_KEY="")
    tap.ok(done.returncode == 1 and "AWS_SECRET_ACCESS_KEY" in done.stderr, "without credentials it says which are needed", done.stdout + done.stderr)


class Hostile(http.server.BaseHTTPRequestHandler):
    """An endpoint whose every answer names a catalog that would steer the terminal."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        text = json.dumps({"summaries": [{"name": "\x1b[31mevil"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


def by_hostile_account():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours, theirs = pty.openpty()  # progress is told to terminals only
    environment = dict(os.environ, AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_REGION="eu-central-1")
    one = subprocess.Popen([MOTORCADE, "fleetwise", "import", "--account", "--endpoint", f"http://127.0.0.1:{server.server_address[1]}/", "--data", str(third.data)], stdout=theirs,
                           stderr=theirs, env=environment)
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 4096):
            text += piece
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    code = one.wait(60)
    server.shutdown()
    tap.ok(code == 1 and b"get-signal-catalog ?[31mevil" in text and b"\x1b[31m" not in text, "a name of an account that would steer the terminal does not", text)


def by_force():
    """The importer and the platform are killed anywhere in between; the last run finishes what the others began."""
    big = pathlib.Path(tempfile.mkdtemp(prefix="mc-fleetwise-"))
    for file in folder.iterdir():
        (big / file.name).write_text(file.read_text())
    nodes = json.loads((folder / "list-signal-catalog-nodes.cat.json").read_text())["nodes"] + [{"sensor": {"fullyQualifiedName": f"W.S{i}", "dataType": "DOUBLE"}} for i in range(1600)]
    car = json.loads((folder / "get-vehicle.car-1.json").read_text())
    (big / "list-signal-catalog-nodes.cat.json").write_text(json.dumps({"nodes": nodes + [{"branch": {"fullyQualifiedName": "W"}}]}))
    for i in range(60):
        (big / f"get-vehicle.many-{i}.json").write_text(json.dumps({**car, "vehicleName": f"many-{i}"}))
    (big / "list-vehicles.json").unlink()
    killed = 0
    for turn in range(12):
        one = subprocess.Popen([MOTORCADE, "fleetwise", "import", str(big), "--approve", "--data", str(fourth.data)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.02 + 0.03 * (turn % 6))  # a moment of its life, not a wait for anything
        if turn % 4 == 3:
            fourth.kill()
            fourth.start()
        else:
            one.kill()
        killed += one.wait(60) != 0
    tap.ok(killed > 0, "imports were cut", killed)
    report = json.loads(fourth.command("fleetwise", "import", str(big), "--approve", "--json"))
    tap.equal({i["outcome"] for i in report["items"]} - {"made", "there already"}, set(), f"what {killed} kills left is finished")
    tap.equal(len(report["items"]), 67, "all of it is told")
    report = json.loads(fourth.command("fleetwise", "import", str(big), "--approve", "--json"))
    tap.equal({i["outcome"] for i in report["items"]}, {"there already"}, "and then there is nothing left to do")
    asked = lambda operation, **members: fourth.api("POST", f"/api/v1/fleetwise/{operation}", members)
    tap.equal(asked("GetSignalCatalog", name="cat")["nodeCounts"]["totalNodes"], len(nodes) + 1, "the catalog has all its nodes")
    tap.equal((asked("GetDecoderManifest", name="decoder")["status"], asked("GetCampaign", name="fast")["status"]), ("ACTIVE", "RUNNING"), "what was active is active, what ran runs")


def tools():
    call("CreateDecoderManifest", name="next", modelManifestArn=ARN + "model-manifest/model", signalDecoders=[signal("V.Speed", 0, 0.02), signal("V.Temp", 16, 0.1)],
         networkInterfaces=[{"interfaceId": "can0", "type": "CAN_INTERFACE", "canInterface": {"name": "can0"}}])
    call("UpdateDecoderManifest", name="next", status="ACTIVE")
    shown = old.command("decoder", "compare", "decoder", "next")
    tap.ok("~ V.Speed" in shown and "factor: 0.01 -> 0.02" in shown and "1 the same, 1 changed" in shown, "what two manifests differ in is shown", shown)
    call("UpdateSignalCatalog", name="cat", nodesToAdd=[{"sensor": {"fullyQualifiedName": "V.Load", "dataType": "DOUBLE"}}])
    call("CreateModelManifest", name="wider", signalCatalogArn=ARN + "signal-catalog/cat", nodes=["V.Speed", "V.Load"])
    shown = old.command("model", "compare", "model", "wider")
    tap.ok("+ V.Load  (sensor)" in shown and "- V.Temp  (sensor)" in shown and "1 added, 2 removed" in shown, "what two models differ in is shown", shown)
    shown = old.command("campaign", "try", "fast", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z", "--per-mb", "0.1")
    tap.ok("no_data" in shown and "0 triggers" in shown and "0.00 EUR" in shown, "a campaign is tried where nothing is stored", shown)
    shown = old.command("campaign", "cost", "fast", "--json")
    tap.equal(json.loads(shown)["messages"], 0, "what it came to is told")
    done = old.command("campaign", "try", "fast", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z", check=False)
    tap.ok(done.returncode and "later than from" in done.stderr, "a span that ends before it begins is refused", done.stderr)


try:
    old.start()
    new.start()
    third.start()
    fourth.start()
    tap.guard("make_account", make_account)
    tap.guard("save_account", save_account)
    for part in (imported, by_standard_input, by_account, by_hostile_account, by_force, tools):
        tap.guard(part.__name__, part)
finally:
    old.close()
    new.close()
    third.close()
    fourth.close()
tap.done()
