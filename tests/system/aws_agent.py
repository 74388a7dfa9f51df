#!/usr/bin/env python3
"""A test double of AWS's FleetWise Edge agent 1.3.4, written from contract fleetwise (2 to 8 and 12), its silences and defects included: aws_agent.py CONFIG PORT.

CONFIG is the agent's own JSON (8.1); it has no port, so that comes beside it. Lines on stdin are the vehicle: `frame IF ID HEX`, `every MS IF ID HEX` (0 ends it), `value IF
NAME NUMBER`, `text IF NAME TEXT`, `codes P0301,P0302`, `uds JSON` (what DTC_QUERY finds), `clock MS` (the wall clock jumps), `quit`. What happens is told as lines of JSON on
stdout, for the test alone: the platform hears of a rejected document nothing.

Not in this double, as in a build without them: store and forward, OBD requests, structured signals, upload of raw data, shadows. "jobs": true in the configuration
subscribes to what a build with store and forward subscribes to, and asks for jobs. "claims": true says in check-ins that this is motorcade's own agent, which it is not: it is then sent what
was not made for AWS's. "ieee": false is an agent before 1.2.1. Standard library only."""
import json
import pathlib
import select
import sys
import threading
import time

from aws_agent_documents import Decoder, Documents, Store
from aws_agent_engine import Engine
from aws_agent_mqtt import PAYLOAD_MAX, Gone, Mqtt5
from aws_agent_state import SUCCEEDED, Commands, States
from aws_agent_wire import Message, chosen, compress, expand, read, write

RETRY_MS, PERIOD_IF_ZERO_MS, BACKOFF_MOST_S, IN_FLIGHT_MAX = 5000, 300_000, 256, 10 << 20
UDS = "UDS_DTC"


