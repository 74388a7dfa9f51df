#!/usr/bin/env python3
"""Plays the byte-level MQTT cases (contract iotcore, "Byte-level data format") against a server; prints TAP.

    mqtt_sequences.py --port 1883 [--host 127.0.0.1] [--data FOLDER] [--max-qos 1] [--only TEXT]

The folder is $MOTORCADE_DATA/mqtt, else ../shared/data/mqtt beside the checkout; absent: one loud skip.
What is compared, and how: see `Case`. Where we differ on purpose, EXCLUDED says why. Standard library only.
"""
import argparse
import json
import os
import re
import socket
import ssl
import struct
import sys

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, DISCONNECT = 2, 3, 4, 5, 6, 7, 9, 14
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"
EXCLUDED_MOST = 0.02  # of the cases of version 5

# (group, name as a regular expression, reason). Every line must still match a case when all cases are played.
EXCLUDED = [
    (r"v3\.1   CONNECT", r"1[04] ok ", "MQTT 3.1 is not spoken; 3.1.1 and 5 are"),
    (r"v5\.0   PUBLISH ALLOWED PROPERTIES", r"subscription-identifier=0x(8001|FF7F|808001|FFFF7F|80808001|FFFFFF7F) .*",
     "a client must not send a subscription identifier (MQTT 5.0, 3.3.4-6); the case wants it taken"),
    (r"v5\.0   PUBREC", r"50 unsolicited len=(2|4 ok)",
     "PUBREL says that nothing was sent under this identifier: 0x92 (MQTT 5.0, 3.6.2.1); the case wants no reason code"),
    (r"v5\.0   PUBREC ALLOWED PROPERTIES", r"50 with 2\*user-property",
     "PUBREL says that nothing was sent under this identifier: 0x92 (MQTT 5.0, 3.6.2.1); the case wants no reason code"),
]
# Both answers are right: the rule on direction (0x82) and the rule on reserved flags (0x81) are broken at once.
EITHER = [(r"v5\.0   SUBACK", r"9[28]"), (r"v5\.0   UNSUBACK", r"B2"), (r"v5\.0   CONNACK", r"2[124]|issue 2163 v5"),
          (r"v5\.0   PINGRESP", r"D[248]"), (r"v5\.0   AUTH", r"F[18]")]


class Mismatch(Exception):
    pass


class Closed(Exception):
    pass


def varint(n):
    out = bytearray()
    while True:
        n, low = n >> 7, n & 127
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def payload_bytes(text):
    """Hex bytes, grouped anyhow; newer files also use tokens: i 8, H k m s 16, L 32 bits, 'text', v or r variable-length integer."""
    if re.fullmatch(r"[0-9A-Fa-f\s]*", text):
        return bytes.fromhex("".join(text.split()))
    out, digits = b"", ""
    for word in re.findall(r"'[^']*'|\S+", text):
        if re.fullmatch(r"[0-9A-Fa-f]+", word):
            digits += word
            continue
        out, digits = out + bytes.fromhex(digits), ""
        if word[0] == "'":
            out += word[1:-1].encode()
        elif word[0] in "vr":
            out += varint(int(word[1:], 0))
        elif word[0] in "iHkmsL":
            out += struct.pack({"i": ">B", "L": ">I"}.get(word[0], ">H"), int(word[1:], 0))
        else:
            raise ValueError(f"unknown token {word!r}")
    return out + bytes.fromhex(digits)


def mqtt_string(text):
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


def connect_packet(version, client_id, user, password):
    name = "MQIsdp" if version == 3 else "MQTT"
    flags = 2 | (0x80 if user else 0) | (0x40 if password else 0)
    body = mqtt_string(name) + bytes([version, flags]) + struct.pack(">H", 60) + (b"\x00" if version == 5 else b"") + mqtt_string(client_id)
    return packet(0x10, body + (mqtt_string(user) if user else b"") + (mqtt_string(password) if password else b""))


class Connection:
    def __init__(self, options):
        raw = socket.create_connection((options.host, options.port), timeout=options.timeout)
        if options.cafile:
            context = ssl.create_default_context(cafile=options.cafile)
            if options.cert:
                context.load_cert_chain(options.cert, options.key)
            raw = context.wrap_socket(raw, server_hostname=options.host)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = raw
        self.data = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # closed already; the read that follows tells

    def more(self):
        try:
            got = self.socket.recv(65536)
        except socket.timeout:
            raise Mismatch("nothing came within the time limit") from None
        except OSError:
            got = b""
        if not got:
            raise Closed()
        self.data += got

    def read_packet(self):
        while True:
            for n in range(2, min(len(self.data), 5) + 1):
                if self.data[n - 1] < 128:
                    size = n + sum((b & 127) << 7 * i for i, b in enumerate(self.data[1:n]))
                    if len(self.data) >= size:
                        out, self.data = self.data[:size], self.data[size:]
                        return out
                    break
            self.more()

    def open_session(self, options, version, client_id):
        self.send(connect_packet(version, client_id, options.username, options.password))
        answer = self.read_packet()
        if answer[0] >> 4 != CONNACK or answer[3] != 0:
            raise Mismatch(f"default CONNECT refused: {answer.hex()}")


