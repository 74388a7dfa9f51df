"""Real MQTT clients as child processes that are told what to do and tell what they see, one JSON object a line.

Commands: connect, subscribe {topic, qos}, publish {topic, payload, qos, retain}, disconnect, quit.
Events:   connected {present}, refused {code, reason}, suback {codes}, puback (QoS 2: PUBCOMP), message {topic, payload, qos, retain}, closed {code, reason}, error {text}.
"""
import json
import pathlib
import queue
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = {"paho": [sys.executable, str(HERE / "paho_client.py")], "node": ["node", str(HERE / "node_client.mjs")]}


class Client:
    def __init__(self, kind, **options):
        options.setdefault("clean", True)
        options.setdefault("host", "localhost")
        self.name = f"{kind} {options.get('id')}"
        self.seen = []
        self.events = queue.Queue()
        self.process = subprocess.Popen(PROGRAM[kind] + [json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            try:
                self.events.put(json.loads(line))
            except ValueError:
                pass
        self.events.put({"event": "gone"})

    def do(self, do, **facts):
        self.process.stdin.write(json.dumps({"do": do, **facts}) + "\n")
        self.process.stdin.flush()
        return self

    def wait(self, *wanted, seconds=60, **facts):
        """The next event of one of these kinds (with these facts); others are kept in `seen`. None after the time."""
        until = time.monotonic() + seconds
        for event in list(self.seen):
            if event["event"] in wanted and all(event.get(k) == v for k, v in facts.items()):
                self.seen.remove(event)
                return event
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return None
            try:
                event = self.events.get(timeout=left)
            except queue.Empty:
                return None
            if event["event"] in wanted and all(event.get(k) == v for k, v in facts.items()):
                return event
            self.seen.append(event)

    def connect(self, seconds=60):
        self.do("connect")
        return self.wait("connected", "refused", "error", "gone", seconds=seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def quit(self):
        if self.process.poll() is None:
            try:
                self.do("quit")
                self.process.wait(30)
            except (OSError, subprocess.TimeoutExpired):
                self.kill()
