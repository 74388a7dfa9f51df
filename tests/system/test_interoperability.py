#!/usr/bin/env python3
"""What paho.mqtt.testing's suites look at, with the paho-mqtt client and words of our own, so that it is looked at where that checkout is not
(test_paho_suites.py). Both versions where both have the feature. Prints TAP.
"""
import queue
import ssl
import sys
import time

from platform_under_test import ApiError, Platform, Tap, use_debian_python, wait_for

use_debian_python("paho.mqtt.client")
import paho.mqtt.client as mqtt  # noqa: E402
from paho.mqtt.packettypes import PacketTypes  # noqa: E402
from paho.mqtt.properties import Properties  # noqa: E402
from paho.mqtt.subscribeoptions import SubscribeOptions  # noqa: E402

tap = Tap()
platform = Platform().start()
number = [0]


def props(kind, **values):
    made = Properties(getattr(PacketTypes, kind))
    for key, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            setattr(made, key, one)
    return made


def value(code):
    return getattr(code, "value", code)


class Client:
    """One paho client; what it hears is in queues, each entry taken once."""

    def __init__(self, version, name=None, clean=True, device=None, will=None, keep_alive=60, **connect):
        number[0] += 1
        self.version, self.clean, self.keep_alive, self.connect_props = version, clean, keep_alive, connect
        name = f"interop-{number[0]}" if name is None else name
        self.c = mqtt.Client(name, protocol=mqtt.MQTTv5) if version == 5 else mqtt.Client(name, clean_session=clean, protocol=mqtt.MQTTv311)
        self.heard = {kind: queue.Queue() for kind in ("connack", "suback", "unsuback", "message", "published", "closed")}
        self.on_arrival = None
        c = self.c
        c.on_connect = lambda _c, _u, flags, code, p=None: self.heard["connack"].put((value(code), bool(flags["session present"]), p))
        c.on_subscribe = lambda _c, _u, mid, codes, p=None: self.heard["suback"].put([value(x) for x in codes])
        c.on_unsubscribe = lambda _c, _u, mid, p=None, codes=None: self.heard["unsuback"].put(mid)
        c.on_publish = lambda _c, _u, mid: self.heard["published"].put(mid)
        c.on_disconnect = lambda _c, _u, code, p=None: self.heard["closed"].put(value(code))
        c.on_message = self.arrived
        c.reconnect_delay_set(600, 600)
        c.max_inflight_messages_set(2000)
        self.port = platform.dev
        if device:
            context = ssl.create_default_context(cafile=device["ca"])
            context.load_cert_chain(device["cert"], device["key"])
            c.tls_set_context(context)
            self.port = platform.mqtt
        if will:
            c.will_set(*will[:4], **({"properties": will[4]} if len(will) > 4 else {}))

    def arrived(self, _c, _u, m):
        self.heard["message"].put(m)
        if self.on_arrival:
            self.on_arrival(m)

    def take(self, kind, seconds=60):
        try:
            return self.heard[kind].get(timeout=seconds)
        except queue.Empty:
            return None

    def connect(self, clean=None):
        clean = self.clean if clean is None else clean
        more = {}
        if self.version == 5:
            more = {"clean_start": clean, "properties": props("CONNECT", **self.connect_props)}
        self.c.connect("localhost", self.port, self.keep_alive, **more)
        self.c.loop_start()
        answer = self.take("connack")
        return answer if answer else (None, None, None)

    def subscribe(self, *filters, **more):
        self.c.subscribe(list(filters), **more) if len(filters) > 1 else self.c.subscribe(*(filters[0] if isinstance(filters[0], tuple) else (filters[0],)), **more)
        return self.take("suback")

    def option(self, topic, sub_id=0, **options):
        self.c.subscribe(topic, options=SubscribeOptions(**options), properties=props("SUBSCRIBE", SubscriptionIdentifier=sub_id) if sub_id else None)
        return self.take("suback")

    def publish(self, topic, payload, qos=0, retain=False, wait=True, **properties):
        self.c.publish(topic, payload, qos, retain, **({"properties": props("PUBLISH", **properties)} if properties else {}))
        return self.take("published") if wait else None

    def messages(self, count, quiet=0.3, seconds=60):
        """So many, and that no more follow."""
        got = []
        while len(got) < count and (m := self.take("message", seconds)):
            got.append(m)
        while m := self.take("message", quiet):
            got.append(m)
        return got

    def lose(self):
        """The connection breaks without a word."""
        self.c._sock.shutdown(2)
        self.take("closed")
        self.c.loop_stop()

    def leave(self, **properties):
        self.c.disconnect(**({"properties": props("DISCONNECT", **properties)} if properties else {}))
        self.take("closed")
        self.c.loop_stop()


