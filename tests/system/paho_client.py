"""Drives one paho client from lines of JSON on stdin; tells what happens as lines of JSON on stdout. See client_driver.py."""
import json
import ssl
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

lock = threading.Lock()


def tell(event, **facts):
    with lock:
        print(json.dumps({"event": event, **facts}), flush=True)


def reason_of(properties):
    return getattr(properties, "ReasonString", "") if properties else ""


class Driver:
    def __init__(self, o):
        self.o, self.v5 = o, o["version"] == 5
        if self.v5:
            self.client = mqtt.Client(o["id"], protocol=mqtt.MQTTv5, transport="websockets" if o.get("path") else "tcp")
        else:
            self.client = mqtt.Client(o["id"], clean_session=o["clean"], protocol=mqtt.MQTTv311, transport="websockets" if o.get("path") else "tcp")
        c = self.client
        if o.get("path"):
            c.ws_set_options(path=o["path"])
        if o.get("ca"):
            context = ssl.create_default_context(cafile=o["ca"])
            if o.get("cert"):
                context.load_cert_chain(o["cert"], o["key"])
            if o.get("alpn"):
                context.set_alpn_protocols([o["alpn"]])
            c.tls_set_context(context)
        if o.get("will"):
            c.will_set(o["will"]["topic"], o["will"]["payload"], qos=1)
        c.on_connect = self.connected
        c.on_disconnect = self.disconnected
        c.on_message = lambda _c, _u, m: tell("message", topic=m.topic, payload=m.payload.decode(), qos=m.qos, retain=bool(m.retain))
        c.on_subscribe = lambda _c, _u, mid, codes, properties=None: tell("suback", codes=[x.value if hasattr(x, "value") else x for x in codes])
        c.on_publish = lambda _c, _u, mid: tell("puback", mid=mid)
        c.reconnect_delay_set(600, 600)

    def connected(self, _c, _u, flags, code, properties=None):
        code = code.value if hasattr(code, "value") else code
        if code:
            tell("refused", code=code, reason=reason_of(properties))
        else:
            tell("connected", present=bool(flags["session present"]))

    def disconnected(self, _c, _u, code, properties=None):
        tell("closed", code=code.value if hasattr(code, "value") else code, reason=reason_of(properties))

    def connect(self):
        o = self.o
        if self.v5:
            properties = Properties(PacketTypes.CONNECT)
            if not o["clean"]:
                properties.SessionExpiryInterval = 3600
            self.client.connect(o["host"], o["port"], keepalive=30, clean_start=o["clean"], properties=properties)
        else:
            self.client.connect(o["host"], o["port"], keepalive=30)
        self.client.loop_start()


def main():
    driver = Driver(json.loads(sys.argv[1]))
    for line in sys.stdin:
        command = json.loads(line)
        do = command["do"]
        try:
            if do == "connect":
                driver.connect()
            elif do == "subscribe":
                driver.client.subscribe(command["topic"], command["qos"])
            elif do == "publish":
                driver.client.publish(command["topic"], command["payload"], command["qos"], command.get("retain", False))
            elif do == "disconnect":
                driver.client.disconnect()
            elif do == "quit":
                break
        except Exception as problem:  # noqa: BLE001 - told to the test
            tell("error", text=f"{type(problem).__name__}: {problem}")


main()
