#!/usr/bin/env python3
"""Services sign in without a certificate: SCRAM-SHA-256 by enhanced authentication (MQTT 5.0, 4.12; RFC 7677), again while connected, and as user name
and password; what is refused, and where. The SCRAM client here is this test's own. Prints TAP."""
import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct

from platform_under_test import Platform, Tap, wait_for
from raw_mqtt import text, varint

tap = Tap()
PASSWORD = "correct-horse-battery"
METHOD = "SCRAM-SHA-256"


class Scram:
    def __init__(self, name, password):
        self.name, self.password = name, password
        self.nonce = base64.b64encode(os.urandom(12)).decode()
        self.bare = f"n={name},r={self.nonce}"

    def first(self):
        return ("n,," + self.bare).encode()

    def final(self, server_first):
        server_first = server_first.decode()
        facts = dict(part.split("=", 1) for part in server_first.split(","))
        assert facts["r"].startswith(self.nonce) and int(facts["i"]) >= 4096
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(facts["s"]), int(facts["i"]))
        client = hmac.digest(salted, b"Client Key", "sha256")
        without = f"c=biws,r={facts['r']}"
        auth = f"{self.bare},{server_first},{without}".encode()
        proof = bytes(a ^ b for a, b in zip(client, hmac.digest(hashlib.sha256(client).digest(), auth, "sha256")))
        self.verify = b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256"))
        return f"{without},p={base64.b64encode(proof).decode()}".encode()


class Wire:
    """MQTT 5 over TLS, packet by packet. Each from an address of its own, unless one is named: guessing is counted by address, too."""

    addresses = 0

    def __init__(self, port, alpn=None, cert=None, address=None):
        Wire.addresses += 1
        address = address or f"127.0.1.{Wire.addresses}"
        context = ssl.create_default_context(cafile=truck["ca"])
        if alpn:
            context.set_alpn_protocols([alpn])
        if cert:
            context.load_cert_chain(cert["cert"], cert["key"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(address, 0)), server_hostname="localhost")
        self.buffer = b""

    def send(self, kind, body, flags=0):
        self.socket.sendall(bytes([kind << 4 | flags]) + varint(len(body)) + body)

    def receive(self):
        """(type, body), or (0, b'') when the connection ended."""
        while True:
            for n in range(2, min(6, len(self.buffer)) + 1):
                if not self.buffer[n - 1] & 0x80:
                    size = sum((b & 127) << (7 * i) for i, b in enumerate(self.buffer[1:n]))
                    if len(self.buffer) >= n + size:
                        out, self.buffer = self.buffer[:n + size], self.buffer[n + size:]
                        return out[0] >> 4, out[n:]
                    break
            try:
                more = self.socket.recv(65536)
            except OSError:
                more = b""
            if not more:
                return 0, b""
            self.buffer += more

    def connect(self, client_id, method=None, data=b"", username=None, password=None, version=5):
        props = (b"\x15" + text(method) if method else b"") + (b"\x16" + text(data) if data else b"")
        flags = 2 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
        body = text("MQTT") + bytes([version, flags]) + struct.pack(">H", 60) + (varint(len(props)) + props if version == 5 else b"") + text(client_id)
        for part in (username, password):
            if part is not None:
                body += text(part)
        self.send(1, body)
        return self.receive()

    def auth(self, code, method, data=b""):
        props = b"\x15" + text(method) + (b"\x16" + text(data) if data else b"")
        self.send(15, bytes([code]) + varint(len(props)) + props)
        return self.receive()

    def subscribe(self, topic):
        self.send(8, b"\x00\x01\x00" + text(topic) + b"\x01", 2)
        return self.receive()


def properties(raw):
    """Of CONNACK, AUTH and DISCONNECT, as far as this test needs them."""
    size, at = raw[0], 1
    found = {}
    end = at + size
    while at < end:
        kind = raw[at]
        at += 1
        if kind in (0x15, 0x16, 0x1F, 0x12, 0x1A):
            n = struct.unpack(">H", raw[at:at + 2])[0]
            found[kind] = raw[at + 2:at + 2 + n]
            at += 2 + n
        else:
            at += {0x11: 4, 0x21: 2, 0x24: 1, 0x27: 4, 0x22: 2, 0x13: 2, 0x25: 1, 0x28: 1, 0x29: 1, 0x2A: 1}[kind]
    return found


