"""MQTT 5 as AWS's agent speaks it (contract fleetwise 2): mutual TLS with ALPN x-amzn-mqtt-ca on a port that others share, a user name that nobody knows, no password, one
SUBSCRIBE a topic, QoS 1, no properties in what it publishes. Standard library only."""
import select
import socket
import ssl
import struct
import time

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
USER = "?SDK=IoTDeviceSDK/CPP&Platform=Unix&Metadata=(CRTVersion=0.43.5;Double=1)"
ALPN = "x-amzn-mqtt-ca"
PAYLOAD_MAX = 131072  # of what a vehicle publishes


class Gone(Exception):
    """The connection ended or was refused."""


def varint(n):
    out = bytearray()
    while True:
        n, low = n >> 7, n & 127
        out.append(low | (128 if n else 0))
        if not n:
            return bytes(out)


def text(s):
    b = s.encode()
    return struct.pack(">H", len(b)) + b


def length_at(data, at):
    """(a variable byte integer, where it ends); (None, at) when it is cut off."""
    value = 0
    for shift in range(0, 28, 7):
        if at >= len(data):
            return None, at
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise Gone("a length of more than four bytes")


class Mqtt5:
    """Connected when this returns: session_present, alpn, and `code` of the CONNACK are known."""

    def __init__(self, endpoint, port, client_id, ca=None, cert=None, key=None, keep_alive=1200, session_expiry=0, ping_timeout=30, timeout=10):
        self.buffer, self.packet_id, self.waiting = b"", 0, {}
        self.keep_alive, self.ping_timeout, self.pinged, self.timeout = keep_alive, ping_timeout, None, timeout
        try:
            # No file names an address of this machine: endpointUrl is SNI, and what the certificate must be for.
            plain = socket.create_connection(("127.0.0.1", port), timeout=timeout)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = ssl.create_default_context(cafile=ca)
            context.load_cert_chain(cert, key)
            context.set_alpn_protocols([ALPN])
            self.socket = context.wrap_socket(plain, server_hostname=endpoint)
            self.alpn = self.socket.selected_alpn_protocol()
            properties = b"\x11" + struct.pack(">I", session_expiry) if session_expiry else b""
            body = text("MQTT") + bytes([5, 0x80 | (0 if session_expiry else 2)]) + struct.pack(">H", keep_alive) + varint(len(properties)) + properties + text(client_id) + text(USER)
            self.send(b"\x10" + varint(len(body)) + body)
            kind, _, answer = self.packet(timeout)
        except (OSError, ssl.SSLError) as problem:
            raise Gone(str(problem)) from problem
        if kind != CONNACK or answer[1]:
            self.close(False)
            raise Gone(f"refused with reason {answer[1] if len(answer) > 1 else '?'}")
        self.session_present = bool(answer[0] & 1)

    def fileno(self):
        return self.socket.fileno()

    def send(self, data):
        try:
            self.socket.settimeout(self.timeout)
            self.socket.sendall(data)
            self.socket.settimeout(0)  # what is readable may be a session ticket, and nothing for us
        except (OSError, ssl.SSLError) as problem:
            raise Gone(str(problem)) from problem
        self.last_sent = time.monotonic()

    # ---- receiving ----
    def _take(self):
        if len(self.buffer) < 2:
            return None
        length, at = length_at(self.buffer, 1)
        if length is None or len(self.buffer) < at + length:
            return None
        head, body = self.buffer[0], self.buffer[at:at + length]
        self.buffer = self.buffer[at + length:]
        return head >> 4, head & 15, body

    def packet(self, seconds):
        """The next packet, or None when none came in time."""
        until = time.monotonic() + seconds
        while True:
            got = self._take()
            if got:
                return got
            left = until - time.monotonic()
            if not self.socket.pending() and not select.select([self.socket], [], [], max(left, 0))[0]:
                return None
            try:
                more = self.socket.recv(262144)
            except ssl.SSLWantReadError:
                continue
            except (OSError, ssl.SSLError) as problem:
                raise Gone(str(problem)) from problem
            if not more:
                raise Gone("closed")
            self.buffer += more

    def next(self, seconds):
        """("message", topic, payload), ("acked", token, reason), or None: what the agent acts upon. Answers pings and acknowledges what came."""
        until = time.monotonic() + seconds
        while True:
            self._keep_alive()
            got = self.packet(max(until - time.monotonic(), 0))
            if not got:
                return None
            kind, flags, body = got
            if kind == PUBLISH:
                return self._message(flags, body)
            if kind == PUBACK:
                token = self.waiting.pop(struct.unpack(">H", body[:2])[0], None)
                return "acked", token, body[2] if len(body) > 2 else 0
            if kind == PINGRESP:
                self.pinged = None
            elif kind == DISCONNECT:
                raise Gone(f"told to go with reason {body[0] if body else 0}")

    def _message(self, flags, body):
        n = struct.unpack(">H", body[:2])[0]
        topic, at = body[2:2 + n].decode(), 2 + n
        packet_id = 0
        if flags >> 1 & 3:
            packet_id, at = struct.unpack(">H", body[at:at + 2])[0], at + 2
        properties, at = length_at(body, at)
        if packet_id:
            self.send(b"\x40\x02" + struct.pack(">H", packet_id))
        return "message", topic, body[at + properties:]

    def _keep_alive(self):
        now = time.monotonic()
        if self.pinged and now - self.pinged > self.ping_timeout:
            raise Gone("no answer to a ping")
        if not self.pinged and self.keep_alive and now - self.last_sent > self.keep_alive:
            self.send(b"\xc0\x00")
            self.pinged = now

    # ---- sending ----
    def _next_id(self):
        while True:
            self.packet_id = self.packet_id % 65535 + 1
            if self.packet_id not in self.waiting:
                return self.packet_id

    def publish(self, topic, payload, token):
        """QoS 1; its acknowledgement is told by next() with the token."""
        packet_id = self._next_id()
        body = text(topic) + struct.pack(">H", packet_id) + b"\x00" + payload
        self.waiting[packet_id] = token
        self.send(b"\x32" + varint(len(body)) + body)

    def subscribe(self, topic, timeout=10):
        """(reason code, messages that came meanwhile)."""
        packet_id = self._next_id()
        body = struct.pack(">H", packet_id) + b"\x00" + text(topic) + b"\x01"
        self.send(b"\x82" + varint(len(body)) + body)
        meanwhile, until = [], time.monotonic() + timeout
        while True:
            got = self.packet(max(until - time.monotonic(), 0))
            if not got:
                raise Gone("no answer to SUBSCRIBE")
            kind, flags, answer = got
            if kind == SUBACK and struct.unpack(">H", answer[:2])[0] == packet_id:
                return answer[-1], meanwhile
            if kind == PUBLISH:
                meanwhile.append(self._message(flags, answer))
            elif kind == PUBACK:
                self.waiting.pop(struct.unpack(">H", answer[:2])[0], None)
            elif kind == DISCONNECT:
                raise Gone(f"told to go with reason {answer[0] if answer else 0}")

    def close(self, goodbye=True):
        try:
            if goodbye:
                self.send(b"\xe0\x00")
            self.socket.close()
        except (OSError, ssl.SSLError, AttributeError, Gone):
            pass
