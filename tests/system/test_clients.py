#!/usr/bin/env python3
"""mosquitto_pub and mosquitto_sub, Python paho and Node mqtt against a running motorcade: plain loopback port, mutual TLS, and the shared
port by ALPN, each with MQTT 3.1.1 and 5. Prints TAP."""
import shutil
import subprocess
import threading

from platform_under_test import Platform, Tap, npm_ready, stranger, use_debian_python, wait_for

use_debian_python("paho.mqtt.client")

from client_driver import Client  # noqa: E402

tap = Tap()
ALPN = "x-amzn-mqtt-ca"
TRANSPORTS = ("plain", "mutual TLS", "ALPN")  # and WebSocket, which the mosquitto programs do not speak



def options_for(platform, transport, version, device):
    o = {"version": version, "id": device["name"]}
    if transport == "plain":
        return {**o, "port": platform.dev}
    o.update(ca=device["ca"], cert=device["cert"], key=device["key"], port=platform.mqtt)
    if transport == "WebSocket":
        return {**o, "port": platform.tls, "path": "/mqtt"}
    return {**o, "port": platform.tls, "alpn": ALPN} if transport == "ALPN" else o


def clear_retained(platform, topic):
    c = Client("paho", version=4, id=f"clearer-{topic.replace('/', '-')}", port=platform.dev)
    c.connect()
    c.do("publish", topic=topic, payload="", qos=1, retain=True).wait("puback")
    c.quit()


# ---- what paho and Node do alike ----


def round_trip(label, kind, o, name):
    c = Client(kind, **o)
    first = c.connect()
    if not tap.ok(first and first["event"] == "connected", f"{label}: connects", first):
        return c.quit()
    for qos in (0, 1, 2):
        topic = f"dt/{name}/echo{qos}"
        granted = c.do("subscribe", topic=topic, qos=qos).wait("suback")
        tap.ok(granted and granted["codes"] == [qos], f"{label}: subscribes with QoS {qos}", granted)
        c.do("publish", topic=topic, payload=f"hello {qos}", qos=qos)
        got = c.wait("message", topic=topic)
        tap.ok(got and got["payload"] == f"hello {qos}" and got["qos"] == qos and not got["retain"], f"{label}: hears its own message of QoS {qos}", got)
        if qos:
            tap.ok(c.wait("puback"), f"{label}: the QoS {qos} publish is acknowledged")
    c.quit()


def retained(label, kind, o, name, platform):
    topic = f"dt/{name}/retained"
    c = Client(kind, **o)
    c.connect()
    c.do("publish", topic=topic, payload="kept", qos=1, retain=True).wait("puback")
    c.do("disconnect").wait("closed")
    c.quit()
    c = Client(kind, **o)
    c.connect()
    c.do("subscribe", topic=topic, qos=1).wait("suback")
    got = c.wait("message", topic=topic)
    tap.ok(got and got["payload"] == "kept" and got["retain"], f"{label}: a retained message waits for its subscriber", got)
    c.quit()
    clear_retained(platform, topic)


def will(label, kind, o, name, platform):
    topic = f"dt/{name}/gone"
    observer = Client("paho", version=4, id=f"observer-{name}", port=platform.dev)
    observer.connect()
    observer.do("subscribe", topic=topic, qos=1).wait("suback")
    c = Client(kind, **o, will={"topic": topic, "payload": "lost"})
    c.connect()
    c.do("disconnect").wait("closed")
    c.quit()
    tap.ok(observer.wait("message", topic=topic, seconds=0.5) is None, f"{label}: no will after a proper goodbye")
    c = Client(kind, **o, will={"topic": topic, "payload": "lost"})
    c.connect()
    c.kill()
    got = observer.wait("message", topic=topic)
    tap.ok(got and got["payload"] == "lost", f"{label}: the will is published when the client dies", got)
    observer.quit()