def gone(name):
    """The platform has read the DISCONNECT: what comes on another connection may be read by another loop, and before it."""

    def away():
        try:
            return not platform.api("GET", f"/api/v1/clients/detail?client_id={name}")["client"]["connected"]
        except ApiError as problem:
            return problem.status == 404

    wait_for(away, 10, f"the end of {name}'s connection")


def text(messages):
    return [m.payload.decode() for m in messages]


def keeps(version):
    """What makes a session outlive its connection."""
    return {"SessionExpiryInterval": 3600} if version == 5 else {}


def basic(version):
    a = Client(version)
    tap.equal(a.connect()[:2], (0, False), f"{version}: connects, no session is there")
    tap.equal(a.subscribe(("basic/a", 2)), [2], f"{version}: QoS 2 is granted")
    for qos in range(3):
        a.publish("basic/a", f"qos {qos}", qos)
    got = a.messages(3)
    tap.equal(sorted((m.payload.decode(), m.qos) for m in got), [(f"qos {q}", q) for q in range(3)], f"{version}: a message of each QoS comes back as it was sent")
    a.c.unsubscribe("basic/a")
    a.take("unsuback")
    a.publish("basic/a", "x", 1)
    tap.equal(a.messages(0), [], f"{version}: nothing comes after UNSUBSCRIBE")
    a.leave()


def retained(version):
    a, b = Client(version), Client(version)
    a.connect(), b.connect()
    more = {"UserProperty": [("a", "2"), ("c", "3")]} if version == 5 else {}
    for qos in range(3):
        a.publish(f"retained{version}/{qos}", f"qos {qos}", qos, True, **more)
    b.subscribe((f"retained{version}/+", 2))
    got = b.messages(3)
    tap.equal(sorted((m.payload.decode(), m.qos, m.retain) for m in got), [(f"qos {q}", q, 1) for q in range(3)], f"{version}: retained messages come to a wildcard")
    if version == 5:
        tap.equal([m.properties.UserProperty for m in got], [[("a", "2"), ("c", "3")]] * 3, "5: with their user properties in order")
    for qos in range(3):
        a.publish(f"retained{version}/{qos}", "", qos, True)
    b.messages(3)
    c = Client(version)
    c.connect()
    c.subscribe((f"retained{version}/#", 2))
    tap.equal(text(c.messages(0)), [], f"{version}: an empty message has taken each away")
    for client in (a, b, c):
        client.leave()


def wills(version):
    b = Client(version)
    b.connect()
    b.subscribe(("will/#", 2))
    a = Client(version, will=("will/lost", "gone", 2, False))
    a.connect()
    a.lose()
    tap.equal(text(b.messages(1)), ["gone"], f"{version}: the will of a lost client comes")
    a = Client(version, will=("will/left", "gone", 2, False))
    a.connect()
    a.leave()
    tap.equal(text(b.messages(0, quiet=0.5)), [], f"{version}: that of a client that left does not")
    silent = Client(version, will=("will/silent", "timed out", 1, False), keep_alive=1)
    silent.connect()
    silent.c.loop_stop()  # it neither speaks nor reads from here on
    got = b.messages(1)
    tap.equal(text(got), ["timed out"], f"{version}: a client that is silent for 1.5 keep-alives is gone")
    b.leave()