def sign_in(wire, name="desk", password=PASSWORD, client_id="desk"):
    """(scram, code of the CONNACK or AUTH at the end, its properties)."""
    scram = Scram(name, password)
    kind, body = wire.connect(client_id, METHOD, scram.first())
    if kind != 15:
        return scram, body[1], properties(body[2:])
    assert body[0] == 0x18, body
    kind, body = wire.auth(0x18, METHOD, scram.final(properties(body[1:])[0x16]))
    assert kind == 2, (kind, body)
    return scram, body[1], properties(body[2:])


def by_scram():
    wire = Wire(platform.tls, "mqtt")
    scram, code, props = sign_in(wire)
    tap.equal(code, 0, "a service that knows its password gets in by SCRAM-SHA-256")
    tap.equal((props.get(0x15), props.get(0x16)), (METHOD.encode(), scram.verify), "the CONNACK names the method and proves that the server knows the password, too")
    tap.equal(wire.subscribe("dt/#")[1][-1], 1, "its policy decides: what it names is granted")
    tap.equal(wire.subscribe("vehicles/#")[1][-1], 0x87, "and nothing else")
    # again, while connected
    again = Scram("desk", PASSWORD)
    kind, body = wire.auth(0x19, METHOD, again.first())
    tap.equal((kind, body[0]), (15, 0x18), "it may sign in again while it is connected")
    kind, body = wire.auth(0x18, METHOD, again.final(properties(body[1:])[0x16]))
    tap.equal((kind, body[0], properties(body[1:]).get(0x16)), (15, 0, again.verify), "AUTH 0x00 with the server's proof ends that")
    wire.send(12, b"")
    tap.equal(wire.receive()[0], 13, "and the connection goes on")
    wrong = Scram("desk", "not-the-password")
    kind, body = wire.auth(0x19, METHOD, wrong.first())
    kind, body = wire.auth(0x18, METHOD, wrong.final(properties(body[1:])[0x16]))
    tap.equal((kind, body[0]), (14, 0x87), "a wrong password then ends it with DISCONNECT 0x87")
    wire = Wire(platform.tls, "mqtt")
    sign_in(wire)
    kind, body = wire.auth(0x19, METHOD, Scram("other", PASSWORD).first())
    tap.equal((kind, body[0]), (14, 0x87), "nobody signs in again as somebody else")


def refusals():
    _, code, props = sign_in(Wire(platform.tls, "mqtt"), password="not-the-password")
    tap.ok(code == 0x87 and b"wrong" in props[0x1F], "a wrong password is refused", code, props)
    _, code, other = sign_in(Wire(platform.tls, "mqtt"), name="nobody")
    tap.ok(code == 0x87 and other[0x1F] == props[0x1F], "a name that nobody has looks the same", other)
    kind, body = Wire(platform.tls, "mqtt").connect("desk", "KERBEROS", b"x")
    tap.equal((kind, body[1]), (2, 0x8C), "an unknown method is refused with 0x8C")
    kind, body = Wire(platform.tls, "mqtt").connect("desk", METHOD, b"nonsense")
    tap.equal((kind, body[1]), (2, 0x82), "a broken first message is a protocol error")
    _, code, _ = sign_in(Wire(platform.tls, "mqtt"), client_id="truck")
    tap.equal(code, 0x85, "a service does not take a vehicle's client id")
    wire = Wire(platform.tls, "mqtt")
    scram = Scram("desk", PASSWORD)
    wire.connect("desk", METHOD, scram.first())
    wire.send(3, text("dt/x") + b"\x00y")
    kind, body = wire.receive()
    tap.ok(kind in (2, 14) and 0x82 in body[:2], "a publish before the CONNACK ends it", kind, body)
    kind, body = Wire(platform.mqtt).connect("desk", METHOD, Scram("desk", PASSWORD).first())
    tap.ok(kind == 2 and body[1] == 0x8C and b"certificate" in body, "the port for certificates takes no password", body)
    wire = Wire(platform.tls, "mqtt")
    sign_in(wire, client_id="desk/2")
    wire.send(15, b"\x19\x00")
    tap.equal(wire.receive()[1][0], 0x82, "AUTH without the method is a protocol error")
    wire = Wire(platform.tls, "mqtt", truck)
    tap.equal(wire.connect("truck")[1][1], 0, "a certificate gets in on the same port")
    kind, body = wire.auth(0x19, METHOD, Scram("desk", PASSWORD).first())
    tap.equal((kind, body[0]), (14, 0x82), "but does not change into a service")