def helper_publishes(options, version, message):
    """A second client publishes and completes the handshake."""
    c = Connection(options)
    try:
        c.open_session(options, version, "helper")
        qos = int(message.get("qos", 0))
        body = mqtt_string(message["topic"]) + (b"\x00\x01" if qos else b"") + (b"\x00" if version == 5 else b"") + message["payload"].encode()
        c.send(packet(0x30 | qos << 1, body))
        if qos == 1 and c.read_packet()[0] >> 4 != PUBACK:
            raise Mismatch("helper got no PUBACK")
        if qos == 2:
            if c.read_packet()[0] >> 4 != PUBREC:
                raise Mismatch("helper got no PUBREC")
            c.send(packet(0x62, b"\x00\x01"))
            if c.read_packet()[0] >> 4 != PUBCOMP:
                raise Mismatch("helper got no PUBCOMP")
    except Closed:
        raise Mismatch("the server closed the helper's connection") from None
    finally:
        c.close()


def same(want, got, either):
    """Exact bytes, but: CONNACK by flags and code (its properties are the server's own), DISCONNECT by reason code (a reason string
    may follow), and an acknowledgement may leave out the advice 0x10, no matching subscribers."""
    if want == got:
        return True
    if want[0] != got[0]:
        return False
    kind = want[0] >> 4
    if kind == CONNACK:
        return want[2:4] == got[2:4]
    if kind == DISCONNECT:
        body = got[2 if got[1] < 128 else 3:]  # a reason string may need a two-byte length
        code = body[0] if body else 0
        return code == want[2] or (either and code in (0x81, 0x82))
    if kind in (PUBACK, PUBREC) and want[4:5] == b"\x10":
        return got[2:4] == want[2:4] and got[4:5] in (b"", b"\x00")
    return False


class Case:
    """One case: its messages in turn, then either the server has closed, or it still answers a PINGREQ. Before a close the server
    may always send a DISCONNECT, or refuse a CONNECT, with a reason code of 0x80 or more; where a DISCONNECT is expected, a bare
    close is right too."""

    def __init__(self, group, test):
        own = {k: v for k, v in group.items() if k not in ("tests", "comment")}
        own.update(test)
        self.group, self.name, self.messages = group["group"], test["name"], test["msgs"]
        self.version = own.get("ver", 4)
        self.connect = own.get("connect", True)
        self.closes = own.get("expect_disconnect", True)
        self.disabled = own.get("disable", False)
        self.excluded = False
        self.either = any(re.fullmatch(g, self.group) and re.fullmatch(n, self.name) for g, n in EITHER)

    def title(self):
        return f"{self.group} / {self.name}".replace("#", "sharp")

    def needs_qos2(self):
        for m in self.messages:
            if m["type"] == "publish":
                if int(m.get("qos", 0)) == 2:
                    return True
                continue
            raw = payload_bytes(m["payload"])
            if m["type"] == "recv" and (raw[0] >> 4 in (PUBREC, PUBREL, PUBCOMP) or (raw[0] >> 4 == SUBACK and raw[-1] == 2)):
                return True
            if m["type"] == "send" and not self.closes and raw and raw[0] & 0xF6 == 0x34:
                return True
        return False

    def skip_reason(self, options):
        if self.disabled:
            return "disabled in the data"
        if self.version == 3 and self.connect:
            return "MQTT 3.1 is not spoken; 3.1.1 and 5 are"
        for i, (group, name, reason) in enumerate(EXCLUDED):
            if re.fullmatch(group, self.group) and re.fullmatch(name, self.name):
                options.used.add(i)
                self.excluded = True
                return reason
        if options.max_qos < 2 and self.needs_qos2():
            return "QoS 2 is not offered"
        return None

    def play(self, options):
        c = Connection(options)
        try:
            if self.connect:
                c.open_session(options, self.version, options.client_id or self.group + self.name)
            for m in self.messages:
                self.message(c, options, m)
            self.ending(c)
        finally:
            c.close()

    def message(self, c, options, m):
        if m["type"] == "publish":
            helper_publishes(options, self.version, m)
            return
        raw = payload_bytes(m["payload"])
        if m["type"] == "send":
            c.send(raw)
            return
        try:
            got = c.read_packet()
        except Closed:
            if self.closes and raw[0] >> 4 == DISCONNECT:
                return
            raise Mismatch(f"expected {raw.hex()}, the server closed") from None
        if not same(raw, got, self.either):
            raise Mismatch(f"expected {raw.hex()}, got {got.hex()}")

    def ending(self, c):
        try:
            if not self.closes:
                c.send(PINGREQ)
                got = c.read_packet()
                if got != PINGRESP:
                    raise Mismatch(f"expected PINGRESP, got {got.hex()}")
                return
            got = c.read_packet()
            code = got[3] if got[0] >> 4 == CONNACK and len(got) > 3 else got[2] if got[0] >> 4 == DISCONNECT and len(got) > 2 else 0
            if code == 0 or (got[0] >> 4 == DISCONNECT and code < 0x80):
                raise Mismatch(f"expected a close, got {got.hex()}")
            got = c.read_packet()
            raise Mismatch(f"expected a close after the refusal, got {got.hex()}")
        except Closed:
            if not self.closes:
                raise Mismatch("expected an open connection, the server closed") from None


