#!/usr/bin/env python3
"""The double of AWS's agent against the contract itself: the wire vectors of 15.1, the start bits of 15.2, what was measured on the agent (15.4) in virtual time, and the
rules for documents and check-ins of section 4. No platform. Prints TAP."""
import sys
import tempfile

from aws_agent_documents import Documents, Store, decode, raw_bits
from aws_agent_engine import Engine
from aws_agent_state import Commands, States
from aws_agent_wire import Malformed, Message, chosen, compress, expand, read, write
from platform_under_test import Tap

tap = Tap()
T = 1700000000000
VECTORS = [("Checkin", "1080d095ffbc31"), ("Checkin", "0a0263310a03646d311080d095ffbc31"),
           ("DecoderManifest", "0a03646d3112150801120131188002419a9999999999b93f4810500b"),
           ("DecoderManifest", "0a03646d31122708021201311880d4fbc7012001280130083900000000000044c041000000000000e03f48105008"),
           ("CollectionSchemes", "0a240a0263311203646d311880d095ffbc312080adf180bd312a0308e8074a040801100a60011080d095ffbc31"),
           ("CollectionSchemes", "0a3b0a0263321203646d311880d095ffbc312080adf180bd31321c08e80710011a130a110a0220011209190000000000004940180120014a04080110031080d095ffbc31"),
           ("VehicleData", "0a0263311203646d31188180a0ab062080d095ffbc312a0e08b90110011900000000000059402a0e08cd011001190000000000005940"),
           ("StateTemplates", "1203646d312a0d0a027331220308e8072a0201023801"), ("LastKnownStateData", "1080d095ffbc3132170a027331120b0801110000000000005940120408023009"),
           ("CommandRequest", "8201026531880188279a01080a060a0273311200a00180d095ffbc31"), ("CommandRequest", "82010265328801882792010908631203646d314809a00180d095ffbc31"),
           ("CommandResponse", "0804120265321803")]
SNAPPY = "36780a0263311203646d31188180a0ab062080d095ffbc312a0e08b9011001190005014459402a0e08cd011001190000000000005940"
FRAME = bytes.fromhex("1234567890ABCDEF")


# ---- the wire ----
def wire():
    for kind, text in VECTORS:
        data = bytes.fromhex(text)
        tap.equal(write(read(kind, data)).hex(), text, f"{kind} of {len(data)} bytes is read and written as in the contract")
    scheme = read("CollectionSchemes", bytes.fromhex(VECTORS[5][1]))["collection_schemes"][0]
    asked = scheme["condition_based"]
    tree = chosen(asked["condition_tree"])[1]
    tap.equal((asked["minimum_interval_ms"], asked["trigger_mode"], tree["operator"], chosen(tree["left"]), chosen(tree["right"])), (1000, 1, 1, ("signal_id", 1), ("double", 50.0)),
              "and a condition means what the contract says it means")
    state = chosen(read("LastKnownStateData", bytes.fromhex(VECTORS[8][1]))["state_template_information"][0]["captured_signals"][1])
    tap.equal(state, ("int16", -5), "a state keeps its type and sign")
    plain = bytes.fromhex(VECTORS[6][1])
    tap.equal(expand(bytes.fromhex(SNAPPY)), plain, "another encoder's snappy block expands")
    for data in (b"", plain, b"a" * 100000, bytes(range(256)) * 300, plain * 1000):
        tap.equal(expand(compress(data)), data, f"its own block of {len(data)} bytes expands")
    for kind, data in (("Checkin", "0a05"), ("Checkin", "0a01ff"), ("Checkin", "00"), ("CollectionSchemes", "0a020affff"), ("VehicleData", "20ffffffffffffffffffff01")):
        try:
            read(kind, bytes.fromhex(data))
            tap.ok(False, f"{data} is no {kind}")
        except Malformed:
            tap.ok(True, f"{data} is no {kind}")
    deep = b""
    for _ in range(120):
        deep = b"\x0a" + write_length(b"\x0a" + write_length(deep))
    try:
        read("ConditionNode", deep)
        tap.ok(False, "a tree beyond protobuf's own depth is refused")
    except Malformed:
        tap.ok(True, "a tree beyond protobuf's own depth is refused")


