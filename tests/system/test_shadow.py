#!/usr/bin/env python3
"""Device shadows as a vehicle, an operator and AWS's SDK see them: over MQTT with certificates, the API, the command line and /aws (iotdata); the vehicle that was away, the
kill, other tenants' devices, roles and limits. Prints TAP."""
import json
import pathlib

import aws_sdk
from platform_under_test import ApiError, Platform, Tap, wait_for
from raw_mqtt import RawMqtt

tap = Tap()
platform = Platform()
P = "$aws/things/{}/shadow"


class Vehicle(RawMqtt):
    """A vehicle's own connection: what was heard, by topic, in order."""

    def __init__(self, device, clean=True):
        super().__init__(platform.mqtt, device["name"], device, clean=clean)
        self.thing, self.heard, self.packet_id = device["name"], [], 10

    def listen(self, *tails):
        for tail in tails:
            tap.equal(self.subscribe(P.format(self.thing) + tail), 1, f"{self.thing} may subscribe to {tail}")

    def ask(self, tail, document):
        self.packet_id += 1
        self.publish(P.format(self.thing) + tail, json.dumps(document).encode() if document is not None else b"", self.packet_id)

    def next(self, tail, seconds=60):
        """The next message on this topic; what comes before on others is kept."""
        self.settimeout(seconds)
        topic = P.format(self.thing) + tail
        while True:
            for i, (name, body) in enumerate(self.heard):
                if name == topic:
                    del self.heard[i]
                    return body
            kind, flags, body = self.packet()
            if kind == 3:
                name, packet_id, payload = self.message(flags, body)
                if packet_id:
                    self.acknowledge(packet_id)
                self.heard.append((name, json.loads(payload)))


def over_mqtt(device):
    car = Vehicle(device)
    car.listen("/get/+", "/update/accepted", "/update/rejected", "/update/delta", "/update/documents", "/delete/+", "/name/door/update/+")
    car.ask("/get", {"clientToken": "first"})
    refused = car.next("/get/rejected")
    tap.equal((refused["code"], refused["clientToken"]), (404, "first"), "there is no shadow yet")
    car.ask("/update", {"state": {"reported": {"locked": False, "climate": {"target_c": 19}}}})
    tap.equal(car.next("/update/accepted")["version"], 1, "what a vehicle reports is accepted")
    platform.api("PATCH", "/api/v1/things/car/shadow", {"state": {"desired": {"locked": True, "climate": {"target_c": 21}}}})
    delta = car.next("/update/delta")
    tap.equal((delta["state"], delta["version"]), ({"locked": True, "climate": {"target_c": 21}}, 2), "what is desired comes as a delta")
    car.ask("/update", {"state": {"reported": {"locked": True}}})
    tap.equal(car.next("/update/delta")["state"], {"climate": {"target_c": 21}}, "what is still outstanding comes again")
    car.ask("/update", {"state": {"reported": {"climate": {"target_c": 21}}}, "version": 2})
    tap.equal(car.next("/update/rejected")["code"], 409, "an old version is a conflict")
    car.ask("/update", {"state": {"reported": {"climate": {"target_c": 21}}}, "version": 3})
    documents = [car.next("/update/documents") for _ in range(4)]
    tap.equal([d["current"]["version"] for d in documents], [1, 2, 3, 4], "every change comes with what was before and after, in order")
    car.publish(P.format("car") + "/get", b"")
    tap.equal(car.next("/get/accepted")["state"], {"desired": {"locked": True, "climate": {"target_c": 21}}, "reported": {"locked": True, "climate": {"target_c": 21}}}, "a get at QoS 0 is answered, too")
    car.ask("/name/door/update", {"state": {"reported": {"open": 1}}})
    tap.equal(car.next("/name/door/update/accepted")["version"], 1, "a named shadow is one of its own")
    car.publish(P.format("car") + "/update", b"{\"state\":", 99)
    tap.holds(car.next("/update/rejected")["message"], "JSON", "what is no JSON is told so")
    for topic, why in ((P.format("bus") + "/update", "another vehicle's shadow"), (P.format("car") + "/update/delta", "an answer")):
        other = Vehicle(device)
        other.publish(topic, b"{\"state\":{\"desired\":{}}}", 5)
        tap.ok(closed(other), f"a vehicle that publishes {why} is shown the door")
    return delta


