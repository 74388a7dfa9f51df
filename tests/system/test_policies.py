#!/usr/bin/env python3
"""AWS IoT policy documents on live connections: connect, publish, subscribe, every delivery, wills; versions and attachments that hold at once; explain. Prints TAP."""
import json
import pathlib
import socket
import ssl
import struct
import tempfile

from platform_under_test import Platform, Tap, wait_for
from raw_mqtt import Gone, RawMqtt, text, varint

tap = Tap()
platform = Platform()
folder = pathlib.Path(tempfile.mkdtemp(prefix="mc-policy-"))
ARN = "arn:aws:iot:eu-central-1:123456789012:"


def document(name, *statements):
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    return str(path)


def allow(action, *tails, effect="Allow", **more):
    return {"Effect": effect, "Action": action, "Resource": [ARN + tail for tail in tails], **more}


CONNECT = allow("iot:Connect", "client/${iot:Connection.Thing.ThingName}", "client/${iot:Connection.Thing.ThingName}-*", "client/van-tools")
SHARED = [CONNECT, allow(["iot:Publish", "iot:Receive"], "topic/shared/*"), allow("iot:Subscribe", "topicfilter/shared/*")]


def subscribe(client, topic_filter):
    body = b"\0\x07" + text(topic_filter) + b"\x01"
    client.send(b"\x82" + varint(len(body)) + body)
    while True:
        kind, _, answer = client.packet()
        if kind == 9:
            return answer[2]


def next_topic(client):
    """Topic of the next PUBLISH, which is acknowledged."""
    while True:
        kind, flags, body = client.packet()
        if kind == 3:
            length = struct.unpack(">H", body[:2])[0]
            if flags & 6:
                client.send(b"\x40\x02" + body[2 + length:4 + length])
            return body[2:2 + length].decode()


def explain(*arguments):
    return json.loads(platform.command("policy", "explain", *arguments, "--json"))


def commands():
    made = platform.command("policy", "create", "shared", document("shared", *SHARED))
    tap.ok("shared" in made, "a policy is made of a document", made)
    bad = platform.command("policy", "create", "bad", document("bad", allow("iot:Publish", "topic/${iot:Nobody}")), check=False)
    tap.ok(bad.returncode and "Statement[0].Resource[0]" in bad.stderr and "iot:Nobody" in bad.stderr, "a document that is wrong is refused, with the place", bad.stderr)
    for arguments in ((), ("create", "x"), ("attach", "x"), ("attach", "x", "--group", "a", "--certificate", "b"), ("explain", "--thing", "truck"), ("default", "x")):
        done = platform.command("policy", *arguments, check=False)
        tap.ok(done.returncode == 2 and "usage: motorcade policy" in done.stderr + done.stdout, f"policy {' '.join(arguments)}: the usage is shown", done.stderr)
    platform.command("group", "create", "fleet")
    platform.command("group", "add", "fleet", "truck")
    platform.command("group", "add", "fleet", "van")
    before = explain("--thing", "van", "--action", "iot:Publish", "--resource", "topic/dt/van/x")
    tap.ok(before["decision"] == "allowed" and before["by"] == "built-in", "without documents the built-in policy decides", before)
    platform.command("policy", "attach", "shared", "--group", "fleet")
    after = explain("--thing", "van", "--action", "iot:Publish", "--resource", "topic/dt/van/x")
    tap.ok(after["decision"] == "not-named" and after["by"] == "documents", "with one attached, documents alone", after)
    listed = platform.command("policy", "list", "shared")
    tap.ok("fleet" in listed and "iot:Receive" in listed, "its document and attachments are shown", listed)


