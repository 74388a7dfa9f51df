#!/usr/bin/env python3
"""Thing groups from the command line, and what their profile does to a member: MQTT as AWS has it, and POST /topics that is told 429 and when to come again. Prints TAP."""
import http.client
import json
import ssl
import threading
import time

from platform_under_test import Platform, Tap, wait_for
from raw_mqtt import Gone, RawMqtt

tap = Tap()
platform = Platform()


def groups():
    made = platform.command("group", "create", "aws-fleet", "--profile", "aws-compat")
    tap.ok("aws-fleet" in made and "aws-compat" in made, "a group is made with its profile", made)
    again = platform.command("group", "create", "aws-fleet", check=False)
    tap.ok(again.returncode and "aws-fleet" in again.stderr, "a second one of the same name is refused", again.stderr)
    wrong = platform.command("group", "create", "other", "--profile", "azure", check=False)
    tap.ok(wrong.returncode and "standard" in wrong.stderr and "aws-compat" in wrong.stderr, "an unknown profile is refused, and the known ones are named", wrong.stderr)
    platform.command("group", "add", "aws-fleet", "truck")
    platform.command("group", "add", "aws-fleet", "van")
    listed = platform.command("group", "list", "aws-fleet")
    tap.ok("truck" in listed and "van" in listed, "its members are listed", listed)
    platform.command("group", "remove", "aws-fleet", "van")
    listed = platform.command("group", "list", "aws-fleet")
    tap.ok("truck" in listed and "van" not in listed, "one that was removed is not", listed)
    groups = json.loads(platform.command("group", "list", "--json"))
    groups = groups.get("items", groups) if isinstance(groups, dict) else groups
    tap.ok(any(g["name"] == "aws-fleet" and g["profile"] == "aws-compat" and g["things"] == 1 for g in groups), "the list of groups shows profile and size", groups)
    for arguments, part in ((("add", "nowhere", "truck"), "nowhere"), (("add", "aws-fleet", "nobody"), "nobody"), (("remove", "aws-fleet", "van"), "van")):
        done = platform.command("group", *arguments, check=False)
        tap.ok(done.returncode and part in done.stderr, f"group {' '.join(arguments)} is refused with the name", done.stderr)
    for arguments in ((), ("add", "aws-fleet"), ("list", "aws-fleet", "more"), ("list", "--profile", "standard"), ("delete", "aws-fleet")):
        done = platform.command("group", *arguments, check=False)
        tap.ok(done.returncode and "usage: motorcade group" in done.stderr + done.stdout, f"group {' '.join(arguments)}: the usage is shown", done.stderr)


def takes_qos_2(device, profile):
    """Does a 3.1.1 publish with QoS 2 get its PUBREC? Meanwhile its page names the profile."""
    client = RawMqtt(platform.mqtt, device["name"], device)
    client.settimeout(60 if profile == "standard" else 1)
    body = bytes([0, len(b"dt/" + device["name"].encode())]) + b"dt/" + device["name"].encode() + b"\0\x05x"
    client.send(bytes([0x34, len(body)]) + body)
    tap.equal(platform.api("GET", f"/api/v1/clients/detail?client_id={device['name']}")["client"]["profile"], profile, f"the page of {device['name']} names {profile}")
    try:
        return client.packet()[0] == 5
    except (TimeoutError, Gone):
        return False
    finally:
        client.close()


def members():
    tap.ok(not takes_qos_2(truck, "aws-compat"), "a member meets AWS's behaviour: no answer to QoS 2")
    tap.ok(takes_qos_2(van, "standard"), "who was removed does not")
    platform.command("group", "remove", "aws-fleet", "truck")
    time.sleep(1.1)  # aws-compat: one CONNECT a second
    tap.ok(takes_qos_2(truck, "standard"), "from its next connection on it is as the group says")
    platform.command("group", "add", "aws-fleet", "truck")


def post(connection, number):
    connection.request("POST", "/topics/dt/truck/n?qos=1", b"%d" % number)
    reply = connection.getresponse()
    body = json.loads(reply.read())
    return reply.status, reply.getheader("Retry-After"), body["message"]


def too_fast():
    context = ssl.create_default_context(cafile=truck["ca"])
    context.load_cert_chain(truck["cert"], truck["key"])
    seen, over = [], threading.Event()

    def poster():  # many at once: one alone waits for the disk each time, and a slow one takes fewer than 100 a second
        own = http.client.HTTPSConnection("localhost", platform.tls, context=context, timeout=60)
        while not over.is_set() and len(seen) < 20000:
            answer = post(own, len(seen))
            seen.append(answer)
            if answer[0] == 429:
                over.set()
        own.close()

    posters = [threading.Thread(target=poster) for _ in range(24)]
    for each in posters:
        each.start()
    for each in posters:
        each.join()
    taken, refused = (sum(answer[0] == code for answer in seen) for code in (200, 429))
    status, after, message = next((answer for answer in seen if answer[0] == 429), seen[-1])
    tap.ok(status == 429 and taken >= 100, "beyond 100 a second POST /topics is told 429", status, taken)
    connection = http.client.HTTPSConnection("localhost", platform.tls, context=context, timeout=60)
    tap.ok(after and int(after) >= 1, "and when to come again", after)
    tap.holds(message, "publishes faster", "in words")
    for number in range(20):
        refused += post(connection, number)[0] == 429
    time.sleep(int(after))
    status, _, _ = post(connection, taken)
    tap.equal(status, 200, "then it is taken again")
    connection.close()
    counted = {each["cause"]: each["count"] for each in platform.api("GET", "/api/v1/clients/detail?client_id=truck")["client"]["limited"]}
    tap.equal(counted.get("publish_rate"), refused, "its page counts as many as were told")
    tap.ok(wait_for(lambda: platform.metric('motorcade_mqtt_limited_total{cause="publish_rate"}') == refused, 3, "the metric"), "and so does the metric")


try:
    platform.start()
    truck, van = platform.vehicle("truck"), platform.vehicle("van")
    for part in (groups, members, too_fast):
        tap.guard(part.__name__, part)
finally:
    platform.close()
tap.done()