def will_delay():
    b = Client(5)
    b.connect()
    b.subscribe(("delay/#", 1))
    for delay, expiry, least, name in ((1, 60, 0.9, "after its delay"), (60, 1, 0.9, "when the session ends before that"), (60, 0, 0, "at once when the session ends with its connection")):
        a = Client(5, will=("delay/x", name, 1, False, props("WILLMESSAGE", WillDelayInterval=delay)), SessionExpiryInterval=expiry)
        a.connect()
        began = time.monotonic()
        a.lose()
        got = b.messages(1, quiet=0.05)
        took = time.monotonic() - began
        tap.ok(text(got) == [name] and least <= took < 30, f"5: a delayed will comes {name}", text(got), took)
    a = Client(5, name="delay-returns", will=("delay/x", "not this", 1, False, props("WILLMESSAGE", WillDelayInterval=3)), SessionExpiryInterval=60)
    a.connect()
    a.lose()
    again = Client(5, name="delay-returns", clean=False, SessionExpiryInterval=60)
    again.connect()
    tap.equal(text(b.messages(0, quiet=3.5)), [], "5: and not at all when the client is back before")
    again.leave(), b.leave()


def client_ids():
    import socket

    for flags, code, name in ((2, 0, "3.1.1: an empty client id with a clean session is taken"), (0, 2, "3.1.1: without it is refused (3.1.3-8)")):
        with socket.create_connection(("127.0.0.1", platform.dev), 5) as s:
            s.sendall(b"\x10\x0c\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x3c\x00\x00")
            tap.equal(s.recv(4)[3], code, name)
    a = Client(5, name="")
    answer = a.connect()
    tap.ok(answer[0] == 0 and answer[2].AssignedClientIdentifier, "5: an empty client id is given one", answer)
    a.leave()


def offline(version):
    a, b = Client(version, name=f"offline{version}", clean=False, **keeps(version)), Client(version)
    a.connect()
    a.subscribe((f"offline{version}/#", 2))
    a.leave()
    b.connect()
    for qos in range(3):
        b.publish(f"offline{version}/{qos}", f"qos {qos}", qos)
    tap.equal(a.connect(clean=False)[1], True, f"{version}: the session is there")
    tap.equal(sorted(text(a.messages(2))), ["qos 1", "qos 2"], f"{version}: what came meanwhile is there, too")
    a.leave(), b.leave()


def redelivery(version):
    a, b = Client(version, name=f"again{version}", clean=False, **keeps(version)), Client(version)
    a.connect(), b.connect()
    a.subscribe((f"again{version}", 1))
    a.on_arrival = lambda _m: a.c._sock.shutdown(2)  # before paho acknowledges
    b.publish(f"again{version}", "m", 1)
    a.take("message"), a.take("closed")
    a.c.loop_stop()
    a.on_arrival = None
    a.connect(clean=False)
    got = a.messages(1)
    tap.ok(text(got) == ["m"] and got[0].dup, f"{version}: what was not acknowledged comes again, marked DUP", got)
    a.leave(), b.leave()


def overlapping(version):
    a = Client(version)
    a.connect()
    a.subscribe(("over/#", 2), ("over/+", 1))
    a.publish("over/x", "m", 2)
    tap.equal([(m.payload, m.qos) for m in a.messages(1)], [(b"m", 2)], f"{version}: overlapping subscriptions give one message at the highest QoS")
    a.leave()


def refused(version):
    device = platform.vehicle(f"interop-vehicle-{version}")
    a = Client(version, name=device["name"], device=device)
    a.connect()
    tap.equal(a.subscribe(("test/nosubscribe", 2), (f"vehicles/{device['name']}/x", 2)), [0x87 if version == 5 else 0x80, 2], f"{version}: a filter outside the policy is refused, the one beside it granted")
    tap.equal(a.subscribe(("$share/g/test/nosubscribe", 1)), [0x87 if version == 5 else 0x80], f"{version}: also behind $share")
    a.leave()


def dollar(version):
    a = Client(version)
    a.connect()
    a.subscribe(("#", 1))
    a.messages(0)
    a.subscribe(("+/dollar", 1))
    platform_says = Client(version)
    platform_says.connect()
    platform_says.publish("$aws/dollar", "x", 0)
    platform_says.publish("plain/dollar", "y", 1)
    tap.equal(text(a.messages(1)), ["y"], f"{version}: wildcards at the first level see no topic that begins with $")
    a.leave(), platform_says.leave()


