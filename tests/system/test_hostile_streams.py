#!/usr/bin/env python3
"""10,000 malformed MQTT streams beside 1,000 good clients. Prints TAP.

The streams are mutated seeds: tests/format/corpus/mqtt, tests/gateway/corpus/link, and the byte-level cases of the data folder when it is here. Up to
300 at a time go to the plain port, and with a vehicle's certificate one in 20 each over TLS, inside WebSocket frames (mutated too), and as requests to
POST /topics (mutated seeds); each is left in pieces, half-closed, reset or held open for a moment.
The good clients, in a process of their own, publish QoS 1 slowly to a topic that they subscribe to, and ping: none is disconnected, every publish is
acknowledged and comes back exactly once in order. The server's memory does not follow the number of streams: the second half of them costs next to nothing.

MOTORCADE_HOSTILE_STREAMS and MOTORCADE_HOSTILE_SEED vary it.
"""
import asyncio
import json
import multiprocessing
import os
import pathlib
import random
import resource
import socket
import ssl
import struct
import sys
import time

from platform_under_test import ROOT, Platform, Tap, data_dir
from raw_mqtt import RawMqtt, text, varint

sys.path.insert(0, str(ROOT / "tests" / "gateway"))
from mqtt_sequences import connect_packet, payload_bytes  # noqa: E402

STREAMS = int(os.environ.get("MOTORCADE_HOSTILE_STREAMS", "10000"))
SEED = int(os.environ.get("MOTORCADE_HOSTILE_SEED", random.randrange(1 << 30)))
AT_ONCE, GOOD = 300, 1000
EACH_DOOR = int(os.environ.get("MOTORCADE_HOSTILE_DOORS", "20"))  # one in so many goes over TLS, over WebSocket, over HTTPS
KEEP_ALIVE_S, PUBLISH_EVERY_S, PING_EVERY_S = 10, 4, 5
GROWTH_MIB, SECOND_HALF_MIB = 16, 4
tap = Tap()


# ---- the good ones ----
class Good(asyncio.Protocol):
    def __init__(self, number, tally):
        self.topic, self.tally, self.buffer = f"good/{number}", tally, b""
        self.sent, self.acked, self.came, self.pings, self.pongs = 0, 0, [], 0, 0
        self.ready, self.leaving, self.sent_at = asyncio.get_running_loop().create_future(), False, {}

    def connection_made(self, transport):
        self.transport = transport
        body = text("MQTT") + bytes([4, 2]) + struct.pack(">H", KEEP_ALIVE_S) + text(self.topic.replace("/", "-"))
        subscribe = struct.pack(">H", 1) + text(self.topic) + b"\x01"
        transport.write(b"\x10" + varint(len(body)) + body + b"\x82" + varint(len(subscribe)) + subscribe)

    def connection_lost(self, problem):
        if not self.leaving:
            self.tally["disconnected"] += 1
            if not self.ready.done():
                self.ready.set_result(False)

    def data_received(self, data):
        self.buffer += data
        while len(self.buffer) >= 2 and len(self.buffer) >= 2 + self.buffer[1]:  # all that comes to it is short
            first, body, self.buffer = self.buffer[0], self.buffer[2:2 + self.buffer[1]], self.buffer[2 + self.buffer[1]:]
            self.take(first >> 4, first & 15, body)

    def take(self, kind, flags, body):
        if kind == 9:
            self.ready.set_result(True)
        elif kind == 4:
            self.acked += 1
            self.tally["slowest"] = max(self.tally["slowest"], time.monotonic() - self.sent_at.pop(struct.unpack(">H", body[:2])[0], time.monotonic()))
        elif kind == 13:
            self.pongs += 1
        elif kind == 3:
            _, packet_id, payload = RawMqtt.message(flags, body)
            self.came.append(int(payload))
            self.transport.write(b"\x40\x02" + struct.pack(">H", packet_id))

    def publish(self):
        packet_id = self.sent % 65535 + 1
        body = text(self.topic) + struct.pack(">H", packet_id) + b"%d" % self.sent
        self.sent_at[packet_id] = time.monotonic()
        self.transport.write(b"\x32" + varint(len(body)) + body)
        self.sent += 1

    def ping(self):
        self.pings += 1
        self.transport.write(b"\xc0\x00")