def closed(client):
    try:
        client.settimeout(60)
        while client.packet()[0] != 2:
            pass
        return False
    except Exception as problem:  # noqa: BLE001
        return type(problem).__name__ == "Gone"


def while_away(device):
    car = Vehicle(device, clean=False)
    car.listen("/update/delta")
    car.close(goodbye=False)
    platform.command("shadow", "set", "bus", "route=7", "signs.front=Centre", "note=null")
    shown = json.loads(platform.command("shadow", "get", "bus", "--json"))
    tap.equal(shown["state"]["desired"], {"route": 7, "signs": {"front": "Centre"}}, "the command line sets paths, numbers and texts")
    platform.kill()
    platform.start()
    back = Vehicle(device, clean=False)
    tap.equal(back.next("/update/delta")["state"], {"route": 7, "signs": {"front": "Centre"}}, "who was away, over a kill, gets the delta when it is back")
    back.close()


def over_command_line():
    platform.command("shadow", "set", "car", "wipers=off", "--name", "body", "--version", "0")
    again = platform.command("shadow", "set", "car", "wipers=on", "--name", "body", "--version", "0", check=False)
    tap.ok(again.returncode and "onflict" in again.stderr, "a version that is none any more is refused", again.stderr)
    path = pathlib.Path(platform.base) / "doc.json"
    path.write_text(json.dumps({"state": {"desired": {"wipers": None}, "reported": {"wipers": "off"}}}))
    platform.command("shadow", "update", "car", str(path), "--name", "body")
    history = json.loads(platform.command("shadow", "history", "car", "--name", "body", "--json"))
    history = history.get("items", history) if isinstance(history, dict) else history
    tap.equal([(h["version"], h["by"], h["state"]) for h in history],
              [(2, "platform", {"desired": {"wipers": None}, "reported": {"wipers": "off"}}), (1, "platform", {"desired": {"wipers": "off"}})], "the history tells what was asked, newest first")
    table = platform.command("shadow", "history", "car")
    tap.ok("device" in table and '{"reported":{"locked":true}}' in table, "also as a table, with who it was", table)
    names = platform.command("shadow", "list", "car")
    tap.ok("door" in names and "body" in names, "the shadows of a thing are listed", names)
    platform.command("shadow", "delete", "car", "--name", "body")
    gone = platform.command("shadow", "get", "car", "--name", "body", check=False)
    tap.ok(gone.returncode and "No shadow" in gone.stderr, "a deleted one is gone", gone.stderr)
    for arguments in ((), ("get",), ("set", "car", "x"), ("set", "car", "=1"), ("set", "car", "a=1", "--version", "x"), ("update", "car"), ("get", "car", "more"), ("list", "car", "--name", "x")):
        done = platform.command("shadow", *arguments, check=False)
        tap.ok(done.returncode and (done.stderr or done.stdout), f"shadow {' '.join(arguments)} is refused", done.stderr)


def refused(method, path, body, status):
    try:
        platform.api(method, path, body)
    except ApiError as problem:
        return problem.status == status
    return False


def over_api():
    base = "/api/v1/things/car/shadow"
    for method, path, body, status in (("GET", base + "?name=nothing", None, 404), ("GET", base + "?name=a.b", None, 400), ("PATCH", base, {"state": {"wanted": {}}}, 400),
                                       ("PATCH", base, {"state": {"desired": {}}, "version": 9999}, 409), ("DELETE", base + "?name=nothing", None, 404),
                                       ("GET", base + "/history?after=x", None, 400), ("PATCH", base, {"state": {"desired": {"x": "y" * (1 << 20)}}}, 413)):
        tap.ok(refused(method, path, body, status), f"{method} {path}: {status}")
    for i in range(5):
        platform.api("PATCH", f"/api/v1/things/many/shadow?name=s{i}", {"state": {"reported": {"i": i}}})
    tap.equal([s["name"] for s in platform.api_all("/api/v1/things/many/shadows?limit=2")], [f"s{i}" for i in range(5)], "lists come in pages")
    for i in range(5):
        platform.api("PATCH", "/api/v1/things/many/shadow?name=s0", {"state": {"reported": {"i": i}}})
    tap.equal([h["version"] for h in platform.api_all("/api/v1/things/many/shadow/history?name=s0&limit=2")], [6, 5, 4, 3, 2, 1], "histories, too")
    tap.ok(any(r["topic"] == "shadow_update" for r in platform.journal("audit")), "changes are in the audit trail")