def session_expiry():
    a = Client(5, name="expiry", SessionExpiryInterval=0)
    a.connect(), a.subscribe(("expiry", 1)), a.leave(), gone("expiry")
    tap.equal(a.connect(clean=False)[1], False, "5: a session with expiry 0 ends with its connection")
    a.leave()
    a.connect_props = {"SessionExpiryInterval": 3}
    a.connect(), a.subscribe(("expiry", 1)), a.leave()
    tap.equal(a.connect(clean=False)[1], True, "5: one with 3 s is there at once")
    a.leave()
    time.sleep(4)
    tap.equal(a.connect(clean=False)[1], False, "5: and gone after 4 s")
    a.leave(SessionExpiryInterval=60)
    time.sleep(3.5)
    tap.equal(a.connect(clean=False)[1], True, "5: DISCONNECT may make it longer")
    a.leave(SessionExpiryInterval=0), gone("expiry")
    tap.equal(a.connect(clean=False)[1], False, "5: or end it")
    a.leave()


def publish_properties():
    a = Client(5)
    a.connect(), a.subscribe(("props", 2))
    given = {"UserProperty": [("a", "2"), ("c", "3"), ("a", "4")], "PayloadFormatIndicator": 1, "ContentType": "My name", "ResponseTopic": "props/answer", "CorrelationData": b"334"}
    for qos in range(3):
        a.publish("props", f"{qos}", qos, **given)
    for m in a.messages(3):
        got = {key: getattr(m.properties, key) for key in given}
        tap.equal(got, given, f"5: properties of a message with QoS {m.qos} are passed on in order")
    a.leave()


def expiry():
    b = Client(5, name="stale", clean=False, SessionExpiryInterval=3600)
    b.connect(clean=True), b.subscribe(("stale", 2)), b.leave()
    a = Client(5)
    a.connect()
    began = time.monotonic()
    for qos in (1, 2):
        a.publish("stale", "short", qos, MessageExpiryInterval=1)
        a.publish("stale", "long", qos, MessageExpiryInterval=60)
    time.sleep(2.2)
    b.connect(clean=False)
    got = b.messages(2)
    tap.equal(text(got), ["long", "long"], "5: what expired while the client was away is not sent")
    took = time.monotonic() - began
    tap.ok(all(58 - took <= m.properties.MessageExpiryInterval <= 58 for m in got), "5: the time that it waited is taken off", [m.properties.MessageExpiryInterval for m in got])
    a.leave(), b.leave()


def subscribe_options():
    a, b = Client(5), Client(5)
    a.connect(), b.connect()
    a.option("options/x", qos=2, noLocal=True)
    b.option("options/x", qos=2, noLocal=True, retainAsPublished=True)
    a.publish("options/x", "from a", 1)
    a.publish("options/x", "kept", 1, True)
    tap.equal(text(a.messages(0)), [], "5: No Local keeps the client's own messages back")
    tap.equal([(m.payload, m.retain) for m in b.messages(2)], [(b"from a", 0), (b"kept", 1)], "5: Retain As Published")
    got = []
    for handling in (1, 1, 2, 0):
        b.option("options/+", qos=1, retainHandling=handling)
        got.append(len(b.messages(0)))
    tap.equal(got, [1, 0, 0, 1], "5: retain handling 1 when new, 1 when not, 2, 0")
    a.publish("options/x", "", 1, True)
    a.leave(), b.leave()


def identifiers():
    a = Client(5)
    a.connect()
    a.option("ids/x", sub_id=456789, qos=1)
    a.option("ids/#", sub_id=2, qos=2)
    a.option("ids/+", qos=0)
    a.publish("ids/x", "m", 1)
    got = a.messages(1)
    tap.equal([sorted(m.properties.SubscriptionIdentifier) for m in got], [[2, 456789]], "5: all identifiers of matching subscriptions come with the message")
    a.leave()