async def good_clients(port, pipe):
    loop, tally = asyncio.get_running_loop(), {"disconnected": 0, "slowest": 0.0}
    clients = [(await loop.create_connection(lambda n=n: Good(n, tally), "127.0.0.1", port))[1] for n in range(GOOD)]
    await asyncio.wait_for(asyncio.gather(*(c.ready for c in clients)), 120)
    pipe.send("ready")
    tick, ticks_a_second, count = 0.0, 20, 0
    began = time.monotonic()
    while not pipe.poll():
        for c in clients[count % (PUBLISH_EVERY_S * ticks_a_second)::PUBLISH_EVERY_S * ticks_a_second]:
            c.publish()
        for c in clients[count % (PING_EVERY_S * ticks_a_second)::PING_EVERY_S * ticks_a_second]:
            c.ping()
        count += 1
        tick = began + count / ticks_a_second
        await asyncio.sleep(max(0, tick - time.monotonic()))
    until = time.monotonic() + 60
    while time.monotonic() < until and not all(c.acked == c.sent == len(c.came) and c.pongs == c.pings for c in clients):
        await asyncio.sleep(0.05)
    tally.update(sent=sum(c.sent for c in clients), acked=sum(c.acked for c in clients), pings=sum(c.pings for c in clients), pongs=sum(c.pongs for c in clients),
                 wrong=[c.topic for c in clients if c.came != list(range(c.sent))])
    for c in clients:
        c.leaving = True
        c.transport.write(b"\xe0\x00")
        c.transport.close()
    await asyncio.sleep(0.2)
    pipe.send(tally)


def good_process(port, pipe):
    asyncio.run(good_clients(port, pipe))


# ---- the streams ----
def seeds():
    """(bytes) of whole conversations, from the client's side."""
    out = []
    for file in sorted((ROOT / "tests/format/corpus/mqtt").iterdir()):
        raw = file.read_bytes()
        version = 5 if raw[0] & 1 else 4
        out.append(raw[1:] if raw[1] >> 4 == 1 else connect_packet(version, "m-" + file.name, None, None) + raw[1:])
    for file in sorted((ROOT / "tests/gateway/corpus/link").iterdir()):
        raw = file.read_bytes()
        out.append((connect_packet(4 if raw[0] & 2 else 5, "l-" + file.name, None, None) if raw[0] & 1 else b"") + raw[1:])
    for file in sorted((data_dir() / "mqtt").glob("*.json")) if data_dir() else []:
        for group in json.loads(file.read_text()):
            version = 5 if "v5" in group.get("group", "") else 4
            for case in group.get("tests", []):
                try:
                    sent = b"".join(payload_bytes(m["payload"]) for m in case.get("msgs", []) if m.get("type") == "send" and "payload" in m)
                except ValueError:
                    continue
                if sent:
                    out.append((connect_packet(version, "d", None, None) if case.get("connect", True) else b"") + sent)
    return out