def live():
    global truck_client, van_client
    truck_client = RawMqtt(platform.mqtt, "truck", truck)
    van_client = RawMqtt(platform.mqtt, "van", van)
    tap.equal(subscribe(truck_client, "shared/#"), 1, "what a document names may be subscribed to")
    tap.equal(subscribe(truck_client, "dt/truck/#"), 0x80, "and what it does not name may not")
    van_client.publish_and_wait("shared/a", b"1")
    tap.equal(next_topic(truck_client), "shared/a", "and is delivered")
    platform.command("policy", "version", "shared", document("v2", *SHARED, allow("iot:Receive", "topic/shared/secret", effect="Deny", Sid="Secret")), "--default")
    van_client.publish_and_wait("shared/secret", b"2")
    van_client.publish_and_wait("shared/b", b"3")
    tap.equal(next_topic(truck_client), "shared/b", "a version that takes Receive away holds for the next delivery on a subscription that is there already")
    told = explain("--thing", "truck", "--action", "iot:Receive", "--resource", ARN + "topic/shared/secret")
    decided = told.get("decided", {})
    tap.ok(told["decision"] == "denied" and decided.get("version") == 2 and decided.get("sid") == "Secret" and decided.get("effect") == "Deny", "explain names statement and version", told)
    words = platform.command("policy", "explain", "--thing", "truck", "--action", "iot:Receive", "--resource", "topic/shared/secret")
    tap.ok("decided by shared version 2, Statement[3] (Secret): Deny" in words, "in words, too", words)
    platform.command("policy", "default", "shared", "1")
    van_client.publish_and_wait("shared/secret", b"4")
    tap.equal(next_topic(truck_client), "shared/secret", "and back again")


def kinds():
    platform.command("policy", "create", "depot", document("depot", CONNECT, allow("iot:Publish", "topic/depot/${iot:Connection.Thing.ThingTypeName}/*")))
    platform.command("policy", "attach", "depot", "--group", "fleet")
    vehicle = next(v for v in platform.api("GET", "/api/v1/vehicles")["items"] if v["name"] == "van")["id"]

    def puts(depot):
        mine = explain("--thing", "van", "--action", "iot:Publish", "--resource", f"topic/depot/{depot}/x")
        return mine["decision"]
    tap.equal(puts("north"), "not-named", "a variable without a value opens nothing")
    set_kind(vehicle, "north")
    tap.equal(puts("north"), "allowed", "a kind of vehicle that is set opens what it names")
    van_client.publish_and_wait("depot/north/x", b"1")
    set_kind(vehicle, "south")
    van_client.publish_and_wait("depot/south/x", b"2")
    try:
        van_client.publish_and_wait("depot/north/x", b"3")
        tap.ok(False, "a kind that changes closes it on the live connection")
    except Gone:
        tap.ok(True, "a kind that changes closes it on the live connection")


def set_kind(vehicle, kind):
    platform.api("PATCH", f"/api/v1/vehicles/{vehicle}", {"kind": kind})


def connecting():
    tools = RawMqtt(platform.mqtt, "van-tools", van)
    tools.publish_and_wait("shared/c", b"1")
    tap.equal(next_topic(truck_client), "shared/c", "a document may allow other client ids")
    tools.close()
    try:
        RawMqtt(platform.mqtt, "somebody", van).close()
        tap.ok(False, "but only those that it names")
    except Gone as problem:
        tap.ok("code 5" in str(problem), "but only those that it names", problem)
    attached = allow("iot:Connect", "client/*", Condition={"Bool": {"iot:Connection.Thing.IsAttached": "true"}})
    platform.command("policy", "create", "attached", document("attached", attached))
    platform.command("policy", "attach", "attached", "--group", "fleet")
    try:
        RawMqtt(platform.mqtt, "somebody", van).close()
        tap.ok(False, "under another client id it is no attached thing")
    except Gone as problem:
        tap.ok("code 5" in str(problem), "under another client id it is no attached thing", problem)
    told = explain("--thing", "van", "--action", "iot:Connect", "--resource", "client/somebody")
    tap.ok(told["decision"] == "not-named" and told["findings"][0]["reason"] == "condition", "and explain asks as the one who connects", told)
    platform.command("policy", "detach", "attached", "--group", "fleet")