def resumed(label, kind, o, name, platform):
    topic = f"dt/{name}/queue"
    c = Client(kind, **{**o, "clean": False})
    first = c.connect()
    tap.ok(first and first["event"] == "connected" and not first["present"], f"{label}: a first session is a new one", first)
    c.do("subscribe", topic=topic, qos=1).wait("suback")
    c.do("disconnect").wait("closed")
    c.quit()
    sender = Client("paho", version=4, id=f"sender-{name}", port=platform.dev)
    sender.connect()
    for i in range(5):
        sender.do("publish", topic=topic, payload=f"m{i}", qos=1).wait("puback")
    sender.quit()
    c = Client(kind, **{**o, "clean": False})
    second = c.connect()
    tap.ok(second and second.get("present"), f"{label}: the session is resumed", second)
    got = [c.wait("message", topic=topic) for _ in range(5)]
    tap.equal([m and m["payload"] for m in got], [f"m{i}" for i in range(5)], f"{label}: messages that came meanwhile arrive in order")
    c.do("disconnect").wait("closed")
    c.quit()
    Client(kind, **o).connect()  # a clean start ends the kept session


def foreign(label, kind, o, name, platform):
    observer = Client("paho", version=4, id=f"watcher-{name}", port=platform.dev)
    observer.connect()
    observer.do("subscribe", topic="dt/other/#", qos=1).wait("suback")
    c = Client(kind, **o)
    c.connect()
    granted = c.do("subscribe", topic="dt/other/#", qos=1).wait("suback")
    tap.ok(granted and granted["codes"][0] >= 0x80, f"{label}: another vehicle's topic is not granted", granted)
    c.do("publish", topic="dt/other/x", payload="forged", qos=1)
    tap.ok(observer.wait("message", seconds=0.7) is None, f"{label}: a publish to another vehicle's topic reaches nobody")
    c.quit()
    observer.quit()


def refusals(kind, platform):
    """Strangers and revoked certificates; on both TLS ports and with both versions."""
    for transport in ("mutual TLS", "ALPN", "WebSocket"):
        for version in (4, 5):
            label = f"{kind} {transport} {'5' if version == 5 else '3.1.1'}"
            name = f"r{kind}{transport[0]}{version}"
            device = platform.vehicle(name)
            fake = stranger(platform.base / "strangers" / name, name)
            o = options_for(platform, transport, version, device)
            c = Client(kind, **{**o, "cert": fake["cert"], "key": fake["key"]})
            answer = c.connect()
            tap.ok(answer and answer["event"] == "refused", f"{label}: a stranger's certificate is refused", answer)
            if version == 5:
                tap.holds(answer and answer.get("reason"), "certificate", f"{label}: the refusal tells why")
            c.quit()
            texts = [e["text"] for e in platform.events() if e["kind"] == "ended" and "certificate" in e["text"]]
            tap.ok(texts, f"{label}: the platform's list of refusals tells why", platform.events()[:3])
            c = Client(kind, **o)
            c.connect()
            platform.revoke(device)
            ended = c.wait("closed")
            tap.ok(ended, f"{label}: revoking ends the live session", c.seen)
            if version == 5 and kind == "node":
                tap.holds(ended and ended.get("reason"), "revoked", f"{label}: the DISCONNECT tells why")
            c.quit()
            c = Client(kind, **o)
            answer = c.connect()
            tap.ok(answer and answer["event"] == "refused", f"{label}: a revoked certificate does not get in again", answer)
            if version == 5:
                tap.holds(answer and answer.get("reason"), "revoked", f"{label}: and is told that it was revoked")
            c.quit()


def shared(label, kind, o, name, platform):
    """Two members, the other one on the loopback port: each message goes to one of them, in turn."""
    topic, seen = f"dt/{name}/jobs", []
    members = [Client(kind, **o), Client(kind, version=o["version"], id=f"{name}-colleague", port=platform.dev)]
    for c in members:
        c.connect()
        granted = c.do("subscribe", topic=f"$share/workers/{topic}", qos=2).wait("suback")
        tap.ok(granted and granted["codes"] == [2], f"{label}: a shared subscription is granted", granted)
    helper = Client("paho", version=4, id=f"{name}-boss", port=platform.dev)
    helper.connect()
    for i in range(12):
        helper.do("publish", topic=topic, payload=f"{i}", qos=i % 3)
    for c in members:
        got = [c.wait("message", topic=topic) for _ in range(6)]
        seen += [m["payload"] for m in got if m]
        tap.ok(c.wait("message", topic=topic, seconds=0.2) is None, f"{label}: no member gets more than its share")
    tap.equal(sorted(seen, key=int), [f"{i}" for i in range(12)], f"{label}: each message of a shared subscription comes to one member")
    for c in (*members, helper):
        c.quit()


