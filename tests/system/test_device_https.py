#!/usr/bin/env python3
"""What devices reach over HTTPS: POST /topics/<topic>, and MQTT inside WebSocket frames at /mqtt, byte by byte. Prints TAP."""
import base64
import http.client
import json
import os
import socket
import ssl
import struct

from platform_under_test import Platform, Tap, stranger, wait_for
from raw_mqtt import RawMqtt, text, varint

tap = Tap()
platform = Platform()


def context(device, ca):
    c = ssl.create_default_context(cafile=ca)
    if device:
        c.load_cert_chain(device["cert"], device["key"])
    return c


# ---- HTTPS publish ----


def post(device, path, body=b"", headers=None, method="POST", alpn=None):
    c = context(device, ca)
    if alpn:
        c.set_alpn_protocols([alpn])
    connection = http.client.HTTPSConnection("localhost", platform.tls, context=c, timeout=60)
    connection.request(method, path, body, headers or {})
    reply = connection.getresponse()
    out = reply.read()
    connection.close()
    return reply.status, json.loads(out) if out else None


def hear(client):
    """(topic, payload, QoS) of the next message."""
    while True:
        kind, flags, body = client.packet()
        if kind == 3:
            topic, _, payload = RawMqtt.message(flags, body)
            return topic, payload, flags >> 1 & 3


def records(topic):
    return [r for r in platform.journal() if r.get("topic") == topic]


def publishing():
    listener = RawMqtt(platform.dev, "listener")
    listener.subscribe("dt/#", 1)
    for qos in (0, 1):
        status, body = post(truck, f"/topics/dt/truck/a?qos={qos}", b"payload %d" % qos)
        tap.equal((status, body and body["message"]), (200, "OK"), f"QoS {qos} is taken")
        tap.equal(hear(listener), ("dt/truck/a", b"payload %d" % qos, qos), f"and a subscriber gets it with QoS {qos}")
    tap.ok(post(truck, "/topics/dt%2Ftruck%2Fescaped", b"x", alpn="x-amzn-http-ca")[0] == 200 and hear(listener)[0] == "dt/truck/escaped",
           "slashes may be escaped, and the ALPN name of AWS is taken")
    status, _ = post(truck, "/topics/dt/truck/kept?qos=1&retain=true", b"kept")
    late = RawMqtt(platform.dev, "late")
    late.subscribe("dt/truck/kept", 1)
    tap.ok(status == 200 and hear(late)[1] == b"kept", "a retained one waits for its subscriber")
    tap.equal(len(records("dt/truck/a")), 1, "only what asks for QoS 1 is in the journal")


