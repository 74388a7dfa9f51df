#!/usr/bin/env python3
"""Last known state through the whole house: state templates made by our API and by AWS's, confirmed by a real agent, silent until a command activates them; values arrive, are
published again by name, and go on after kill -9 of the agent; a changed template goes out as a delta of a higher version; commands are answered. Prints TAP."""
import json
import shutil
import struct
import subprocess
import sys
import threading
import time

import aws_sdk
from platform_under_test import EDGE, Platform, Tap, wait_for

tap = Tap()
DBC = ('BO_ 256 ENGINE: 8 E\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] "rpm" E\n SG_ Temp : 16|8@1+ (1,-40) [-40|215] "degC" E\n SG_ Hours : 24|32@1+ (1,0) [0|0] "h" E\n'
       'BO_ 512 CABIN: 8 E\n SG_ Door : 0|8@1+ (1,0) [0|1] "" E\n')
# Rpm climbs, Temp stays at 60 degrees, Hours is one more with each frame, the door is open.
LOG = "".join(f"({1700000000 + i / 20:.6f}) can0 100#{(i * 40) & 65535 & 255:02X}{(i * 40) >> 8 & 255:02X}64{struct.pack('<I', 0xF0000000 + i).hex()}00\n"
              f"({1700000000 + i / 20:.6f}) can0 200#0100000000000000\n" for i in range(200))
AGAIN = "$aws/iotfleetwise/vehicles/car-1/last_known_state/"


def fields(b):
    """{tag: [value]} of a protobuf message: numbers, doubles as 8 bytes, floats as 4, bytes."""
    out, at = {}, 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            n |= (b[at] & 127) << shift
            shift += 7
            at += 1
            if b[at - 1] < 128:
                return n

    while at < len(b):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or number()
            value, at = b[at:at + size], at + size
        out.setdefault(key >> 3, []).append(value)
    return out


def value_of(signal):
    """(tag of the oneof, value) of a Signal."""
    for tag, got in signal.items():
        if tag == 2:
            return tag, struct.unpack("<d", got[0])[0]
        if tag in (4, 6, 8, 10):
            return tag, (got[0] >> 1) ^ -(got[0] & 1)
        if tag > 2:
            return tag, got[0]
    return None


class Desk:
    """Who reads what the platform publishes again: (template, time, {name: (tag, value)}, user properties) each. A service, with a policy of its own."""

    def __init__(self, platform, ca):
        platform.api("POST", "/api/v1/services", {"name": "desk", "password": "a-desk-s-password", "policy": json.dumps({"subscribe": ["$aws/iotfleetwise/vehicles/+/last_known_state/+/data"]})})
        self.lines = []
        self.process = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-V", "mqttv5", "-h", "localhost", "-p", str(platform.tls), "--tls-alpn", "mqtt", "-i", "desk", "-u", "desk", "-P", "a-desk-s-password", "--cafile", ca, "-q",
                                         "1", "-t", AGAIN + "+/data", "-F", "%t %x %P", "-d"], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")), daemon=True).start()
        wait_for(lambda: any("Subscribed (mid" in line for line in list(self.lines)), 20, "the desk's subscription")

    def of(self, template):
        out = []
        for line in list(self.lines):
            if not line.startswith(f"{AGAIN}{template}/data "):
                continue
            m = fields(bytes.fromhex(line.split()[1]))
            named = {fields(s)[1][0].decode(): value_of(fields(s)) for s in m.get(3, [])}
            out.append((template, m[1][0], named, line.split()[2:]))
        return out

    def close(self):
        self.process.terminate()
        self.process.wait(60)