def driven(kind, platform):
    for transport in (*TRANSPORTS, "WebSocket"):
        for version in (4, 5):
            label = f"{kind} {transport} {'5' if version == 5 else '3.1.1'}"
            name = f"{kind}-{transport.split()[0].lower()}-{version}"
            device = platform.vehicle(name)
            o = options_for(platform, transport, version, device)
            tap.guard(label, round_trip, label, kind, o, name)
            tap.guard(label, retained, label, kind, o, name, platform)
            tap.guard(label, will, label, kind, o, name, platform)
            tap.guard(label, resumed, label, kind, o, name, platform)
            tap.guard(label, shared, label, kind, o, name, platform)
            if transport != "plain":
                tap.guard(label, foreign, label, kind, o, name, platform)
    tap.guard(kind, refusals, kind, platform)


# ---- mosquitto's programs ----


def mosquitto_arguments(o):
    a = ["-V", "mqttv5" if o["version"] == 5 else "mqttv311", "-h", "localhost", "-p", str(o["port"]), "-i", o["id"]]
    if o.get("ca"):
        a += ["--cafile", o["ca"], "--cert", o["cert"], "--key", o["key"]]
    if o.get("alpn"):
        a += ["--tls-alpn", o["alpn"]]
    return a


def mosquitto_pub(o, *more):
    return subprocess.run(["mosquitto_pub", *mosquitto_arguments(o), *more], capture_output=True, text=True, timeout=120)


