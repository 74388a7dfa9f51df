"""A small MQTT 3.1.1 client on a blocking socket, for tests that must know exactly what was acknowledged. Standard library only."""
import socket
import ssl
import struct


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
    b = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(b)) + b


class RawMqtt:
    def __init__(self, port, client_id, tls=None, clean=True, keep_alive=30, timeout=60):
        """tls: a device of Platform.vehicle, or None. Connected when this returns; session_present tells."""
        self.buffer = b""
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                context = ssl.create_default_context(cafile=tls["ca"])
                context.load_cert_chain(tls["cert"], tls["key"])
                self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
            body = text("MQTT") + bytes([4, 2 if clean else 0]) + struct.pack(">H", keep_alive) + text(client_id)
            self.socket.sendall(b"\x10" + varint(len(body)) + body)
            kind, _, answer = self.packet()
        except (OSError, ssl.SSLError) as problem:
            raise Gone(str(problem)) from problem
        if kind != 2 or answer[1]:
            self.socket.close()
            raise Gone(f"refused with code {answer[1] if len(answer) > 1 else '?'}")
        self.session_present = bool(answer[0] & 1)

    def settimeout(self, seconds):
        self.socket.settimeout(seconds)

    def packet(self):
        """(type, flags, body) of the next packet; TimeoutError when none came in time, Gone at the end."""
        while True:
            got = self._take()
            if got:
                return got
            try:
                more = self.socket.recv(65536)
            except (socket.timeout, ssl.SSLWantReadError) as problem:
                raise TimeoutError from problem
            except OSError as problem:
                raise Gone(str(problem)) from problem
            if not more:
                raise Gone("closed")
            self.buffer += more

    def _take(self):
        b, length, at = self.buffer, 0, 1
        while True:
            if at >= len(b):
                return None
            length |= (b[at] & 127) << (7 * (at - 1))
            at += 1
            if not b[at - 1] & 128:
                break
        if len(b) < at + length:
            return None
        self.buffer = b[at + length:]
        return b[0] >> 4, b[0] & 15, b[at:at + length]

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as problem:
            raise Gone(str(problem)) from problem

    def publish(self, topic, payload, packet_id=0, dup=False, retain=False):
        """QoS 1 with a packet id, else QoS 0. Does not wait."""
        body = text(topic) + (struct.pack(">H", packet_id) if packet_id else b"") + payload
        self.send(bytes([0x30 | (2 if packet_id else 0) | (8 if dup else 0) | (1 if retain else 0)]) + varint(len(body)) + body)

    def publish_and_wait(self, topic, payload, packet_id=1):
        self.publish(topic, payload, packet_id)
        while True:
            kind, _, body = self.packet()
            if kind == 4 and struct.unpack(">H", body[:2])[0] == packet_id:
                return

    def subscribe(self, topic, qos=1, packet_id=1):
        body = struct.pack(">H", packet_id) + text(topic) + bytes([qos])
        self.send(b"\x82" + varint(len(body)) + body)
        while True:
            kind, _, answer = self.packet()
            if kind == 9:
                return answer[2]

    @staticmethod
    def message(flags, body):
        """(topic, packet id or 0, payload) of a PUBLISH."""
        n = struct.unpack(">H", body[:2])[0]
        topic, at = body[2:2 + n].decode(), 2 + n
        packet_id = 0
        if flags >> 1 & 3:
            packet_id, at = struct.unpack(">H", body[at:at + 2])[0], at + 2
        return topic, packet_id, body[at:]

    def acknowledge(self, packet_id):
        self.send(b"\x40\x02" + struct.pack(">H", packet_id))

    def close(self, goodbye=True):
        try:
            if goodbye:
                self.socket.sendall(b"\xe0\x00")
            self.socket.close()
        except OSError:
            pass
