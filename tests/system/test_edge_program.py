#!/usr/bin/env python3
"""The command line of motorcade-edge: what it says to wrong input, and what it does against a broker, a listener that stalls, and nothing.

Standard library only; the broker is the machine's mosquitto, and documents are written here, byte by byte as FleetWise draws them.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from platform_under_test import EDGE, Tap, free_port, wait_for  # noqa: E402

tap = Tap()
work = pathlib.Path(tempfile.mkdtemp(prefix="motorcade-edge-test-"))
NAMED = ["--name", "car-1", "--plain", "--endpoint", "127.0.0.1:1"]


def run(*arguments, timeout=120):
    return subprocess.run([EDGE, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def write(name, content):
    path = work / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# ---- FleetWise documents, as far as these tests need them ----
def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def number(tag, n):
    return varint(tag << 3) + varint(n)


def data(tag, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(tag << 3 | 2) + varint(len(content)) + content


def double(tag, value):
    return varint(tag << 3 | 1) + struct.pack("<d", value)


def manifest(interface):
    """One signal: 16 bits, little-endian, of frame 0x100."""
    return data(1, "m-1") + data(2, number(1, 7) + data(2, interface) + number(3, 0x100) + number(6, 0) + double(7, 0) + double(8, 0.5) + number(9, 16))


def schemes():
    every_100_ms = data(5, number(1, 100))
    return data(1, data(1, "c-1") + data(2, "m-1") + number(3, 1) + number(4, 4102444800000) + every_100_ms + data(9, number(1, 7) + number(2, 100)))


LOG = "".join(f"({1700000000 + i / 100:.6f}) can0 100#{i & 255:02X}00\n" for i in range(200))


class Broker:
    """The machine's mosquitto on a port of its own, with one subscriber whose lines are kept."""

    def __init__(self):
        self.port = free_port()
        config = write("mosquitto.conf", f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type none\n")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers, 10, "mosquitto")
        self.seen = []
        self.subscriber = subprocess.Popen(["mosquitto_sub", "-p", str(self.port), "-q", "1", "-t", "#", "-t", "$aws/#", "-F", "%t %x"], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=lambda: self.seen.extend(iter(self.subscriber.stdout.readline, "")), daemon=True).start()
        wait_for(self.listens, 10, "mosquitto_sub")

    def listens(self):
        self.publish("probe", b"1")
        time.sleep(0.05)
        return any(line.startswith("probe ") for line in self.seen)

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def publish(self, topic, payload, retain=False):
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-q", "1", "-t", topic, "-s"] + (["-r"] if retain else []), input=payload, check=True, timeout=60)

    def payloads(self, topic):
        return [bytes.fromhex(line.split()[1]) for line in list(self.seen) if line.startswith(topic + " ") and len(line.split()) > 1]

    def close(self):
        for process in (self.subscriber, self.process):
            process.terminate()
            process.wait(60)


# ---- what it says ----
def test_help_and_version():
    for flag in ("--help", "-h"):
        done = run(flag)
        tap.equal(done.returncode, 0, f"{flag} ends with 0")
        for option in ("--endpoint", "--cert", "--replay", "--bus", "--channel-map", "--config"):
            tap.holds(done.stdout, option, f"{flag} tells of {option}")
    done = run("--version")
    tap.ok(done.returncode == 0 and done.stdout.startswith("motorcade-edge ") and done.stdout.split()[1][0].isdigit(), "--version tells a version", done.stdout)


def test_refusals():
    good = write("good.log", LOG)
    bad_json = write("bad.json", '{"name": "car-1",\n  "endpoint" "x"}')
    text_file = write("notes.txt", "dear diary\nnothing here is a frame\n")
    not_pem = write("key.pem", "not a certificate\n")
    cut_mf4 = write("cut.mf4", b"MDF     4.10    " + b"\0" * 40)
    tls = ["--name", "car-1", "--endpoint", "127.0.0.1:1"]
    cases = [  # arguments; what the text must hold
        (["--frobnicate"], ["--frobnicate", "not an option", "--help"]),
        (["stray"], ["stray", "not an option"]),
        (["--name"], ["--name", "needs a value"]),
        (["--plain=yes"], ["--plain", "no value"]),
        (["--name", "", "--plain", "--endpoint", "x"], ["--name", "empty"]),
        ([], ["--endpoint"]),
        (["--endpoint", "localhost"], ["--name"]),
        (["--endpoint", "localhost:99999", "--name", "c", "--plain"], ["localhost:99999", "HOST:PORT"]),
        (["--endpoint", "localhost:", "--name", "c", "--plain"], ["--endpoint", "HOST:PORT"]),
        (["--endpoint", "localhost", "--name", "c"], ["--cert", "--key"]),
        (NAMED + ["--cert", "x"], ["--plain", "exclude"]),
        (NAMED + ["--replay", good, "--bus", "udp://239.255.77.1:5577/"], ["--replay", "--bus"]),
        (NAMED + ["--keep-alive-s", "0"], ["--keep-alive-s", "from 1 to 65535"]),
        (NAMED + ["--keep-alive-s", "1.5"], ["--keep-alive-s", "whole number"]),
        (NAMED + ["--speed", "fast"], ["--speed", "fast", "number"]),
        (NAMED + ["--log-level", "loud"], ["--log-level", "loud", "debug"]),
        (NAMED + ["--log", "xml"], ["--log", "xml", "json"]),
        (NAMED + ["--replay", work / "none.log"], ["none.log"]),
        (NAMED + ["--replay", work], [str(work)]),
        (NAMED + ["--replay", text_file], ["notes.txt"]),
        (NAMED + ["--replay", cut_mf4], ["cut.mf4"]),
        (NAMED + ["--replay", good, "--channel-map", "9=can9:"], ["channel map"]),
        (NAMED + ["--bus", "tcp://x"], ["tcp://x", "udp://"]),
        (NAMED + ["--bus", "udp://127.0.0.1:5577/?speed=1"], ["speed=1", "ttl"]),
        (NAMED + ["--data", good], [str(good)]),
        (tls + ["--cert", work / "none.pem", "--key", not_pem], ["none.pem"]),
        (tls + ["--cert", not_pem, "--key", not_pem], ["certificate"]),
        (["--config", work / "none.json"], ["none.json"]),
        (["--config", bad_json], ["bad.json", "line 2"]),
        (["--config", write("list.json", "[]")], ["list.json", "object"]),
        (["--config", write("stray.json", '{"speeed": 1}')], ["stray.json", "speeed", "--help"]),
        (["--config", write("type.json", '{"keep_alive_s": "60"}')], ["type.json", "keep_alive_s", "number"]),
        (["--config", write("range.json", '{"keep_alive_s": 70000}')], ["range.json", "65535"]),
        (["--config", write("flag.json", '{"plain": "no"}')], ["flag.json", "plain", "true or false"]),
        (["--config", write("port.json", '{"host": "localhost", "port": 0}')], ["port.json", "port", "65535"]),
    ]
    for arguments, parts in cases:
        shown = " ".join(str(a).replace(str(work) + "/", "") for a in arguments) or "(nothing)"
        done = run(*arguments)
        said = done.stderr.strip()
        missing = [part for part in parts if part.lower() not in said.lower()]
        tap.ok(done.returncode not in (0, -6, -11) and done.returncode > 0 and not missing and said.startswith("motorcade-edge: ") and len(said.splitlines()) == 1,
               f"refused with a reason: {shown}", f"exit {done.returncode}", f"missing {missing}", said)


# ---- what it does ----
def test_replay_against_a_broker(broker):
    """Documents come down retained, samples go up, and the program ends by itself when all is acknowledged."""
    prefix = "$aws/iotfleetwise/vehicles/car-7/"
    replay = write("drive.log", LOG)
    broker.publish(prefix + "decoder_manifests", manifest("can0"), retain=True)
    broker.publish(prefix + "collection_schemes", schemes(), retain=True)
    edge = subprocess.Popen([EDGE, "--plain", "--name", "car-7", "--endpoint", f"127.0.0.1:{broker.port}", "--replay", str(replay), "--data", str(work / "car-7")],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    try:
        out, _ = edge.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        edge.kill()
        out, _ = edge.communicate()
    tap.equal(edge.returncode, 0, "a replay that was acknowledged ends with 0")
    tap.note(f"{len(broker.payloads(prefix + 'checkins'))} check-ins, {len(broker.payloads(prefix + 'signals'))} messages of signals")
    checkins = broker.payloads(prefix + "checkins")
    tap.ok(any(b"m-1" in c and b"c-1" in c for c in checkins), "a check-in names both documents", checkins[:3], out)
    signals = broker.payloads(prefix + "signals")
    tap.ok(signals and all(b"c-1" in s and b"m-1" in s for s in signals), "signals of the campaign came up", out)


def test_survives_a_listener_that_stalls():
    """Accepts and never says a word: the program waits, tells why once, and ends at a signal with what it has."""
    stall = socket.socket()
    stall.bind(("127.0.0.1", 0))
    stall.listen(8)
    edge = subprocess.Popen([EDGE, "--plain", "--name", "car-8", "--endpoint", f"127.0.0.1:{stall.getsockname()[1]}", "--replay", str(write("stall.log", LOG)), "--loop",
                             "--data", str(work / "car-8")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    stall.settimeout(60)
    first = stall.accept()[0]
    first.settimeout(60)
    tap.ok(first.recv(4)[:1] == b"\x10", "it says CONNECT first")
    time.sleep(1)
    tap.ok(edge.poll() is None, "it goes on while the platform says nothing")
    end_within(edge, 15, "it ends soon after a signal while the platform says nothing")
    first.close()
    stall.close()


def end_within(edge, seconds, name):
    edge.send_signal(signal.SIGTERM)
    try:
        out, _ = edge.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        edge.kill()
        out, _ = edge.communicate()
    tap.ok(edge.returncode == 0, name, f"exit {edge.returncode}", out)
    return out


def test_garbage_from_the_platform():
    """Bytes that are no MQTT, and a CONNACK that refuses: it says so and tries again."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)
    listener.settimeout(60)
    edge = subprocess.Popen([EDGE, *NAMED[:3], "--endpoint", f"127.0.0.1:{listener.getsockname()[1]}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL)
    for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00\x87\x00", b"\x20\xff\xff\xff\xff\xff"):
        conn = listener.accept()[0]
        conn.recv(1000)
        conn.sendall(answer)
        conn.settimeout(60)
        try:
            while conn.recv(1000):
                pass
        except OSError:
            pass
        conn.close()
    tap.ok(edge.poll() is None, "three wrong answers do not end it")
    out = end_within(edge, 30, "it ends cleanly after wrong answers")
    tap.ok("warn" in out or "error" in out, "it told that the platform refuses", out)
    listener.close()


def test_nobody_there():
    port = free_port()
    edge = subprocess.Popen([EDGE, *NAMED[:3], "--endpoint", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)
    time.sleep(2.5)
    tap.ok(edge.poll() is None, "without a platform it keeps trying")
    out = end_within(edge, 30, "it ends cleanly without a platform")
    told = [line for line in out.splitlines() if "warn" in line or "error" in line]
    tap.ok(told and len(told) <= 3 and (str(port) in out), "it says where it could not connect, and not at every attempt", out)


def test_fleetwise_configuration(broker):
    """FleetWise Edge's own file: endpoint, client id, prefix, check-in period, persistency and interfaces are taken from it."""
    config = {
        "version": "1.0",
        "networkInterfaces": [{"canInterface": {"interfaceName": "vcan0", "protocolName": "CAN", "protocolVersion": "2.0A"}, "interfaceId": "7", "type": "canInterface"},
                              {"obdInterface": {"interfaceName": "vcan0"}, "interfaceId": "8", "type": "obdInterface"}],
        "staticConfig": {
            "bufferSizes": {"decodedSignalsBufferSize": 10000},
            "threadIdleTimes": {"inspectionThreadIdleTimeMs": 50},
            "persistency": {"persistencyPath": "kept", "persistencyPartitionMaxSize": 524288, "persistencyUploadRetryIntervalMs": 10000},
            "internalParameters": {"readyToPublishDataBufferSize": 10000, "systemWideLogLevel": "Info"},
            "publishToCloudParameters": {"maxPublishMessageCount": 1000, "collectionSchemeManagementCheckinIntervalMs": 500},
            "mqttConnection": {"endpointUrl": "wrong.invalid", "connectionType": "iotCore", "clientId": "fwe-1", "iotFleetWiseTopicPrefix": "cms/fleetwise/",
                               "keepAliveIntervalSeconds": 30}},
    }
    path = write("fwe/config.json", json.dumps(config, indent=2))
    edge = subprocess.Popen([EDGE, "--config", str(path), "--plain", "--endpoint", f"127.0.0.1:{broker.port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            stdin=subprocess.DEVNULL, cwd="/")
    topic = "cms/fleetwise/vehicles/fwe-1/checkins"
    try:
        wait_for(lambda: len(broker.payloads(topic)) >= 3 or edge.poll() is not None, 20, "three check-ins")
    finally:
        out = end_within(edge, 30, "the agent of a FleetWise configuration ends cleanly")
    tap.ok(len(broker.payloads(topic)) >= 3, "check-ins come at the period and under the prefix of the file", out)
    tap.ok((work / "fwe" / "kept").is_dir(), "the persistency path is relative to the file")
    config["staticConfig"]["mqttConnection"].update(certificateFilename="none.crt", privateKeyFilename="none.key")
    done = run("--config", write("fwe/tls.json", json.dumps(config)))
    tap.ok(done.returncode == 1 and str(work / "fwe" / "none.crt") in done.stderr, "a certificate that is not there is named with its path", done.stderr)


def test_own_configuration(broker):
    """Every option of the command line is a key; host and port may stand apart; flags win."""
    write("own/drive.log", LOG)
    config = {"host": "wrong.invalid", "port": 1, "name": "own-1", "plain": True, "topic_prefix": "cms/fleetwise/", "checkin_s": 1, "replay": "drive.log", "loop": True,
              "log_level": "debug", "log": "json", "keep_alive_s": 20, "channel_map": "*=can0", "data": "kept", "spool_mib": 2, "speed": 10}
    path = write("own/config.json", json.dumps(config))
    edge = subprocess.Popen([EDGE, "--config", str(path), "--endpoint", f"127.0.0.1:{broker.port}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/",
                            stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: broker.payloads("cms/fleetwise/vehicles/own-1/checkins") or edge.poll() is not None, 20, "a check-in")
    finally:
        out = end_within(edge, 30, "the agent of its own configuration ends cleanly")
    tap.ok(broker.payloads("cms/fleetwise/vehicles/own-1/checkins"), "the file's name and prefix are used", out)
    tap.ok(all(json.loads(line) for line in out.splitlines() if line.strip()), "the file's log format is used", out)


def with_broker():
    if not (shutil.which("mosquitto_sub") and (shutil.which("mosquitto") or os.path.exists("/usr/sbin/mosquitto"))):
        tap.skip("the tests against a broker", "mosquitto and its clients are not installed (Debian: mosquitto mosquitto-clients)")
        return
    broker = Broker()
    try:
        for test in (test_replay_against_a_broker, test_fleetwise_configuration, test_own_configuration):
            tap.guard(test.__name__, test, broker)
    finally:
        broker.close()


for part in (test_help_and_version, test_refusals, test_survives_a_listener_that_stalls, test_garbage_from_the_platform, test_nobody_there, with_broker):
    tap.guard(part.__name__, part)
shutil.rmtree(work, ignore_errors=True)
tap.done()