class Subscriber:
    def __init__(self, o, *more):
        self.process = subprocess.Popen(["mosquitto_sub", *mosquitto_arguments(o), "-F", "%q %r %p", *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, seconds=90):
        try:
            out, _ = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, _ = self.process.communicate()
        return out.splitlines()


def wait_client(platform, name, subscriptions=1):
    """Until the platform knows the client with so many subscriptions."""
    wait_for(lambda: any(c["client_id"] == name and c["connected"] and c["subscriptions"] >= subscriptions for c in platform.api_all("/api/v1/clients")), 5, f"client {name}")


def mosquitto_case(label, o, name, dev, platform):
    for qos in (0, 1, 2):
        sub = Subscriber(o, "-t", f"dt/{name}/in", "-q", str(qos), "-C", "1", "-W", "60")
        wait_client(platform, name)
        mosquitto_pub(dev, "-t", f"dt/{name}/in", "-q", "2", "-m", f"in {qos}")
        tap.equal(sub.end(), [f"{qos} 0 in {qos}"], f"{label}: mosquitto_sub hears QoS {qos}")
        sub = Subscriber({**dev, "id": f"{dev['id']}-listens"}, "-t", f"dt/{name}/out", "-q", "2", "-C", "1", "-W", "60")
        wait_client(platform, f"{dev['id']}-listens")
        done = mosquitto_pub(o, "-t", f"dt/{name}/out", "-q", str(qos), "-m", f"out {qos}")
        tap.ok(done.returncode == 0, f"{label}: mosquitto_pub publishes QoS {qos}", done.stderr)
        tap.equal(sub.end(), [f"{qos} 0 out {qos}"], f"{label}: and its message arrives with QoS {qos}")
    mosquitto_pub(o, "-t", f"dt/{name}/kept", "-q", "1", "-r", "-m", "kept")
    tap.equal(Subscriber(o, "-t", f"dt/{name}/kept", "-q", "1", "-C", "1", "-W", "60").end(), ["1 1 kept"], f"{label}: a retained message waits for its subscriber")
    mosquitto_pub(dev, "-t", f"dt/{name}/kept", "-q", "1", "-r", "-n")
    # the will
    watch = Subscriber({**dev, "id": f"{dev['id']}-listens"}, "-t", f"dt/{name}/gone", "-q", "1", "-C", "1", "-W", "60")
    wait_client(platform, f"{dev['id']}-listens")
    dying = Subscriber(o, "-t", f"dt/{name}/any", "--will-topic", f"dt/{name}/gone", "--will-payload", "lost", "--will-qos", "1")
    wait_client(platform, name)
    dying.process.kill()
    dying.process.wait()
    tap.equal(watch.end(), ["1 0 lost"], f"{label}: the will is published when the client dies")
    # a shared subscription
    members = [Subscriber(m, "-t", f"$share/workers/dt/{name}/jobs", "-q", "2", "-C", "3", "-W", "60") for m in (o, {**dev, "id": f"{dev['id']}-colleague"})]
    wait_client(platform, name)
    wait_client(platform, f"{dev['id']}-colleague")
    for i in range(6):
        mosquitto_pub(dev, "-t", f"dt/{name}/jobs", "-q", "2", "-m", f"{i}")
    tap.equal(sorted(line for m in members for line in m.end()), [f"2 0 {i}" for i in range(6)], f"{label}: two members of a shared subscription get each message once, three each")
    # the resumed session
    keep = ["-c", "-q", "1", "-t", f"dt/{name}/queue"] + (["-x", "3600"] if o["version"] == 5 else [])
    Subscriber(o, *keep, "-E").end()
    for i in range(3):
        mosquitto_pub(dev, "-t", f"dt/{name}/queue", "-q", "1", "-m", f"m{i}")
    tap.equal(Subscriber(o, *keep, "-C", "3", "-W", "60").end(), ["1 0 m0", "1 0 m1", "1 0 m2"], f"{label}: messages that came meanwhile arrive in order")
    Subscriber(o, "-t", f"dt/{name}/any", "-E").end()
    if o.get("ca"):
        refused = Subscriber(o, "-t", "dt/other/#", "-q", "1", "-W", "3", "-d").end()
        tap.ok(any("denied" in line.lower() or "128" in line or "135" in line for line in refused), f"{label}: another vehicle's topic is not granted", "\n".join(refused))


def mosquitto_refusals(label, o, device, platform):
    fake = stranger(platform.base / "strangers" / device["name"], device["name"])
    done = mosquitto_pub({**o, "cert": fake["cert"], "key": fake["key"]}, "-t", f"dt/{device['name']}/x", "-m", "x", "-q", "1")
    tap.ok(done.returncode and "authori" in done.stderr.lower(), f"{label}: a stranger's certificate is refused in words", f"exit {done.returncode}: {done.stderr}")
    live = Subscriber(o, "-t", f"dt/{device['name']}/x", "-q", "1", "-d")
    wait_client(platform, device["name"])
    platform.revoke(device)
    wait_for(lambda: not any(c["client_id"] == device["name"] and c["connected"] for c in platform.api_all("/api/v1/clients")), 5, "the live session to end")
    tap.ok(True, f"{label}: revoking ends the live session")
    live.process.kill()
    live.end()
    done = mosquitto_pub(o, "-t", f"dt/{device['name']}/x", "-m", "x", "-q", "1")
    tap.ok(done.returncode and "authori" in done.stderr.lower(), f"{label}: a revoked certificate does not get in again", f"exit {done.returncode}: {done.stderr}")


def mosquitto(platform):
    if not shutil.which("mosquitto_sub"):
        return tap.skip("mosquitto_pub and mosquitto_sub", "Debian's mosquitto-clients is not installed")
    for transport in TRANSPORTS:
        for version in (4, 5):
            label = f"mosquitto {transport} {'5' if version == 5 else '3.1.1'}"
            name = f"mosquitto-{transport.split()[0].lower()}-{version}"
            device = platform.vehicle(name)
            o = options_for(platform, transport, version, device)
            dev = {"version": 4, "port": platform.dev, "id": f"helper-{name}"}
            tap.guard(label, mosquitto_case, label, o, name, dev, platform)
            if transport != "plain":
                tap.guard(label, mosquitto_refusals, label, o, device, platform)
    return None


def main():
    platform = Platform().start()
    try:
        platform.vehicle("other")
        parts = [threading.Thread(target=tap.guard, args=("mosquitto", mosquitto, platform)), threading.Thread(target=tap.guard, args=("paho", driven, "paho", platform))]
        if npm_ready():
            parts.append(threading.Thread(target=tap.guard, args=("node", driven, "node", platform)))
        else:
            tap.skip("Node mqtt", "node or npm is not installed")
        for part in parts:
            part.start()
        for part in parts:
            part.join()
        tap.equal(platform.process.poll(), None, "motorcade still runs")
        tap.equal(platform.stop(), 0, "and stops cleanly")
    finally:
        platform.close()
    tap.done()


main()