def request_response():
    asks, answers = Client(5, RequestResponseInformation=1), Client(5)
    info = asks.connect()[2].ResponseInformation
    tap.ok(info, "5: the response information that was asked for is there", info)
    answers.connect(), answers.subscribe(("requests", 1)), asks.subscribe((f"{info}/#", 1))
    asks.publish("requests", "?", 1, ResponseTopic=f"{info}/1", CorrelationData=b"\x00\x01")
    m = answers.take("message")
    answers.publish(m.properties.ResponseTopic, "!", 1, CorrelationData=m.properties.CorrelationData)
    got = asks.take("message")
    tap.equal((got.topic, got.payload, got.properties.CorrelationData), (f"{info}/1", b"!", b"\x00\x01"), "5: the answer comes there with the correlation data")
    asks.leave(), answers.leave()


def topic_aliases():
    a = Client(5)
    most = a.connect()[2].TopicAliasMaximum
    tap.ok(most > 0, "5: the server takes topic aliases", most)
    a.subscribe(("alias/x", 2))
    a.publish("alias/x", "first", 1, TopicAlias=1)
    a.publish("alias/x", "second", 1, TopicAlias=most)
    tap.equal([(m.topic, m.payload) for m in a.messages(2)], [("alias/x", b"first"), ("alias/x", b"second")], "5: and they are not passed on")
    a.publish("alias/x", "too high", 1, wait=False, TopicAlias=most + 1)
    tap.equal(a.take("closed"), 0x94, "5: one beyond the maximum is topic alias invalid")
    a.c.loop_stop()


def packet_size():
    a = Client(5, MaximumPacketSize=64)
    a.connect(), a.subscribe(("size", 1))
    a.publish("size", "s" * 32, 1)
    a.publish("size", "l" * 64, 1)
    a.publish("size", "t" * 30, 1)
    tap.equal([m.payload[:1] for m in a.messages(2)], [b"s", b"t"], "5: what is larger than the client's maximum is not sent, the rest is")
    a.leave()


def receive_maximum():
    a, b = Client(5, name="window", clean=False, ReceiveMaximum=2, SessionExpiryInterval=60), Client(5)
    most = a.connect()[2].ReceiveMaximum
    tap.ok(most > 0, "5: the server tells its Receive Maximum", most)
    a.subscribe(("window", 1)), b.connect()
    flying = []
    a.on_arrival = lambda _m: (flying.append(a.heard["message"].qsize()), time.sleep(0.02))
    for i in range(10):
        b.publish("window", str(i), 1)
    tap.equal(text(a.messages(10)), [str(i) for i in range(10)], "5: with a window of two all come, in order")
    a.leave(), b.leave()


def shared(version):
    members, pub = [Client(version) for _ in range(3)], Client(version)
    pub.connect()
    for m in members:
        m.connect()
        tap.equal(m.subscribe((f"$share/group{version}/shared/+", 2)), [2], f"{version}: a shared subscription is granted")
    for i in range(30):
        pub.publish("shared/x", str(i), i % 3)
    got = [text(m.messages(10)) for m in members]
    tap.equal([len(g) for g in got], [10, 10, 10], f"{version}: each member gets its share")
    tap.equal(sorted(int(x) for g in got for x in g), list(range(30)), f"{version}: and each message comes once")
    members[0].leave()
    for i in range(4):
        pub.publish("shared/x", str(i), 1)
    tap.equal([len(m.messages(2)) for m in members[1:]], [2, 2], f"{version}: the others go on when one leaves")
    for m in [*members[1:], pub]:
        m.leave()


def take_over():
    a = Client(5, name="twin")
    a.connect()
    b = Client(5, name="twin")
    b.connect()
    tap.equal(a.take("closed"), 0x8E, "5: the older connection of two with one id is told: session taken over")
    a.c.loop_stop()
    b.leave()


try:
    for both in (basic, retained, wills, offline, redelivery, overlapping, refused, dollar, shared):
        for version in (4, 5):
            tap.guard(f"{both.__name__} in version {version}", both, version)
    for five in (client_ids, session_expiry, publish_properties, expiry, subscribe_options, identifiers, request_response, topic_aliases, packet_size, receive_maximum, will_delay, take_over):
        tap.guard(five.__name__, five)
    tap.equal(platform.stop(), 0, "motorcade stops cleanly")
finally:
    platform.close()
tap.done()
