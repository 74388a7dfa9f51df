#!/usr/bin/env python3
"""Where campaigns stand on vehicles, as a person sees it with the command line: a real agent converges and is taken off again, one that never comes and one
that cannot are told why, a hostile check-in is counted where it belongs; state templates go out and are commanded. Prints TAP."""
import json
import subprocess
import sys
import time

from platform_under_test import EDGE, Platform, Tap, wait_for

tap = Tap()
DBC = ('BO_ 256 ENGINE: 8 E\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] "rpm" E\n SG_ Temp : 16|8@1+ (1,-40) [-40|215] "degC" E\n'
       'BO_ 512 CABIN: 8 E\n SG_ Door : 0|8@1+ (1,0) [0|1] "" E\n')
LOG = "".join(f"({1700000000 + i / 20:.6f}) can0 100#{(i * 40) & 255:02X}0A640000000000\n" for i in range(400))


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def data(tag, content):
    return varint(tag << 3 | 2) + varint(len(content)) + content


def listing(p, *arguments):
    return json.loads(p.command(*arguments, "--json"))


def stands(p, vehicle, campaign):
    """(status, reason) of a campaign on a vehicle, by the command line."""
    for item in listing(p, "campaign", "of", vehicle)["items"]:
        if item["name"] == campaign:
            return item["status"], item["reason"]
    return None


def becomes(p, vehicle, campaign, want, name):
    seen = []

    def there():
        now = stands(p, vehicle, campaign)
        if not seen or seen[-1] != now:
            seen.append(now)
        return now == want

    try:
        wait_for(there, 10, name, 0.1)
    except Exception:  # noqa: BLE001: the next line tells
        pass
    tap.ok(seen[-1] == want, name, f"went {seen}, want {want}")


def prepare(p):
    dbc = p.base / "a.dbc"
    dbc.write_text(DBC)
    p.command("catalog", "import", "--dbc", str(dbc), "--name", "model-a")
    for name, extra in (("car-1", ["--manifest", "model-a"]), ("car-2", ["--manifest", "model-a"]), ("car-3", [])):
        p.command("vehicle", "create", name, *extra, "--out", str(p.base / name))
    file = p.base / "c.json"
    for name, more in (("temps", {"kind": "time", "period_ms": 500, "signals": [{"fqn": "Vehicle.ENGINE.*"}]}),
                       ("functions", {"kind": "condition", "expression": "custom_function('their_own', $variable.`Vehicle.ENGINE.Rpm`) > 1", "signals": [{"fqn": "Vehicle.ENGINE.Rpm"}]})):
        file.write_text(json.dumps({"name": name, "target_kind": "all", **more}))
        p.command("campaign", "create", "--file", str(file))
    tap.equal(stands(p, "car-1", "temps"), ("CREATED", "not_approved"), "a campaign that nobody approved says so")
    p.command("campaign", "approve", "temps")
    p.command("campaign", "approve", "functions")
    tap.equal(stands(p, "car-2", "temps"), ("READY", "never_checked_in"), "a vehicle that never came is told as such")
    tap.equal(stands(p, "car-3", "temps"), ("READY", "no_manifest"), "a vehicle without a manifest is told as such")