def mutate(rng, all_seeds):
    b = bytearray(rng.choice(all_seeds))
    for _ in range(rng.randint(1, 6)):
        at, how = rng.randrange(len(b) + 1), rng.randrange(8)
        if how == 0 and at < len(b):
            b[at] ^= 1 << rng.randrange(8)
        elif how == 1 and at < len(b):
            b[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif how == 2:
            b[at:at] = rng.randbytes(rng.randint(1, 40))
        elif how == 3:
            del b[at:at + rng.randint(1, 16)]
        elif how == 4:
            b[at:at] = b[max(0, at - rng.randint(1, 60)):at] * rng.randint(1, 20)
        elif how == 5:
            del b[at:]
        elif how == 6:
            b[at:] = rng.choice(all_seeds)[rng.randrange(20):]
        else:
            b[at:at + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x80\x80\x80\x01"))
    return bytes(b)


UPGRADE = (b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
REQUESTS = [b"POST /topics/dt/hostile-1/a?qos=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            b"POST /topics/dt%2Fhostile-1%2Fa?qos=1&retain=true&contentType=text%2Fplain&messageExpiry=600 HTTP/1.1\r\nHost: localhost\r\n"
            b"x-amz-mqtt5-user-properties: W3siYiI6IjIifV0=\r\nx-amz-mqtt5-correlation-data: AAE=\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            b"POST /topics/dt/hostile-1/b HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" * 3]


def frame(rng, payload, broken):
    """One masked binary frame; broken: something of it is not as RFC 6455 has it."""
    how = rng.randrange(8) if broken else 8
    mask, size = rng.randbytes(4), len(payload)
    first = {0: 0x82 | 0x40, 1: 0x81, 2: 0x02, 3: 0x80, 4: 0x89, 5: 0x8B}.get(how, 0x82)  # reserved bit; text; unfinished; nothing to continue; pings
    claimed = rng.choice((size + 1, 125, 126, 0x7FFFFFFF, (1 << 63) - 1, 1 << 63)) if how == 6 else size
    head = bytes([0x80 | claimed]) if claimed < 126 else b"\xfe" + struct.pack(">H", claimed) if claimed < 65536 else b"\xff" + struct.pack(">Q", claimed)
    if how == 7:  # without a mask
        return bytes([first, head[0] & 0x7F]) + head[1:] + payload
    return bytes([first]) + head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def in_frames(rng, stream):
    """A stream for the door of WebSockets: the request, then MQTT in frames, cut anywhere."""
    head = bytes(mutate(rng, [UPGRADE])) if rng.random() < 0.1 else UPGRADE
    cut = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.randrange(4)))
    return head + b"".join(frame(rng, stream[a:b], rng.random() < 0.3) for a, b in zip([0] + cut, cut + [len(stream)]))


async def one_stream(rng, stream, port, tls, tally):
    """Sends it in pieces; leaves it in one of four ways."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None), 10)
    except (OSError, ssl.SSLError, asyncio.TimeoutError) as problem:
        tally["no connection"] = tally.get("no connection", 0) + 1
        tally["last problem"] = repr(problem)
        return
    end = "left"
    try:
        cut = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.randrange(3)))
        for begin, stop in zip([0] + cut, cut + [len(stream)]):
            writer.write(stream[begin:stop])
            await asyncio.sleep(0)
        how = rng.randrange(4)
        if how == 1 and not tls:
            writer.write_eof()
        if how != 2:
            until = time.monotonic() + 0.15
            while time.monotonic() < until:
                try:
                    if not await asyncio.wait_for(reader.read(65536), until - time.monotonic()):
                        end = "ended by the server"
                        break
                except asyncio.TimeoutError:
                    break
        if how >= 2 and not tls:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
    except (OSError, ssl.SSLError):
        end = "ended by the server"
        writer.close()
    tally[end] = tally.get(end, 0) + 1


doors = {}


async def storm(rng, streams, platform, device, tally):
    context = ssl.create_default_context(cafile=device["ca"])
    context.load_cert_chain(device["cert"], device["key"])
    queue = iter(enumerate(streams))

    async def worker():
        for n, stream in queue:
            door = {0: "TLS", 1: "WebSocket", 2: "HTTPS"}.get(n % EACH_DOOR)
            if door == "WebSocket":
                stream = in_frames(rng, stream)
            elif door == "HTTPS":
                stream = mutate(rng, REQUESTS)
            doors[door or "plain"] = doors.get(door or "plain", 0) + 1
            await one_stream(rng, stream, {None: platform.dev, "TLS": platform.mqtt}.get(door, platform.tls), context if door else None, tally)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


def settled_mib(platform):
    """Once the connections of the streams have gone."""
    until = time.monotonic() + 60
    while time.monotonic() < until and (platform.metric("motorcade_mqtt_connections") or 0) > GOOD:
        time.sleep(0.1)
    time.sleep(0.5)
    return resident_mib(platform.process.pid)


def fill_the_tail(platform, device):
    """The journal keeps its last 16 MiB in memory, whoever writes them: they are there before anything is counted."""
    client = RawMqtt(platform.mqtt, device["name"], device, timeout=60)
    for n in range(40):
        client.publish_and_wait(f"dt/{device['name']}/fill", bytes(500_000), n + 1)
    client.close()


soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192) if hard != resource.RLIM_INFINITY else 8192, hard))
rng = random.Random(SEED)
all_seeds = seeds()
streams = [mutate(rng, all_seeds) for _ in range(STREAMS)]
tap.note(f"{STREAMS} streams from {len(all_seeds)} seeds, MOTORCADE_HOSTILE_SEED={SEED}")
platform = Platform()
helper = None
try:
    platform.start()
    device = platform.vehicle("hostile-1")
    pipe, theirs = multiprocessing.Pipe()
    helper = multiprocessing.get_context("fork").Process(target=good_process, args=(platform.dev, theirs), daemon=True)
    helper.start()
    tap.ok(pipe.poll(150) and pipe.recv() == "ready", f"{GOOD} good clients are connected")
    fill_the_tail(platform, device)
    tally, memory = {}, [settled_mib(platform)]
    began = time.monotonic()
    for half in (streams[:STREAMS // 2], streams[STREAMS // 2:]):
        asyncio.run(storm(rng, half, platform, device, tally))
        memory.append(settled_mib(platform))
    took = time.monotonic() - began
    pipe.send("stop")
    good = pipe.recv() if pipe.poll(90) else {}
    tap.note(f"{took:.1f} s; {tally}; doors: {doors}")
    tap.equal(platform.process.poll(), None, "motorcade still runs")
    tap.ok(tally.get("no connection", 0) <= STREAMS // 100, "the streams found an open door", tally)
    tap.ok(tally.get("ended by the server", 0) >= STREAMS // 4, "a good part of them was ended by the server", tally)
    tap.equal(good.get("disconnected"), 0, "no good client was disconnected")
    tap.equal(good.get("acked"), good.get("sent"), f"each of their {good.get('sent')} publishes was acknowledged, the slowest after {good.get('slowest', 0):.2f} s")
    tap.equal(good.get("pongs"), good.get("pings"), "each of their pings was answered")
    tap.equal(good.get("wrong"), [], "what each published came back to it exactly once and in order")
    tap.note("resident MiB before, after each half: " + ", ".join(f"{m:.1f}" for m in memory))
    tap.ok(memory[2] - memory[0] <= GROWTH_MIB, f"memory came back: {memory[2] - memory[0]:.1f} MiB more than before", f"at most {GROWTH_MIB}")
    tap.ok(memory[2] - memory[1] <= SECOND_HALF_MIB, f"the second half of the streams cost {memory[2] - memory[1]:.1f} MiB", f"at most {SECOND_HALF_MIB}")
    tap.equal(platform.stop(), 0, "motorcade stops cleanly")
finally:
    if helper and helper.is_alive():
        helper.kill()
    platform.close()
tap.done()