def over_aws():
    reason = aws_sdk.ready()
    if reason:
        return tap.skip("iotdata with boto3", reason)
    from botocore.exceptions import ClientError

    data = aws_sdk.client(platform, aws_sdk.access_key(platform, "writer", "operator"), "iot-data")
    answer = json.loads(data.update_thing_shadow(thingName="car", shadowName="sdk", payload=json.dumps({"state": {"desired": {"a": [1, 2]}}, "clientToken": "t"}))["payload"].read())
    tap.equal((answer["version"], answer["clientToken"]), (1, "t"), "boto3 updates a named shadow")
    shown = json.loads(data.get_thing_shadow(thingName="car", shadowName="sdk")["payload"].read())
    tap.equal(shown["state"], {"desired": {"a": [1, 2]}, "delta": {"a": [1, 2]}}, "and reads it")
    tap.equal(json.loads(data.get_thing_shadow(thingName="car")["payload"].read())["state"]["reported"]["locked"], True, "and the classic one that the vehicle reports")
    names, token = [], {}
    while True:
        page = data.list_named_shadows_for_thing(thingName="many", pageSize=2, **token)
        names += page["results"]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    tap.equal(names, [f"s{i}" for i in range(5)], "and lists named ones in pages")
    tap.ok("version" in json.loads(data.delete_thing_shadow(thingName="car", shadowName="sdk")["payload"].read()), "and deletes one")
    reader = aws_sdk.client(platform, aws_sdk.access_key(platform, "reader", "viewer"), "iot-data")
    for name, exception, call in (("a shadow that is not there", "ResourceNotFoundException", lambda: data.get_thing_shadow(thingName="car", shadowName="sdk")),
                                  ("a conflict", "ConflictException", lambda: data.update_thing_shadow(thingName="car", payload=b'{"state":{},"version":9999}')),
                                  ("no JSON", "InvalidRequestException", lambda: data.update_thing_shadow(thingName="car", payload=b"{")),
                                  ("a bad page size", "InvalidRequestException", lambda: data.list_named_shadows_for_thing(thingName="car", pageSize=1000)),
                                  ("too much", "RequestEntityTooLargeException", lambda: data.update_thing_shadow(thingName="car", payload=json.dumps({"state": {"desired": {"x": "y" * (1 << 20)}}}))),
                                  ("a reader that writes", "AccessDeniedException", lambda: reader.update_thing_shadow(thingName="car", payload=b'{"state":{}}')),
                                  ("an operation of the service that is not here", "UnknownOperationException", lambda: data.publish(topic="a/b", payload=b"x"))):
        try:
            call()
            got = "answered"
        except ClientError as problem:
            got = problem.response["Error"]["Code"]
        tap.equal(got, exception, f"{name}: {exception}")


def with_limits(device):
    platform.command("group", "create", "aws-fleet", "--profile", "aws-compat")
    platform.command("group", "add", "aws-fleet", device["name"])
    car = Vehicle(device)
    car.listen("/update/+")
    car.ask("/update", {"state": {"reported": {"x": "y" * 9000}}})
    tap.equal(car.next("/update/rejected")["code"], 413, "under AWS's profile a state has 8 KB")
    for n in range(60):  # twenty a second: sixty at once are more
        car.ask("/update", {"state": {"reported": {"n": n}}})
    tap.equal(car.next("/update/rejected")["code"], 429, "and twenty requests a second")
    car.close()


try:
    platform.start()
    devices = {}
    for name in ("car", "bus", "limited"):
        devices[name] = platform.vehicle(name)
    tap.guard("over MQTT", over_mqtt, devices["car"])
    tap.guard("while away", while_away, devices["bus"])
    tap.guard("command line", over_command_line)
    tap.guard("API", over_api)
    tap.guard("AWS", over_aws)
    tap.guard("limits", with_limits, devices["limited"])
finally:
    platform.close()
tap.done()