def write_length(data):
    n, out = len(data), bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n]) + data


def signal(**fields):
    return Message("CANSignal", signal_id=1, interface_id="1", message_id=256, factor=1.0, **fields)


def frames():
    for start, length, want in ((8, 16, 0x1234), (8, 12, 0x234), (0, 1, 0), (0, 8, 0x12), (40, 32, 0x567890AB), (56, 64, 0x1234567890ABCDEF)):
        tap.equal(raw_bits(FRAME, start, length, True), want, f"Motorola {start}|{length} as in the contract")
    tap.equal(raw_bits(FRAME, 4, 12, False), 0x341, "Intel: from the lowest bit up")
    tap.equal((raw_bits(FRAME[:2], 8, 16, False), raw_bits(FRAME[:2], 0, 16, True)), (None, None), "what does not fit the frame is none")
    tap.equal(decode(signal(start_bit=0, length=16, is_signed=True, offset=-40.0, primitive_type=8), b"\xff\xff"), -41, "sign and offset")
    tap.equal(decode(Message("CANSignal", start_bit=0, length=64, factor=0.5, primitive_type=5), b"\x07" + bytes(7)), 0, "the defect: 64-bit integers lose the fraction of their factor")
    real = Message("CANSignal", start_bit=0, length=32, factor=1.0, primitive_type=11, signal_value_type=1)
    tap.equal((decode(real, b"\x00\x00\xc0\x3f"), decode(real, b"\x00\x00\xc0\x3f", False)), (1.5, 1069547520.0), "IEEE 754, and the defect before 1.2.1: a whole number")


# ---- what was measured ----
def node(name, value):
    return Message("ConditionNode", **{name: value})


def compare(left, code, right):
    return node("operator", Message("NodeOperator", left=left, operator=code, right=node("double", float(right))))


def window(kind=2):
    return node("function", Message("NodeFunction", window=Message("WindowFunction", signal_id=1, window_type=kind)))


SIGNAL = node("signal_id", 1)
NEW = node("function", Message("NodeFunction", is_null=Message("IsNull", expression=SIGNAL)))


def scheme(tree=None, interval=1000, rising=False, **more):
    fields = {"time_based": Message("TimeBased", period_ms=interval)} if tree is None else {"condition_based": Message(
        "ConditionBased", minimum_interval_ms=interval, language_version=1, condition_tree=tree, trigger_mode=int(rising))}
    info = Message("SignalInformation", signal_id=1, sample_buffer_size=10, fixed_window_period_ms=1000)
    return Message("CollectionScheme", decoder_manifest_sync_id="m", expiry_time_ms_epoch=T * 2, **{"campaign_sync_id": "c", "signal_information": [info], **fields, **more})


def manifest(kind, name="m"):
    return Message("DecoderManifest", sync_id=name, can_signals=[signal(length=16, primitive_type=kind)])


def run(schemes, kind=11, value=lambda ms: 100.0, seconds=25):
    """Events as (ms, scheme, samples): a sample each 50 ms, a pass each 20 ms, from an engine built at 0."""
    engine, out = Engine(), []
    engine.rebuild(manifest(kind), schemes, 0)
    for ms in range(10, seconds * 1000, 10):
        if ms % 50 == 0 and value(ms) is not None:
            engine.sample(1, value(ms), ms, T + ms)
        if ms % 20 == 0:
            out += [(ms, got[0]["campaign_sync_id"], got[3]) for got in engine.turn(ms, T + ms)]
    return out, engine


