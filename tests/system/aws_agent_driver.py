"""Starts aws_agent.py for a device of Platform.vehicle, speaks to it and listens to what it tells. Ended by its process id."""
import json
import pathlib
import subprocess
import sys
import threading
import time

PROGRAM = str(pathlib.Path(__file__).resolve().parent / "aws_agent.py")


class Double:
    def __init__(self, folder, port, device, period_ms=250, keep=True, actuators=(), static=(), **connection):
        """connection: keys of mqttConnection, static: of staticConfig, as the agent's configuration has them."""
        self.folder, self.port, self.events, self.process = pathlib.Path(folder), port, [], None
        self.folder.mkdir(parents=True, exist_ok=True)
        mqtt = {"endpointUrl": "localhost", "clientId": device["name"], "certificateFilename": device["cert"], "privateKeyFilename": device["key"], "rootCAFilename": device["ca"],
                "keepAliveIntervalSeconds": 60, **connection}
        own = dict(static)
        static = {"bufferSizes": {"decodedSignalsBufferSize": 10000}, "threadIdleTimes": {"inspectionThreadIdleTimeMs": 20, "socketCANThreadIdleTimeMs": 50},
                  "internalParameters": {"readyToPublishDataBufferSize": 10000, "systemWideLogLevel": "Warning"},
                  "publishToCloudParameters": {"collectionSchemeManagementCheckinIntervalMs": period_ms}, "mqttConnection": mqtt, "actuatorInterfaces": list(actuators), **own}
        if keep:
            static["persistency"] = {"persistencyPath": "kept", "persistencyUploadRetryIntervalMs": 500}
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps({"version": "1.0", "networkInterfaces": [], "staticConfig": static}))
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, PROGRAM, str(self.config), str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.folder / "stderr", "ab"), text=True)
        self.reader = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self.reader.start()

    def _listen(self, process):
        for line in process.stdout:
            self.events.append(json.loads(line))

    def say(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines))
        self.process.stdin.flush()

    def told(self, event, since=0, **facts):
        return [e for e in self.events[since:] if e["event"] == event and all(e.get(k) == v for k, v in facts.items())]

    def wait(self, event, seconds=30, since=0, check=None, **facts):
        """The first such event, or a TimeoutError with what it told last."""
        until = time.monotonic() + seconds
        while True:
            for e in self.told(event, since, **facts):
                if check is None or check(e):
                    return e
            if self.process.poll() is not None and not self.reader.is_alive():
                raise RuntimeError(f"the double ended with {self.process.returncode}: {(self.folder / 'stderr').read_text()[-2000:]}")
            if time.monotonic() > until:
                raise TimeoutError(f"waited {seconds} s for {event} {facts}; told last: {self.events[-6:]}")
            time.sleep(0.02)

    def documents(self, since):
        """What came from the platform since then, whether the agent liked it or not; at a start it tells what it had kept, which came from its disk."""
        events = self.events[since:]
        begin = next((i for i, e in enumerate(events) if e["event"] == "connected"), 0)
        return [e for e in events[begin:] if e["event"] in ("manifest", "schemes", "ignored", "rejected")]

    def now(self):
        """Where what it tells from here on begins."""
        return len(self.events)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(5)
        self.process.stdin.close()
        self.process.stdout.close()

    def end(self):
        if self.process.poll() is None:
            try:
                self.say("quit")
                self.process.wait(5)
            except (subprocess.TimeoutExpired, OSError):
                self.process.kill()
        self.kill()