class Agent:
    def __init__(self, platform, device):
        self.platform, self.device, self.process = platform, device, None
        self.log = platform.base / "bus.log"
        self.log.write_text(LOG)

    def start(self):
        d = self.device
        self.process = subprocess.Popen([EDGE, "--endpoint", f"localhost:{self.platform.mqtt}", "--name", d["name"], "--cert", d["cert"], "--key", d["key"], "--ca", d["ca"], "--replay",
                                         str(self.log), "--loop", "--checkin-s", "1", "--data", str(self.platform.base / "agent"), "--log-level", "warn"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()


def templates(p, car):
    return {t["template"]: t for t in p.api("GET", f"/api/v1/vehicles/{car}/templates")["items"]}


def command(p, car, template, action, **more):
    """What became of it."""
    made = p.api("POST", f"/api/v1/vehicles/{car}/templates/{template}/commands", {"action": action, **more})["id"]

    def now():
        return next(c for c in p.api("GET", f"/api/v1/vehicles/{car}/templates")["commands"] if c["id"] == made)

    wait_for(lambda: now()["status"] not in ("sent", "in_progress"), 20, f"the answer to {action}", 0.05)
    return now()["status"], now()["reason"]


def latest(p, car):
    return {i["fqn"]: i for i in p.api("GET", f"/api/v1/vehicles/{car}/latest")["items"]}


def give_templates(p, car):
    p.api("POST", "/api/v1/templates", {"name": "engine", "signals": ["Vehicle.ENGINE.Rpm", "Vehicle.ENGINE.Temp"]})
    p.api("POST", f"/api/v1/vehicles/{car}/templates", {"template": "engine"})
    aws = aws_sdk.client(p, aws_sdk.access_key(p, "templates", "admin"))
    arn = next(c["arn"] for c in aws.list_signal_catalogs()["summaries"])
    made = aws.create_state_template(name="cabin", signalCatalogArn=arn, stateTemplateProperties=["Vehicle.CABIN.Door", "Vehicle.ENGINE.Hours"], metadataExtraDimensions=["colour"])
    aws.update_vehicle(vehicleName="car-1", attributes={"colour": "red"}, attributeUpdateMode="Merge", stateTemplatesToAdd=[
        {"identifier": made["id"], "stateTemplateUpdateStrategy": {"periodic": {"stateTemplateUpdateRate": {"unit": "MILLISECOND", "value": 500}}}}])
    tap.equal(len(aws.get_vehicle(vehicleName="car-1")["stateTemplates"]), 2, "AWS's face shows both templates of the vehicle")
    return {"engine", "cabin"}


def confirmed(p, car, names):
    wait_for(lambda: all(templates(p, car).get(n, {}).get("state") == "healthy" for n in names), 20, "the agent to confirm its templates")


def life(p):
    p.api("POST", "/api/v1/manifests", {"name": "m", "interface": "can0", "dbc": DBC})
    device = p.vehicle("car-1", manifest="m")
    car = device["id"]
    agent, desk = Agent(p, device), Desk(p, device["ca"])
    agent.start()
    try:
        names = give_templates(p, car)
        confirmed(p, car, names)
        tap.ok(True, "templates of both faces are confirmed in the agent's check-in")
        tap.equal((desk.of("engine"), desk.of("cabin"), latest(p, car)), ([], [], {}), "and are silent until a command comes")

        tap.equal(command(p, car, "engine", "activate"), ("succeeded", 0), "a command activates one")
        tap.equal(command(p, car, "cabin", "activate"), ("succeeded", 0), "and the other")
        tap.equal(command(p, car, "cabin", "activate"), ("succeeded", 16), "twice is told as such")
        wait_for(lambda: len(desk.of("engine")) >= 2 and len(desk.of("cabin")) >= 3, 20, "both streams")
        temps = {m[2]["Vehicle.ENGINE.Temp"] for m in desk.of("engine") if "Vehicle.ENGINE.Temp" in m[2]}
        tap.ok(len(temps) == 1 and next(iter(temps))[1] == 60, "what stays the same has one value", temps)
        tap.ok(sum("Vehicle.ENGINE.Temp" in m[2] for m in desk.of("engine")) == 1 and all("Vehicle.ENGINE.Rpm" in m[2] for m in desk.of("engine")), "and is told once, what changes each time")
        tap.equal({m[2]["Vehicle.CABIN.Door"] for m in desk.of("cabin")}, {(5, 1)}, "the door is told each period, in its own type")
        tap.equal({tuple(m[3]) for m in desk.of("cabin")}, {("colour:red",)}, "with the metadata that the template asks for")
        hours = [m[2]["Vehicle.ENGINE.Hours"] for m in desk.of("cabin")]
        tap.ok(all(0xF0000000 <= v < 0xF0000000 + 200 for _, v in hours) and len(set(hours)) > 1, "32-bit counters keep all their bits", hours[:4])
        wait_for(lambda: len(latest(p, car)) == 4, 20, "all four signals in the vehicle's picture")
        tap.ok(latest(p, car)["Vehicle.ENGINE.Temp"]["value"] == 60, "the vehicle's picture has the value", latest(p, car))

        restart(p, car, agent, desk)
        change(p, car, desk)
        silence(p, car, desk)
    finally:
        agent.kill()
        desk.close()


def restart(p, car, agent, desk):
    agent.kill()
    before = {n: len(desk.of(n)) for n in ("engine", "cabin")}
    commands = len(p.api("GET", f"/api/v1/vehicles/{car}/templates")["commands"])
    agent.start()
    wait_for(lambda: all(len(desk.of(n)) > before[n] + 1 for n in before), 20, "both streams after kill -9")
    tap.equal(len(p.api("GET", f"/api/v1/vehicles/{car}/templates")["commands"]), commands, "after kill -9 of the agent both go on, without another command")
    tap.equal(command(p, car, "engine", "activate"), ("succeeded", 16), "the agent knows that they are active")


def change(p, car, desk):
    old = templates(p, car)["engine"]["sync_id"]
    p.api("PUT", "/api/v1/templates/engine", {"signals": ["Vehicle.ENGINE.Rpm", "Vehicle.ENGINE.Temp", "Vehicle.CABIN.Door"]})
    wait_for(lambda: templates(p, car)["engine"]["sync_id"] != old and templates(p, car)["engine"]["state"] == "healthy", 20, "the changed template to be confirmed")
    tap.ok(templates(p, car)["cabin"]["state"] == "healthy", "a changed template goes out as a delta; the other one stays")
    before = len(desk.of("cabin"))
    wait_for(lambda: len(desk.of("cabin")) > before + 1, 20, "the one that was not changed")
    tap.equal(command(p, car, "engine", "activate"), ("succeeded", 0), "the new version waits for its own activation")
    wait_for(lambda: any("Vehicle.CABIN.Door" in m[2] for m in desk.of("engine")), 20, "the signal that was added")
    tap.ok(True, "and tells the signal that was added")


def silence(p, car, desk):
    tap.equal(command(p, car, "cabin", "deactivate"), ("succeeded", 0), "a command silences one")
    tap.equal(command(p, car, "cabin", "deactivate"), ("succeeded", 17), "twice is told as such")
    tap.equal(command(p, car, "engine", "activate", deactivate_after_s=2)[0], "succeeded", "another may speak for two seconds more")
    quiet_since = [len(desk.of("engine")), time.monotonic()]

    def is_quiet():  # Rpm changes all the time: while it may speak it does so each second
        if len(desk.of("engine")) != quiet_since[0]:
            quiet_since[:] = [len(desk.of("engine")), time.monotonic()]
        return time.monotonic() - quiet_since[1] > 3

    wait_for(is_quiet, 25, "its time to be over", 0.1)
    before = [len(desk.of("cabin")), len(desk.of("engine"))]
    tap.equal(command(p, car, "cabin", "fetch"), ("succeeded", 0), "a snapshot may be asked for all the same")
    wait_for(lambda: len(desk.of("cabin")) > before[0], 20, "the snapshot")
    tap.equal(set(desk.of("cabin")[-1][2]), {"Vehicle.CABIN.Door", "Vehicle.ENGINE.Hours"}, "it has everything that the template names")
    tap.ok(len(desk.of("cabin")) == before[0] + 1 and len(desk.of("engine")) == before[1], "and is all that was said", before)


def main():
    missing = aws_sdk.ready() if shutil.which("mosquitto_sub") else "mosquitto_sub is not installed (Debian: mosquitto-clients)"
    if missing:
        tap.skip("last known state through the whole house", missing)
        return tap.done()
    p = Platform(settings=["--delivery-s", "1"])
    try:
        p.start()
        began = time.monotonic()
        tap.guard("a life of state templates", life, p)
        tap.note(f"{time.monotonic() - began:.1f} s")
    finally:
        p.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