def measured():
    for name, kind in (("a double", 11), ("uint16", 3), ("int32", 8)):
        fired = run([scheme(compare(SIGNAL, 1, 50))], kind)[0]
        tap.ok(18 <= len(fired) <= 25, f"{name} of 100 is > 50: each second", len(fired))
        tap.ok(all(len(e[2]) == 10 for e in fired) and fired[0][2][0][1] > fired[0][2][1][1], "with ten samples, the newest first", fired[0])
    for code, right in ((1, 50), (1, -30000), (0, 30000)):
        tap.equal(run([scheme(compare(SIGNAL, code, right))], 7)[0], [], f"the defect: int16 {'<>'[code]} {right} never fires")
    tap.equal(run([scheme(compare(window(), 1, 50))])[0], [], "the defect: a window alone never fires")
    alive = node("operator", Message("NodeOperator", left=compare(window(), 1, 50), operator=6, right=compare(SIGNAL, 5, 1e300)))
    tap.ok(len(run([scheme(alive)])[0]) > 15, "beside an always-true comparison it does")
    tap.equal(len(run([scheme(compare(SIGNAL, 1, 500))], value=lambda ms: None)[0]), 0, "a signal that never came fires with nothing to send")
    tap.ok(len(run([scheme(compare(SIGNAL, 1, 500))], value=lambda ms: 0.0)[0]) > 15, "the defect: 0 > 500 over a constant 0 fires")
    tap.equal(run([scheme(compare(SIGNAL, 1, 50), rising=True)])[0], [], "a rising edge needs a fall first")
    edges = run([scheme(compare(SIGNAL, 1, 50), 100, True)], value=lambda ms: 100.0 if ms // 2000 % 2 else 1.0)[0]
    tap.equal([e[0] // 2000 for e in edges], [1, 3, 5, 7, 9, 11], "then it fires once a rise")
    tap.equal(run([scheme(compare(window(1), 1, -100))], value=lambda ms: -5.0)[0], [], "and a window's maximum alone neither")
    low = node("operator", Message("NodeOperator", left=compare(window(1), 0, 0), operator=6, right=compare(SIGNAL, 5, 1e300)))
    tap.equal(run([scheme(low, 200)], value=lambda ms: -5.0 if ms > 1900 else -6.0)[0], [], "the defect: a maximum below zero is never seen")
    first = run([scheme(interval=3000)])[0]
    tap.equal([e[0] for e in first], [3000, 6000, 9000, 12000, 15000, 18000, 21000, 24000], "a time-based campaign fires each period, the first time after one")
    tap.equal(len(run([scheme(NEW, 1000)], seconds=4)[0]), 0, "isNull of a signal that goes on coming is false when there is something to send")
    late = run([scheme(compare(SIGNAL, 1, 50), after_duration_ms=500)], seconds=4)[0]
    tap.equal([e[0] for e in late], [1500, 2500, 3500], "after_duration: the trigger stays at its second, the collection comes later")


def rules():
    def tree(levels):
        return SIGNAL if levels == 1 else node("operator", Message("NodeOperator", left=tree(levels - 1), operator=8))

    once = [scheme(compare(node("double", 3.0), 0, 5))]
    tap.ok(len(run(once, seconds=4)[0]) == 3, "a condition of literals is evaluated once, and holds")
    deep = [scheme(compare(tree(n), 3, 0)) for n in (9, 10)]
    tap.equal([len(run([s], seconds=4)[0]) for s in deep], [3, 0], "ten levels are evaluated, the eleventh makes it never true")
    zero = Message("CollectionScheme", campaign_sync_id="z", decoder_manifest_sync_id="m", expiry_time_ms_epoch=T * 2, time_based=Message("TimeBased", period_ms=1000),
                   signal_information=[Message("SignalInformation", signal_id=1)])
    fired, engine = run([scheme(), zero], seconds=4)
    tap.ok(fired == [] and "abandoned" in engine.told[0], "the defect: a buffer for 0 samples stops every campaign", fired, engine.told)
    big = scheme(signal_information=[Message("SignalInformation", signal_id=1, sample_buffer_size=2_000_000)])
    tap.equal(run([big], seconds=4)[0], [], "beyond 20 MB buffers are dropped")
    many = run([scheme(compare(SIGNAL, 1, 50), campaign_sync_id=f"c{i}") for i in range(257)], seconds=2)
    tap.ok({e[1] for e in many[0]} == {f"c{i}" for i in range(256)} and "dropped" in many[1].told[0], "beyond 256 campaigns are dropped", many[1].told)
    engine = Engine()
    tap.equal([engine.next_event(T) for _ in range(1)], [1701314561], "an event's id is time and counter in 31 bits")
    engine.rebuild(manifest(11), [scheme(compare(SIGNAL, 1, 50), 100)], 0)
    engine.sample(1, 1.0, 10, T)
    engine.rebuild(manifest(11), [scheme(compare(SIGNAL, 1, 50), 100)], 20)
    tap.equal(engine.turn(500, T), [], "a rebuild forgets every sample")


# ---- documents and check-ins ----
def documents():
    said = []
    store = Store(tempfile.mkdtemp(prefix="motorcade-double-"))
    d = Documents(store, lambda event, **facts: said.append((event, facts)))

    def schemes(*items):
        return write(Message("CollectionSchemes", collection_schemes=list(items), timestamp_ms_epoch=T))

    def campaign(name, to="m", start=0, end=T * 2):
        one = scheme(start_time_ms_epoch=start)
        return Message("CollectionScheme", **{**one, "campaign_sync_id": name, "decoder_manifest_sync_id": to, "expiry_time_ms_epoch": end})

    tap.ok(not d.take_schemes(b"") and not d.take_schemes(b"\xff") and not d.take_manifest(write(Message("DecoderManifest", sync_id="m"))) and said[-1][0] == "rejected",
           "nothing, garbage and a manifest without signals are rejected", said)
    tap.equal((d.update(T, []), d.ids), (False, []), "and a virgin lists nothing")
    d.take_schemes(schemes(campaign("a"), campaign("", "m"), campaign("back", end=0, start=5)))
    d.update(T, [])
    tap.equal(d.ids, [], "campaigns before their manifest do not run")
    d.take_manifest(write(manifest(11)))
    tap.equal((d.update(T, ["s"]), d.ids), (True, ["a", "m", "s"]), "then those that can be built run, and all is listed")
    tap.ok(not d.take_manifest(write(manifest(3))), "the same id with other content is ignored")
    d.take_schemes(schemes(campaign("a"), campaign("later", start=T + 1000), campaign("over", end=T - 1)))
    tap.equal((d.update(T, ["s"]), d.ids), (False, ["a", "m", "s"]), "one that has not begun is not listed until something else changes")
    tap.equal((d.update(T + 1000, ["s"]), d.ids), (True, ["a", "later", "m", "s"]), "or it begins")
    d.take_schemes(schemes(campaign("a", end=T + 2000), campaign("later")))
    tap.equal((d.update(T + 1500, ["s"]), d.update(T + 2000, ["s"]), d.ids), (False, True, ["later", "m", "s"]), "a new end of one that runs is honoured")
    d.take_schemes(schemes(campaign("later"), campaign("x", "other")))
    tap.equal((d.update(T, ["s"]), d.ids, d.in_step()), (True, ["m", "s"], False), "one campaign for another manifest stops all")
    again = Documents(store, lambda *a, **k: None)
    again.take_schemes(schemes(campaign("b")))
    again.update(T, [])
    tap.equal(again.ids, ["b", "m"], "documents live through a restart")
    again.take_schemes(schemes())
    again.update(T, [])
    tap.equal(again.ids, ["m"], "an empty list with a time stamp stops all")


def states():
    said = []
    store = Store(tempfile.mkdtemp(prefix="motorcade-double-"))
    s = States(store, lambda event, **facts: said.append((event, facts)))
    calls = Commands(s, {"dash": lambda name, value: (1, 0)}, lambda event, **facts: said.append((event, facts)))

    def delta(version, *names, gone=()):
        add = [Message("StateTemplate", state_template_sync_id=n, on_change=Message("Ignored"), signal_ids=[1]) for n in names]
        return write(Message("StateTemplates", decoder_manifest_sync_id="m", state_templates_to_add=add, state_template_sync_ids_to_remove=list(gone), version=version))

    def ask(issued=T, timeout=5000, body=None):
        return write(Message("CommandRequest", command_id="e", timeout_ms=timeout, issued_timestamp_ms=issued, **(body or {})))

    def order(name, **action):
        return {"state": Message("StateCommand", state_template_information=[Message("StateOrder", state_template_sync_id=name, **action)])}

    on, off = {"activate": Message("Activate")}, {"deactivate": Message("Ignored")}
    m = Message("DecoderManifest", sync_id="m", custom_decoding_signals=[Message("CustomDecodingSignal", signal_id=9, interface_id="dash", custom_decoding_id="Lamp", primitive_type=1)])
    tap.ok(s.take(delta(5, "a", "b")) and not s.take(delta(4, "c")) and s.take(delta(6, "c", gone=["b"])) and list(s.templates) == ["a", "c"], "templates are a delta with a version", said)
    s.sample(1, -5, "INT16")
    tap.equal(s.turn(0, T, "m"), [], "a template is silent until it is told otherwise")

    def answered(data, wall=T):
        return [(name, r["status"], r["reason_code"]) for name, r in calls.take(data, wall, m)]

    tap.equal(answered(ask(body=order("a", **on))), [("e", 1, 0)], "activation succeeds")
    first = read("LastKnownStateData", s.turn(0, T, "m")[0])["state_template_information"][0]
    tap.equal((first["state_template_sync_id"], chosen(first["captured_signals"][0])), ("a", ("int16", -5)), "and sends what is known, in its own type")
    tap.equal(answered(ask(body=order("a", **on))), [("e", 1, 16)], "again: succeeded, already active")
    s.sample(1, -5, "INT16")
    tap.equal(s.turn(2000, T, "m"), [], "the same value is no change")
    s.sample(1, 7, "INT16")
    tap.equal(len(s.turn(4000, T, "m")), 1, "another one is")
    tap.equal(s.turn(9000, T, "other"), [], "for another manifest it is silent")
    tap.equal((answered(ask(body=order("x", **on))), answered(ask(body=order("c", **off)))), ([("e", 4, 6)], [("e", 1, 17)]), "an unknown template; one that is silent already")
    tap.equal((answered(ask(), T), answered(ask(body={"state": Message("StateCommand")}))), ([], []), "commands without a body are dropped without a word")
    tap.equal((answered(ask(body=order("a", **off)), T + 5000), answered(b"\xff")), ([("e", 2, 18)], [("", 4, 4)]), "one that is too old; one that cannot be read, under no id")

    def actuator(number, to="m", **value):
        return {"actuator": Message("ActuatorCommand", signal_id=number, decoder_manifest_sync_id=to, **value)}

    tap.equal([answered(ask(body=b))[0][1:] for b in (actuator(9, boolean=True), actuator(9, "old", boolean=True), actuator(99, int32=-5), actuator(9, double=1.0))],
              [(1, 0), (4, 2), (4, 3), (4, 7)], "actuators: done, another manifest, no rule, another type")
    again = States(store, lambda *a, **k: None)
    tap.equal({t.id: t.active for t in again.templates.values()}, {"a": True, "c": False}, "what is active stays so over a restart")


for part in (wire, frames, measured, rules, documents, states):
    tap.guard(part.__name__, part)
sys.exit(tap.done())