def tell(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


class Backoff:
    def __init__(self):
        self.again = self.seconds = 0

    def due(self):
        return time.monotonic() >= self.again

    def failed(self):
        self.seconds = min(self.seconds * 2 or 1, BACKOFF_MOST_S)
        self.again = time.monotonic() + self.seconds

    def worked(self):
        self.seconds = 0


class Link:
    """Connecting, subscribing, publishing. Nothing goes up before every one of the subscriptions is granted."""

    def __init__(self, config, folder, port):
        c = self.config = config["mqttConnection"]
        self.port, self.client, self.established, self.name = port, None, False, c["clientId"]
        self.files = {key: str(folder / c[key + "Filename"]) for key in ("certificate", "privateKey", "rootCA")}
        vehicle, thing = f"vehicles/{self.name}/", f"things/{self.name}/"
        self.up = c.get("iotFleetWiseTopicPrefix", "$aws/iotfleetwise/") + vehicle
        self.commands = c.get("commandsTopicPrefix", "$aws/commands/") + thing + "executions/"
        self.jobs = c.get("jobsTopicPrefix", "$aws/things/") + self.name + "/jobs/"
        self.topics = [self.up + "last_known_states/config", self.commands + "+/request/protobuf", self.commands + "+/response/accepted/protobuf",
                       self.commands + "+/response/rejected/protobuf", self.up + "decoder_manifests", self.up + "collection_schemes"]
        if c.get("jobs"):
            self.topics += [self.jobs + end for end in ("get/accepted", "get/rejected", "+/get/accepted", "+/get/rejected", "+/update/accepted", "+/update/rejected", "notify")]
            self.topics.append("$aws/events/job/+/cancellation_in_progress")
        self.connecting, self.subscribing, self.granted = Backoff(), Backoff(), 0

    def _connect(self):
        c = self.config
        self.client = Mqtt5(c["endpointUrl"], self.port, self.name, self.files["rootCA"], self.files["certificate"], self.files["privateKey"], c.get("keepAliveIntervalSeconds", 1200),
                            c.get("sessionExpiryIntervalSeconds", 0), c.get("pingTimeoutMs", 30000) / 1000)
        self.connecting.worked()
        self.granted, self.subscribing = 0, Backoff()
        tell("connected", alpn=self.client.alpn, present=self.client.session_present)

    def step(self):
        """Messages that came while it went on with connecting or subscribing."""
        came = []
        if not self.client and self.connecting.due():
            try:
                self._connect()
            except Gone as problem:
                self.client = None
                self.connecting.failed()
                tell("unreachable", why=str(problem))
        while self.client and not self.established and self.subscribing.due():
            code, messages = self.client.subscribe(self.topics[self.granted])
            came += messages
            if code >= 0x80:
                self.subscribing.failed()
                tell("refused", topic=self.topics[self.granted], code=code)
                break
            self.granted += 1
            if self.granted == len(self.topics):
                self.established = True
                tell("subscribed", topics=len(self.topics))
                if self.config.get("jobs"):
                    self.client.publish(self.jobs + "get", json.dumps({"clientToken": f"double-{time.time_ns()}"}).encode(), None)
        return came

    def publish(self, topic, payload, token):
        """False: it was not taken (no connection, or too much on its way)."""
        if not self.established or len(payload) > PAYLOAD_MAX or sum(len(t[1]) for t in self.client.waiting.values() if t) + len(payload) > IN_FLIGHT_MAX:
            return False
        self.client.publish(topic, payload, token)
        return True

    def lost(self):
        """What was on its way and is not acknowledged."""
        waiting = [token for token in self.client.waiting.values() if token]
        self.client.close(False)
        self.client, self.established = None, False
        self.connecting.failed()
        return waiting


class Splitter:
    """How many bytes of samples a message is filled with before it is closed, one of these for plain and one for snappy: payloads shall be 70 to 90 % of what may be sent."""

    def __init__(self, share):
        self.fill = share * PAYLOAD_MAX

    def adapt(self, size):
        if size > 0.9 * PAYLOAD_MAX:
            self.fill *= 0.9
        elif size < 0.7 * PAYLOAD_MAX:
            self.fill *= 1.1


class Agent:
    def __init__(self, path, port):
        config = json.loads(pathlib.Path(path).read_text())["staticConfig"]
        folder = pathlib.Path(path).resolve().parent
        keep = config.get("persistency", {})
        self.link = Link(config, folder, port)
        self.store = Store(keep.get("persistencyPath") and folder / keep["persistencyPath"])
        self.period = config["publishToCloudParameters"]["collectionSchemeManagementCheckinIntervalMs"] or PERIOD_IF_ZERO_MS
        self.retry = keep.get("persistencyUploadRetryIntervalMs", 10000)
        self.pass_s = (config["threadIdleTimes"]["inspectionThreadIdleTimeMs"] or 50) / 1000
        self.engine, self.states = Engine(), States(self.store, tell)
        self.documents = Documents(self.store, tell)
        self.claims = {"agent": "motorcade-edge/0", "capabilities": 3} if config.get("claims") else {}
        self.ieee = config.get("ieee", True)
        self.calls = Commands(self.states, {i: self._actuate for i in config.get("actuatorInterfaces", [])}, tell)
        self.split = {False: Splitter(0.8), True: Splitter(2.0)}
        self.skew, self.repeating, self.uds, self.running = 0, {}, "", True
        self.next_checkin, self.next_retry, self.decoder = self.mono(), self.mono() + self.retry, Decoder(None)
        self._documents_changed(True)

    def mono(self):
        return time.monotonic() * 1000

    def wall(self):
        return time.time() * 1000 + self.skew

    @staticmethod
    def _actuate(name, value):
        tell("actuated", name=name, value=value)
        return SUCCEEDED, 0

    # ---- documents ----
    def _documents_changed(self, rebuild=False):
        if not (self.documents.update(self.wall(), self.states.templates) or rebuild):
            return
        manifest = self.documents.manifest
        self.decoder = Decoder(manifest, self.ieee)
        self.engine.rebuild(manifest, list(self.documents.enabled.values()), self.mono())
        for text in self.engine.told:
            tell("defect", text=text)
        self.engine.told.clear()
        tell("running", ids=list(self.documents.enabled), idle=list(self.documents.idle))

    def _message(self, topic, payload):
        link = self.link
        if topic == link.up + "decoder_manifests":
            self.documents.take_manifest(payload)
        elif topic == link.up + "collection_schemes":
            self.documents.take_schemes(payload)
        elif topic == link.up + "last_known_states/config":
            self.states.take(payload)
        elif topic.startswith(link.commands) and topic.endswith("/request/protobuf"):
            for name, response in self.calls.take(payload, self.wall(), self.documents.manifest):
                tell("answered", id=name, status=response["status"], reason=response["reason_code"])
                self._send(f"{link.commands}{name}/response/protobuf", write(response), f"command-{name}.bin")
        else:
            tell("heard", topic=topic)

    def _checkin(self, mono):
        if mono < self.next_checkin:
            return
        ids = self.documents.ids
        payload = write(Message("Checkin", document_sync_ids=ids, timestamp_ms_epoch=int(self.wall()), **self.claims))
        sent = self.link.publish(self.link.up + "checkins", payload, ("", payload, None))
        self.next_checkin = mono + (self.period if sent else min(RETRY_MS, self.period))
        if sent:
            tell("checkin", ids=ids)

    # ---- what goes up ----
    def _send(self, topic, payload, keep_as):
        """keep_as: name of the file that it becomes when it does not go out; None: it is lost then."""
        sent = self.link.publish(topic, payload, (topic, payload, keep_as))
        if not sent:
            self._failed(topic, payload, keep_as)
        return sent

    def _failed(self, topic, payload, keep_as):
        if not keep_as or not self.store.path:
            tell("lost", topic=topic, bytes=len(payload))
            return
        self.store.save(keep_as, payload)
        files = [f for f in self._kept() if f["filename"] != keep_as] + [{"filename": keep_as, "topic": topic}]
        self.store.save("PayloadMetadata.json", json.dumps({"version": "1.0.0", "files": files}).encode())
        tell("kept", file=keep_as)

    def _kept(self):
        return json.loads(self.store.load("PayloadMetadata.json") or b'{"files": []}')["files"]

    def _send_kept(self, mono):
        if mono < self.next_retry or not self.link.established:
            return
        self.next_retry = mono + self.retry
        left = []
        for file in self._kept():
            payload = self.store.load(file["filename"])
            if payload is not None and self.link.publish(file["topic"], payload, (file["topic"], payload, file["filename"])):
                self.store.remove(file["filename"])
                tell("sent again", file=file["filename"])
            elif payload is not None:
                left.append(file)
        self.store.save("PayloadMetadata.json", json.dumps({"version": "1.0.0", "files": left}).encode())

    def _vehicle_data(self, scheme, event, at, samples, codes):
        return Message("VehicleData", campaign_sync_id=scheme["campaign_sync_id"], decoder_sync_id=scheme["decoder_manifest_sync_id"], collection_event_id=event,
                       collection_event_time_ms_epoch=int(at), captured_signals=samples, **({"dtc_data": Message("DtcData", active_dtc_codes=codes)} if codes else {}))

    def _collected(self, scheme, event, at, samples, codes):
        """One event: several messages of the same id when it is much, without a number that tells which is which."""
        out = []
        for signal, when, value in samples:
            kind = {"string_value": value} if isinstance(value, str) else {"double_value": float(value)}
            out.append(Message("CapturedSignal", relative_time_ms=int(when) - int(at), signal_id=signal, **kind))
        split, part, begin, size = self.split[scheme["compress_collected_data"]], 0, 0, 0
        for i, item in enumerate(out):
            size += len(write(item)) + 2
            if size >= split.fill:
                part = self._part(scheme, event, at, out[begin:i + 1], [], part, 0)
                begin, size = i + 1, 0
        if out[begin:] or codes:
            self._part(scheme, event, at, out[begin:], codes, part, 0, last=True)

    def _part(self, scheme, event, at, samples, codes, part, halved, last=False):
        packed = scheme["compress_collected_data"]
        payload = write(self._vehicle_data(scheme, event, at, samples, codes))
        payload = compress(payload) if packed else payload
        if not last or len(payload) > PAYLOAD_MAX:
            self.split[packed].adapt(len(payload))
        if len(payload) > PAYLOAD_MAX:
            if halved == 2 or len(samples) < 2:
                tell("defect", text=f"{len(samples)} samples dropped: the payload is too large", id=event)
                return part
            middle = len(samples) // 2
            part = self._part(scheme, event, at, samples[:middle], [], part, halved + 1)
            return self._part(scheme, event, at, samples[middle:], codes, part, halved + 1)
        keep = f"{event}-{int(at)}-{part}.bin" if scheme["persist_all_collected_data"] else None
        if self._send(self.link.up + "signals", payload, keep):
            tell("data", id=scheme["campaign_sync_id"], event_id=event, time=int(at), samples=len(samples), bytes=len(payload), snappy=packed, codes=codes)
        return part + 1

    # ---- the vehicle ----
    def _value(self, signal, value):
        self.engine.sample(signal, value, self.mono(), self.wall())
        self.states.sample(signal, value, self.decoder.kinds.get(signal, "NULL"))

    def _frame(self, interface, frame_id, data):
        for signal, value in self.decoder.frame(interface, frame_id, data):
            self._value(signal, value)

    def _named(self, interface, name, value):
        signal = self.decoder.names.get((interface, name))
        if signal:
            self._value(signal["signal_id"], value)

    def _fetch(self):
        while self.engine.actions:
            fetch = self.engine.actions.popleft()
            for action in fetch["actions"]:
                function = chosen(chosen(action)[1])[1]
                arguments = [chosen(item)[1] for item in function["params"]]
                tell("fetch", function=function["function_name"], arguments=arguments)
                if function["function_name"] == "DTC_QUERY" and len(arguments) >= 3 and self.uds:
                    self._value(fetch["signal_id"], self.uds)

    def command(self, line):
        """One line of stdin."""
        words = line.split(" ", 3)
        if words[0] == "frame":
            self._frame(words[1], int(words[2]), bytes.fromhex(words[3]))
        elif words[0] == "every":
            period, interface, rest = words[1], words[2], words[3].split(" ")
            self.repeating[interface, int(rest[0])] = [int(period), self.mono(), bytes.fromhex(rest[1])]
            if period == "0":
                del self.repeating[interface, int(rest[0])]
        elif words[0] in ("value", "text"):
            self._named(words[1], words[2], words[3] if words[0] == "text" else float(words[3]))
        elif words[0] == "codes":
            self.engine.codes = [code for code in line[6:].split(",") if code]
        elif words[0] == "uds":
            self.uds = line[4:]
        elif words[0] == "clock":
            self.skew = int(words[1])
        elif words[0] == "quit":
            self.running = False
        else:
            raise ValueError(f"unknown line: {line}")

    def _play(self, mono):
        for (interface, frame_id), one in self.repeating.items():
            while one[1] <= mono:
                one[1] += one[0]
                self._frame(interface, frame_id, one[2])

    # ---- one pass ----
    def step(self):
        mono, wall = self.mono(), self.wall()
        try:
            for _, topic, payload in self.link.step():
                self._message(topic, payload)
            while self.link.client:
                got = self.link.client.next(0)
                if not got:
                    break
                if got[0] == "message":
                    self._message(got[1], got[2])
            self._documents_changed()
            self._play(mono)
            for collected in self.engine.turn(mono, wall):
                self._collected(*collected)
            self._fetch()
            for payload in self.states.turn(mono, wall, self.documents.manifest and self.documents.manifest["sync_id"]):
                if self._send(self.link.up + "last_known_states/data", compress(payload), None):  # not kept when it fails
                    tell("state", bytes=len(payload))
            self._checkin(mono)
            self._send_kept(mono)
        except Gone as problem:
            tell("gone", why=str(problem))
            for topic, payload, keep_as in self.link.lost() if self.link.client else []:
                if topic:
                    self._failed(topic, payload, keep_as)

    def wait(self):
        client = self.link.client
        if client and client.socket.pending():
            return
        select.select([client] if client else [], [], [], self.pass_s)


def selftest():
    """Its own reader and writer and packer against each other."""
    data = write(Message("Checkin", document_sync_ids=["a" * 200, "b"], timestamp_ms_epoch=1))
    assert expand(compress(data)) == data and write(read("Checkin", data)) == data


def main():
    selftest()
    agent, lines, lock = Agent(sys.argv[1], int(sys.argv[2])), [], threading.Lock()

    def listen():
        for line in sys.stdin:
            with lock:
                lines.append(line.rstrip("\n"))
        with lock:
            lines.append("quit")

    threading.Thread(target=listen, daemon=True).start()
    while agent.running:
        agent.step()
        agent.wait()
        with lock:
            now, lines[:] = list(lines), []
        for line in now:
            agent.command(line)
    if agent.link.client:
        agent.link.client.close()


if __name__ == "__main__":
    main()
