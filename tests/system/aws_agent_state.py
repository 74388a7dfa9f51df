"""Last known state and remote commands of the double of AWS's agent (contract fleetwise 5.6 and 5.7), its defects included. Standard library only."""
import json

from aws_agent_wire import TYPES, Malformed, Message, chosen, read, write

SUCCEEDED, TIMED_OUT, FAILED = 1, 2, 4
MANIFEST_OUT_OF_SYNC, NO_RULE, UNREADABLE, NO_DISPATCHER, TEMPLATE_OUT_OF_SYNC, TYPE_MISMATCH, ALREADY_ACTIVE, ALREADY_INACTIVE, EXPIRED = 2, 3, 4, 5, 6, 7, 16, 17, 18
SPLIT, BATCH_MS = 1000, 1000
MEMBER = {"BOOL": "boolean", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
          "FLOAT32": "float", "FLOAT64": "double", "NULL": "double"}


class Template:
    def __init__(self, manifest, document):
        self.manifest, self.document, self.id = manifest, document, document["state_template_sync_id"]
        self.period = document["periodic"]["period_ms"] if document["periodic"] else 0
        self.signals = set(document["signal_ids"])
        self.active, self.until = False, 0  # until: wall clock in ms; 0: for ever
        self.changed, self.due = {}, None


class States:
    """Templates, silent until a command activates them."""

    def __init__(self, store, tell):
        self.store, self.tell = store, tell
        self.templates, self.version, self.latest, self.out = {}, 0, {}, []
        kept, facts = store.load("StateTemplateList.bin"), json.loads(store.load("StateTemplateListMetadata.json") or b"{}")
        for document in read("StateTemplates", kept)["state_templates_to_add"] if kept else []:
            fact = facts["templates"][document["state_template_sync_id"]]
            t = self.templates[document["state_template_sync_id"]] = Template(fact["manifest"], document)
            t.active, t.until = fact["active"], 0  # the defect: when it was to end is forgotten over a restart
        self.version = facts.get("version", 0)

    def _save(self):
        self.store.save("StateTemplateList.bin", write(Message("StateTemplates", state_templates_to_add=[t.document for t in self.templates.values()])))
        facts = {"version": self.version, "templates": {t.id: {"manifest": t.manifest, "active": t.active} for t in self.templates.values()}}
        self.store.save("StateTemplateListMetadata.json", json.dumps(facts).encode())

    def take(self, data):
        """A delta. True: the templates changed."""
        try:
            m = read("StateTemplates", data)
        except Malformed as problem:
            self.tell("rejected", what="StateTemplates", why=str(problem))
            return False
        if m["version"] < self.version:
            self.tell("ignored", what="StateTemplates", version=m["version"])
            return False
        before = list(self.templates)
        self.version = m["version"]
        for name in m["state_template_sync_ids_to_remove"]:
            self.templates.pop(name, None)
        for document in m["state_templates_to_add"]:
            self.templates.setdefault(document["state_template_sync_id"], Template(m["decoder_manifest_sync_id"], document))
        self._save()
        self.tell("templates", ids=list(self.templates), signals=[len(t.signals) for t in self.templates.values()])
        return before != list(self.templates)

    # ---- values ----
    def sample(self, signal, value, kind):
        if isinstance(value, str):
            return  # not supported
        before = self.latest.get(signal)
        self.latest[signal] = (value, kind)
        same = before is not None and (abs(before[0] - value) < 0.001 if kind in ("FLOAT32", "FLOAT64", "NULL") else before[0] == value)
        for t in self.templates.values():
            if t.active and not t.period and signal in t.signals and not same:
                t.changed[signal] = (value, kind)

    def _send(self, t, values):
        entries = [Message("StateSignal", signal_id=signal, **{MEMBER[kind]: value}) for signal, (value, kind) in values.items()]
        self.out += [(t.id, entries[i:i + SPLIT]) for i in range(0, len(entries), SPLIT)]

    def _snapshot(self, t):
        self._send(t, {signal: self.latest[signal] for signal in sorted(t.signals) if signal in self.latest})

    def turn(self, mono, wall, manifest):
        """Payloads before snappy."""
        for t in self.templates.values():
            if t.active and t.until and wall >= t.until:
                t.active = False
                self._save()
            if not t.active or t.manifest != manifest:
                continue
            if t.due is None:
                t.due = mono + (t.period or BATCH_MS)
            if mono >= t.due:
                t.due += t.period or BATCH_MS
                if t.period:
                    self._snapshot(t)
                elif t.changed:
                    self._send(t, t.changed)
                    t.changed = {}
        out, self.out = self.out, []
        return [write(Message("LastKnownStateData", collection_event_time_ms_epoch=int(wall),
                              state_template_information=[Message("StateTemplateInformation", state_template_sync_id=name, captured_signals=entries)])) for name, entries in out]

    def order(self, order, wall, manifest):
        """(status, reason) of one template of a command."""
        t = self.templates.get(order["state_template_sync_id"])
        if not t or t.manifest != manifest:
            return FAILED, TEMPLATE_OUT_OF_SYNC
        action, detail = chosen(order)
        if action == "activate":
            if t.active:
                return SUCCEEDED, ALREADY_ACTIVE
            seconds = detail["deactivate_after_seconds"]
            t.active, t.until, t.due, t.changed = True, wall + seconds * 1000 if seconds else 0, None, {}
            self._snapshot(t)
        elif action == "deactivate":
            if not t.active:
                return SUCCEEDED, ALREADY_INACTIVE
            t.active = False
        elif action == "fetch_snapshot":
            self._snapshot(t)
        self._save()
        return SUCCEEDED, 0


class Commands:
    """actuators: {interface id: function(name, value) -> (status, reason)}."""

    def __init__(self, states, actuators, tell):
        self.states, self.actuators, self.tell = states, actuators, tell

    def take(self, data, wall, manifest):
        """[(command id, CommandResponse)]; empty where the agent says nothing."""
        try:
            m = read("CommandRequest", data)
        except Malformed:
            return [answer("", FAILED, UNREADABLE)]
        name, (kind, body) = m["command_id"], chosen(m)
        issued = m["issued_timestamp_ms"] or wall
        if kind is None or (kind == "state" and not body["state_template_information"]):
            self.tell("dropped", id=name, why="a command without a body")
            return []
        if m["timeout_ms"] and issued + m["timeout_ms"] <= wall:
            return [answer(name, TIMED_OUT, EXPIRED)]
        if kind == "state":
            return [answer(name, *self.states.order(order, wall, manifest and manifest["sync_id"])) for order in body["state_template_information"]]
        return [answer(name, *self._actuate(body, manifest))]

    def _actuate(self, body, manifest):
        if not manifest or body["decoder_manifest_sync_id"] != manifest["sync_id"]:
            return FAILED, MANIFEST_OUT_OF_SYNC
        signal = next((s for s in manifest["custom_decoding_signals"] if s["signal_id"] == body["signal_id"]), None)
        if not signal:
            return FAILED, NO_RULE
        if signal["interface_id"] not in self.actuators:
            return FAILED, NO_DISPATCHER
        member, value = chosen(body)
        kind = TYPES[signal["primitive_type"] % len(TYPES)]
        if member != ("string" if kind == "STRING" else MEMBER[kind]):
            return FAILED, TYPE_MISMATCH
        return self.actuators[signal["interface_id"]](signal["custom_decoding_id"], value)


def answer(name, status, reason):
    return name, Message("CommandResponse", status=status, command_id=name, reason_code=reason)