def converge(p):
    """A real agent, with a log for its bus."""
    log, folder = p.base / "bus.log", p.base / "car-1"
    log.write_text(LOG)
    agent = subprocess.Popen([EDGE, "--endpoint", f"localhost:{p.mqtt}", "--name", "car-1", "--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem"), "--ca",
                              str(folder / "ca.pem"), "--replay", str(log), "--loop", "--checkin-s", "1", "--log-level", "error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             stdin=subprocess.DEVNULL)
    try:
        becomes(p, "car-1", "temps", ("HEALTHY", "confirmed"), "the agent gets its documents and confirms them")
        becomes(p, "car-1", "functions", ("READY_FOR_CHECKIN", "refused"), "what the agent cannot do it refuses")
        text = next(i["text"] for i in listing(p, "campaign", "of", "car-1")["items"] if i["name"] == "functions")
        tap.holds(text, "their_own", "and the refusal names the function")
        tap.equal([i["name"] for i in listing(p, "campaign", "vehicles", "temps", "--status", "HEALTHY")], ["car-1"], "the campaign lists the one vehicle where it is healthy")
        car = next(v["id"] for v in p.api_all("/api/v1/vehicles") if v["name"] == "car-1")
        wait_for(lambda: len(p.api("GET", f"/api/v1/vehicles/{car}/latest")["items"]) >= 2, 10, "data of the pattern's signals")
        tap.ok(True, "data of the signals that the pattern takes arrives")
        p.command("campaign", "suspend", "temps")
        becomes(p, "car-1", "temps", ("SUSPENDED", "suspended"), "suspending takes it off")
        p.command("campaign", "resume", "temps")
        becomes(p, "car-1", "temps", ("HEALTHY", "confirmed"), "resuming brings it back")
        p.command("template", "create", "--name", "state", "--signals", "Vehicle.ENGINE.Rpm,Vehicle.ENGINE.Temp")
        p.command("template", "give", "state", "--vehicle", "car-1", "--period", "1000")
        wait_for(lambda: listing(p, "template", "of", "car-1")["items"][0]["state"] == "healthy", 10, "the agent to confirm the template")
        p.command("template", "activate", "state", "--vehicle", "car-1", "--for", "60")
        wait_for(lambda: listing(p, "template", "of", "car-1")["commands"][0]["status"] == "succeeded", 10, "the agent's answer")
        tap.ok(True, "a template given by the command line is confirmed, and activated by a command")
        p.command("template", "give", "state", "--vehicle", "car-2")
        tap.equal(listing(p, "template", "of", "car-2")["items"][0]["state"], "pending", "at a vehicle that never came it waits")
        p.command("campaign", "delete", "temps")
        wait_for(lambda: stands(p, "car-1", "temps") is None, 10, "the campaign to leave the vehicle")
        tap.ok(True, "deleting takes it off")
    finally:
        agent.terminate()
        agent.wait(60)


def hostile(p):
    """A check-in of thousands of ids, and one that is none, by a client that may speak for the vehicle."""
    folder = p.base / "car-2"
    many = b"".join(data(1, f"x{i}".encode()) for i in range(5000))
    for name, payload in (("many", many), ("none", b"\xff\xff\xff\xff")):
        file = p.base / name
        file.write_bytes(payload)
        subprocess.run(["mosquitto_pub", "-V", "mqttv5", "-h", "localhost", "-p", str(p.mqtt), "-i", "car-2", "--cafile", str(folder / "ca.pem"), "--cert", str(folder / "cert.pem"), "--key",
                        str(folder / "key.pem"), "-q", "1", "-t", "$aws/iotfleetwise/vehicles/car-2/checkins", "-f", str(file)], check=True, timeout=60)

    def troubles():
        return {t["kind"]: t["count"] for t in listing(p, "campaign", "of", "car-2")["troubles"]}

    wait_for(lambda: "checkin_unreadable" in troubles(), 10, "the check-ins to be read")
    tap.equal(troubles(), {"checkin_unreadable": 1, "ids_unknown": 4096, "ids_dropped": 904}, "hostile check-ins are counted at their vehicle")
    tap.equal(p.metric("motorcade_checkin_ids_unknown"), 4096.0, "and in the metrics")
    agent = listing(p, "campaign", "of", "car-2")["agent"]
    tap.equal((agent["unknown"], agent["dropped"], agent["first_unknown"]), (4096, 904, "x0"), "with what the vehicle said last")


def main():
    p = Platform()
    try:
        p.start()
        began = time.monotonic()
        prepare(p)
        tap.guard("an agent converges", converge, p)
        tap.guard("hostile check-ins", hostile, p)
        tap.note(f"{time.monotonic() - began:.1f} s")
    finally:
        p.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