def properties():
    user = base64.b64encode(json.dumps([{"b": "2"}, {"a": "1"}, {"b": "3"}]).encode()).decode()
    status, _ = post(truck, "/topics/dt/truck/p?qos=1&contentType=text%2Fplain&responseTopic=dt%2Ftruck%2Fr&messageExpiry=600", b"p",
                     {"x-amz-mqtt5-user-properties": user, "x-amz-mqtt5-correlation-data": base64.b64encode(b"\x00\x01").decode(),
                      "x-amz-mqtt5-payload-format-indicator": "UTF8_DATA"})
    tap.equal(status, 200, "MQTT 5 properties are taken from query and headers")
    s = socket.create_connection(("127.0.0.1", platform.dev), timeout=60)
    s.sendall(b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3c\x00" + text("fivexx"))
    s.recv(4096)
    s.sendall(b"\x82\x10\x00\x01\x00" + text("dt/truck/p") + b"\x01")
    s.recv(4096)
    post(truck, "/topics/dt/truck/p?qos=1&contentType=text%2Fplain&responseTopic=dt%2Ftruck%2Fr&messageExpiry=600", b"p",
         {"x-amz-mqtt5-user-properties": user, "x-amz-mqtt5-correlation-data": base64.b64encode(b"\x00\x01").decode(),
          "x-amz-mqtt5-payload-format-indicator": "UTF8_DATA"})
    raw = s.recv(4096)
    wanted = {"content type": b"\x03" + text("text/plain"), "response topic": b"\x08" + text("dt/truck/r"), "correlation data": b"\x09\x00\x02\x00\x01",
              "payload format": b"\x01\x01", "user properties in order": b"".join(b"\x26" + text(n) + text(v) for n, v in (("b", "2"), ("a", "1"), ("b", "3")))}
    for name, part in wanted.items():
        tap.ok(part in raw, f"a version 5 subscriber gets the {name}", raw.hex())
    s.close()


def refusals():
    fake = stranger(platform.base / "strangers" / "truck", "truck")
    cases = [
        (None, "/topics/dt/truck/a", b"", {}, 401, "certificate", "nobody without a certificate"),
        (fake, "/topics/dt/truck/a", b"", {}, 401, "certificate", "no stranger's certificate"),
        (truck, "/topics/dt/other/a", b"", {}, 403, "policy", "not under another vehicle's name"),
        (truck, "/topics/dt/truck/a?qos=2", b"", {}, 400, "qos", "QoS 2 cannot be asked for"),
        (truck, "/topics/dt/truck/a?retain=maybe", b"", {}, 400, "retain", "a flag is true or false"),
        (truck, "/topics/dt/truck/%23", b"", {}, 400, "wildcard", "no wildcards"),
        (truck, "/topics/", b"", {}, 400, "topic", "no empty topic"),
        (truck, "/topics/dt/truck/a?messageExpiry=never", b"", {}, 400, "messageExpiry", "an expiry is a number"),
        (truck, "/topics/dt/truck/a", b"", {"x-amz-mqtt5-user-properties": "e30="}, 400, "user-properties", "user properties are an array"),
        (truck, "/topics/dt/truck/a", b"", {"x-amz-mqtt5-correlation-data": "?"}, 400, "correlation", "correlation data is base64"),
        (truck, "/topics/dt/truck/a", b"x" * (1 << 20) + b"x", {}, 413, "", "nothing larger than the packet limit"),
    ]
    for device, path, body, headers, status, part, name in cases:
        got = post(device, path, body, headers)
        tap.ok(got[0] == status and part.lower() in str(got[1]).lower(), name, got)
    tap.equal(post(truck, "/topics/dt/truck/a", method="GET")[0], 405, "only POST publishes")
    connection = http.client.HTTPConnection("127.0.0.1", platform.http, timeout=60)
    connection.request("POST", "/topics/dt/truck/a", b"x", {"Authorization": f"Bearer {platform.local['token']}"})
    tap.equal(connection.getresponse().status, 401, "a person's token is not a device's certificate")
    connection.close()
    tap.equal(len(records("dt/truck/a")), 1, "nothing refused is in the journal")
    platform.revoke(platform_spare)
    got = post(platform_spare, "/topics/dt/spare/a?qos=1", b"x")
    tap.ok(got[0] == 403 and "revoked" in str(got[1]), "a revoked certificate is told that it is", got)


# ---- MQTT over WebSocket ----


class Web:
    """A WebSocket client that sends just the frames that a test wants."""

    def __init__(self, device, protocol="mqtt", headers=""):
        self.socket = context(device, ca).wrap_socket(socket.create_connection(("127.0.0.1", platform.tls), timeout=60), server_hostname="localhost")
        offer = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
        self.socket.sendall((f"GET /mqtt HTTP/1.1\r\nHost: localhost:{platform.tls}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n{offer}{headers}\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                break
            self.buffer += more
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(self.head.split(b" ")[1]) if self.head else 0
        self.stream = b""

    def frame(self, payload, opcode=2, fin=True):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([(0x80 if fin else 0) | opcode]) + (bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size) if size < 65536 else b"\xff" + struct.pack(">Q", size))
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def read(self, n):
        while len(self.buffer) < n:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def next_frame(self):
        first, size = self.read(2)
        if size == 126:
            size = struct.unpack(">H", self.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.read(8))[0]
        return first & 15, self.read(size)

    def packet(self):
        """The next MQTT packet, out of as many binary frames as it takes."""
        while True:
            for n in range(2, min(6, len(self.stream)) + 1):
                if not self.stream[n - 1] & 0x80:
                    length = sum((b & 127) << (7 * i) for i, b in enumerate(self.stream[1:n]))
                    if len(self.stream) >= n + length:
                        out, self.stream = self.stream[:n + length], self.stream[n + length:]
                        return out
                    break
            opcode, payload = self.next_frame()
            if opcode != 2:
                raise AssertionError(f"frame of type {opcode}: {payload!r}")
            self.stream += payload


def connect_packet(client_id):
    body = text("MQTT") + bytes([4, 2]) + struct.pack(">H", 30) + text(client_id)
    return b"\x10" + varint(len(body)) + body


def publish_packet(topic, payload, packet_id):
    body = text(topic) + struct.pack(">H", packet_id) + payload
    return b"\x32" + varint(len(body)) + body


SUBSCRIBE = b"\x82" + varint(2 + len(text("dt/truck/w")) + 1) + b"\x00\x01" + text("dt/truck/w") + b"\x01"


def framing():
    web = Web(truck)
    tap.ok(web.status == 101 and b"Sec-WebSocket-Protocol: mqtt" in web.head, "the upgrade is taken, with its subprotocol", web.head)
    # everything at once, without waiting: CONNECT, SUBSCRIBE and PUBLISH in one frame
    web.frame(connect_packet("truck") + SUBSCRIBE + publish_packet("dt/truck/w", b"first", 2))
    got = [web.packet()[0] >> 4 for _ in range(4)]
    tap.equal(got[:2], [2, 9], "several packets in one frame: CONNACK, SUBACK")
    tap.equal(sorted(got[2:]), [3, 4], "and the message and its PUBACK")
    for byte in publish_packet("dt/truck/w", b"second", 3):
        web.frame(bytes([byte]))
    tap.equal(sorted(web.packet()[0] >> 4 for _ in range(2)), [3, 4], "one packet in many frames, a byte each")
    large = publish_packet("dt/truck/w", b"z" * 300000, 4)
    web.frame(large[:100000], fin=False)
    web.frame(b"hello", opcode=9)
    web.frame(large[100000:200000], opcode=0, fin=False)
    web.frame(large[200000:], opcode=0)
    opcode, payload = web.next_frame()
    tap.equal((opcode, payload), (10, b"hello"), "a ping between the fragments is answered")
    packets = [web.packet() for _ in range(2)]
    tap.ok(any(len(p) > 300000 for p in packets), "a large packet in fragments arrives whole", [(len(p), p[:24]) for p in packets])
    web.frame(b"", opcode=8)
    tap.equal(web.next_frame()[0], 8, "a close is answered with a close")


def bad_frames():
    web = Web(truck, protocol=None)
    tap.equal(web.status, 400, "without the subprotocol mqtt it is refused")
    web = Web(truck, headers="Origin: https://elsewhere.example\r\n")
    tap.equal(web.status, 403, "a page of another site is refused")
    web = Web(truck, headers=f"Origin: https://localhost:{platform.tls}\r\n")
    tap.equal(web.status, 101, "a page of this server is not")
    web.frame(connect_packet("truck"), opcode=1)
    opcode, payload = web.next_frame()
    tap.equal((opcode, payload[:2]), (8, struct.pack(">H", 1003)), "MQTT in a text frame ends with 1003")
    web = Web(truck)
    web.frame(b"\x10\x02xx")
    seen = []
    try:
        while True:
            seen.append(web.next_frame()[0])
    except (EOFError, OSError):
        pass
    tap.ok(seen and seen[-1] == 8, "malformed MQTT ends the WebSocket properly", seen)
    web = Web(truck)
    web.socket.sendall(b"\x82\x02ab")  # not masked
    tap.equal(web.next_frame()[0], 8, "an unmasked frame ends the connection")
    web = Web(truck)
    web.socket.sendall(b"\x82\xff" + struct.pack(">Q", 1 << 40) + b"abcd")
    opcode, payload = web.next_frame()
    tap.equal((opcode, payload[:2]), (8, struct.pack(">H", 1009)), "a frame of a terabyte is refused from its header")
    nobody = Web(None)
    nobody.frame(connect_packet("truck"))
    tap.equal(nobody.packet(), b"\x20\x02\x00\x05", "without a certificate CONNECT is refused")


def lost():
    """A client that vanishes: its will goes out, and the reason is told."""
    listener = RawMqtt(platform.dev, "listener2")
    listener.subscribe("dt/truck/gone", 1)
    web = Web(truck)
    body = text("MQTT") + bytes([4, 2 | 4 | 8]) + struct.pack(">H", 30) + text("truck") + text("dt/truck/gone") + text("lost")
    web.frame(b"\x10" + varint(len(body)) + body)
    web.packet()
    web.frame(struct.pack(">H", 1001), opcode=8)
    tap.equal(hear(listener)[:2], ("dt/truck/gone", b"lost"), "a WebSocket closed without DISCONNECT sends the will")
    event = wait_for(lambda: next((e for e in platform.events() if "WebSocket" in e["text"]), None), 5, "the event")
    tap.holds(event["text"], "1001", "and the event names the close code")


try:
    platform.start()
    truck, platform_spare = platform.vehicle("truck"), platform.vehicle("spare")
    ca = truck["ca"]
    for part in (publishing, properties, refusals, framing, bad_frames, lost):
        tap.guard(part.__name__, part)
    tap.equal(platform.stop(), 0, "motorcade stops cleanly")
finally:
    platform.close()
tap.done()