def clear_retained(options):
    """Cases retain a message on `topic`; a later one must not see it."""
    c = Connection(options)
    try:
        c.open_session(options, 4, options.client_id or "sequences-clean-up")
        for topic in ("topic", "p"):
            c.send(packet(0x31, mqtt_string(topic)))
        c.send(PINGREQ)
        while c.read_packet() != PINGRESP:
            pass
    except (Closed, Mismatch):
        pass  # the cases themselves tell what is wrong
    finally:
        c.close()


def load(folder):
    cases = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".json"):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                cases += [Case(group, test) for group in json.load(f) for test in group["tests"]]
    return cases


def arguments():
    here = os.path.dirname(os.path.abspath(__file__))
    data = os.environ.get("MOTORCADE_DATA") or os.path.join(here, "..", "..", "..", "shared", "data")
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--host", default="127.0.0.1")
    p.add_argument("--port", type=int, default=1883)
    p.add_argument("--data", default=os.path.join(data, "mqtt"), help="folder of the case files")
    p.add_argument("--timeout", type=float, default=2.0, help="seconds to wait for an answer or a close")
    p.add_argument("--max-qos", type=int, default=2, help="1: cases that need QoS 2 are skipped")
    p.add_argument("--only", default="", help="play cases whose title holds this text")
    p.add_argument("--client-id", default="", help="one client id for the default CONNECT of every case")
    p.add_argument("--username", default="")
    p.add_argument("--password", default="")
    p.add_argument("--cafile", default="", help="use TLS and trust this certificate")
    p.add_argument("--cert", default="")
    p.add_argument("--key", default="")
    return p.parse_args()


def main():
    options = arguments()
    options.used = set()
    if not os.path.isdir(options.data):
        print(f"ok 1 - byte-level MQTT cases # SKIP no folder {os.path.basename(options.data)} in the data: nothing was played\n1..1")
        return 0
    cases = [c for c in load(options.data) if options.only in c.title()]
    passed = failed = skipped = 0
    for number, case in enumerate(cases, 1):
        reason = case.skip_reason(options)
        if reason:
            skipped += 1
            print(f"ok {number} - {case.title()} # SKIP {reason}")
            continue
        clear_retained(options)
        try:
            case.play(options)
            passed += 1
            print(f"ok {number} - {case.title()}")
        except (Mismatch, Closed, OSError) as fault:
            failed += 1
            text = str(fault) or "the server closed the connection"
            print(f"not ok {number} - {case.title()}\n# {text}", flush=True)
    clear_retained(options)
    if not options.only:
        for i in set(range(len(EXCLUDED))) - options.used:
            failed += 1
            print(f"not ok - exclusion without a case: {EXCLUDED[i][0]} / {EXCLUDED[i][1]}")
        of_five = [c for c in cases if c.version == 5]
        out = sum(c.excluded for c in of_five)
        print(f"# of {len(of_five)} cases of version 5, {out} are excluded")
        if out > EXCLUDED_MOST * len(of_five):
            failed += 1
            print(f"not ok - at most {EXCLUDED_MOST:.0%} of version 5 are excluded")
    print(f"# {len(cases)} cases: {passed} passed, {failed} failed, {skipped} skipped with their reason")
    print(f"1..{len(cases)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