def kept_sessions():
    """The row connect_named of both profiles."""
    RawMqtt(platform.mqtt, "van-tools", van, clean=False).close()
    tap.ok(True, "standard: a session may be kept although no statement names iot:ConnectAttributes")
    platform.command("group", "create", "aws", "--profile", "aws-compat")
    platform.command("group", "add", "aws", "van")
    try:
        RawMqtt(platform.mqtt, "van-tools", van, clean=False).close()
        tap.ok(False, "aws-compat: it may not")
    except Gone as problem:
        tap.ok("code 5" in str(problem), "aws-compat: it may not", problem)
    told = explain("--thing", "van", "--action", "iot:Connect", "--resource", "client/van", "--persistent")
    tap.ok(told["decision"] == "not-named" and told["findings"][0]["reason"] == "attributes", "and explain says so", told)
    platform.command("policy", "version", "shared", document("v4", *SHARED[1:], {**CONNECT, "Condition": {"ForAllValues:StringEquals": {"iot:ConnectAttributes": ["PersistentConnect"]}}}), "--default")
    told = explain("--thing", "van", "--action", "iot:Connect", "--resource", "client/van", "--persistent")
    tap.equal(told["decision"], "allowed", "a statement that names it allows it")
    platform.command("group", "remove", "aws", "van")
    platform.command("policy", "default", "shared", "1")


def with_will(client_id, device, topic):
    context = ssl.create_default_context(cafile=device["ca"])
    context.load_cert_chain(device["cert"], device["key"])
    raw = context.wrap_socket(socket.create_connection(("127.0.0.1", platform.mqtt), timeout=10), server_hostname="localhost")
    body = text("MQTT") + bytes([4, 2 | 4 | 8]) + struct.pack(">H", 30) + text(client_id) + text(topic) + text("gone")
    raw.sendall(b"\x10" + varint(len(body)) + body)
    return raw, raw.recv(4)


def wills():
    raw, answer = with_will("van", van, "elsewhere/will")
    tap.equal(answer[3], 5, "a will to a topic that no document names is refused")
    raw.close()
    raw, answer = with_will("van", van, "shared/will")
    tap.equal(answer[3], 0, "one to a named topic is taken")
    platform.command("policy", "version", "shared", document("v3", *SHARED, allow("iot:Publish", "topic/shared/will", effect="Deny")), "--default")
    raw.close()
    tap.ok(wait_for(lambda: not platform.api("GET", "/api/v1/clients/detail?client_id=van")["client"]["connected"], 20, "the van's connection to end"), "the connection ends")
    other = RawMqtt(platform.mqtt, "van", van)
    other.publish_and_wait("shared/after", b"1")
    tap.equal(next_topic(truck_client), "shared/after", "and it is not sent when its topic was taken away meanwhile")
    other.close()


def ends():
    platform.command("policy", "detach", "depot", "--group", "fleet")
    refused = platform.command("policy", "delete", "shared", check=False)
    tap.ok(refused.returncode and "attached" in refused.stderr, "a policy that is attached is not deleted", refused.stderr)
    platform.command("policy", "detach", "shared", "--group", "fleet")
    client = RawMqtt(platform.mqtt, "van", van)
    client.publish_and_wait("dt/van/x", b"1")
    tap.ok(True, "with nothing attached the built-in policy is back")
    client.close()
    platform.command("policy", "delete", "shared")
    made = platform.command("policy", "create-vehicle", "fleetwise", "--group", "fleet")
    tap.ok("fleetwise" in made, "the policy of FleetWise's agent is one command", made)
    for topic, decision in (("$aws/iotfleetwise/vehicles/van/signals", "allowed"), ("$aws/iotfleetwise/vehicles/truck/signals", "not-named"), ("dt/van/x", "not-named")):
        told = explain("--thing", "van", "--action", "iot:Publish", "--resource", f"topic/{topic}")
        tap.equal(told["decision"], decision, f"it says of {topic}: {decision}")


try:
    platform.start()
    truck, van = platform.vehicle("truck"), platform.vehicle("van")
    for part in (commands, live, kinds, connecting, kept_sessions, wills, ends):
        tap.guard(part.__name__, part)
    truck_client.close()
finally:
    platform.close()
tap.done()