def by_password():
    for version in (5, 4):
        kind, body = Wire(platform.tls, "mqtt").connect("desk", username="desk", password=PASSWORD, version=version)
        tap.equal((kind, body[1]), (2, 0), f"user name and password get in over TLS, MQTT {'5' if version == 5 else '3.1.1'}")
        kind, body = Wire(platform.tls, "mqtt").connect("desk", username="desk", password="not-the-password", version=version)
        tap.equal((kind, body[1]), (2, 0x87 if version == 5 else 5), "a wrong one does not")
    kind, body = Wire(platform.mqtt).connect("desk", username="desk", password=PASSWORD)
    tap.equal((kind, body[1]), (2, 0x87), "nor a right one on the port for certificates")
    kind, body = Wire(platform.tls, "x-amzn-mqtt-ca").connect("desk", username="desk", password=PASSWORD)
    tap.equal((kind, body[1]), (2, 0x87), "nor where ALPN says that a certificate comes")


def life():
    wire = Wire(platform.tls, "mqtt")
    sign_in(wire)
    other = platform.base / "other"
    other.write_text("another-good-password")
    platform.command("service", "password", "desk", "--password-file", str(other))
    kind, body = wire.receive()
    tap.equal((kind, body[0]), (14, 0x87), "a new password ends the sessions of the old one")
    tap.equal(sign_in(Wire(platform.tls, "mqtt"))[1], 0x87, "the old one is refused")
    wire = Wire(platform.tls, "mqtt")
    tap.equal(sign_in(wire, password="another-good-password")[1], 0, "the new one is taken")
    platform.command("service", "disable", "desk")
    tap.equal(wire.receive()[1][0], 0x87, "disabling ends its session")
    tap.equal(sign_in(Wire(platform.tls, "mqtt"), password="another-good-password")[1], 0x87, "and it does not get in again")
    platform.command("service", "enable", "desk")
    platform.kill()
    platform.start()
    tap.equal(sign_in(Wire(platform.tls, "mqtt"), password="another-good-password")[1], 0, "enabled it does, after kill -9 too")
    listed = platform.command("service", "list")
    tap.ok("desk" in listed and "yes" in listed, "it is listed", listed)
    short = platform.base / "short"
    short.write_text("short")
    done = platform.command("service", "create", "weak", "--policy", str(policy), "--password-file", str(short), check=False)
    tap.ok(done.returncode and "12" in done.stderr and "weak" not in platform.command("service", "list"), "a short password is refused before anything is made", done.stderr)


def guessing():
    """After five tries one must wait: by name from wherever, by address whatever the name."""
    codes = [sign_in(Wire(platform.tls, "mqtt"), name="guessed", password="guess-guess-guess")[1] for _ in range(8)]
    tap.ok(codes[0] == 0x87 and codes[-1] == 0x9F, "guessing one name is slowed down", codes)
    codes = [sign_in(Wire(platform.tls, "mqtt", address="127.0.2.1"), name=f"guessed-{i}", password="guess-guess-guess")[1] for i in range(8)]
    tap.ok(codes[0] == 0x87 and codes[-1] == 0x9F, "and so is guessing from one address", codes)


platform = Platform()
try:
    platform.start()
    truck = platform.vehicle("truck")
    policy = platform.base / "policy.json"
    policy.write_text('{"publish":["cmd/#"],"subscribe":["dt/#"]}')
    secret = platform.base / "secret"
    secret.write_text(PASSWORD + "\n")
    platform.command("service", "create", "desk", "--policy", str(policy), "--password-file", str(secret))
    platform.command("service", "create", "other", "--policy", str(policy), "--password-file", str(secret))
    for part in (by_scram, refusals, by_password, life, guessing):
        tap.guard(part.__name__, part)
    stored = b"".join(p.read_bytes() for p in platform.data.rglob("*") if p.is_file())
    tap.ok(PASSWORD.encode() not in stored and b"another-good-password" not in stored, "no password stands in any file")
    tap.equal(platform.stop(), 0, "motorcade stops cleanly")
finally:
    platform.close()
tap.done()
