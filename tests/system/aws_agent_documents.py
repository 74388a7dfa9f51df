"""Which documents the double of AWS's agent holds, which of them run, and what its check-ins list (contract fleetwise 4 and 12); and its decoder of CAN frames (5.2). What
it rejects it rejects without a word to the platform; `tell` is for the test alone. Standard library only."""
import pathlib
import struct

from aws_agent_wire import TYPES, Malformed, read

DOCUMENT_MAX = 128_000_000
EXTENDED = 1 << 31
WHOLE = ("UINT8", "UINT16", "UINT32", "INT8", "INT16", "INT32")


class Store:
    """<persistencyPath>/FWE_Persistency; without a path nothing survives a restart."""

    def __init__(self, path):
        self.path = pathlib.Path(path) / "FWE_Persistency" if path else None
        if self.path:
            self.path.mkdir(parents=True, exist_ok=True)

    def save(self, name, data):
        if self.path:
            (self.path / name).write_bytes(data)

    def load(self, name):
        file = self.path / name if self.path else None
        return file.read_bytes() if file and file.exists() else None

    def remove(self, name):
        if self.path:
            (self.path / name).unlink(missing_ok=True)


# ---- frames ----
def raw_bits(data, start, length, big_endian):
    """The number whose lowest bit is `start`, in either byte order; None: it does not lie in the frame."""
    byte, shift = divmod(start, 8)
    if not length or length > 64 or byte >= len(data):
        return None
    room = (byte + 1) * 8 - shift if big_endian else len(data) * 8 - start
    if length > room:
        return None
    whole = int.from_bytes(data[:byte + 1], "big") >> shift if big_endian else int.from_bytes(data, "little") >> start
    return whole & (1 << length) - 1


def decode(signal, data, ieee=True):
    """The physical value in the signal's type, or None. ieee: False before 1.2.1, which took IEEE 754 for integers."""
    raw, kind, length = raw_bits(data, signal["start_bit"], signal["length"], signal["is_big_endian"]), TYPES[signal["primitive_type"] % len(TYPES)], signal["length"]
    if raw is None:
        return None
    if signal["signal_value_type"] == 1 and ieee:
        if length not in (32, 64):
            return None
        raw = struct.unpack("<f" if length == 32 else "<d", raw.to_bytes(length // 8, "little"))[0]
    elif signal["is_signed"] and raw >> length - 1:
        raw -= 1 << length
    if kind in ("UINT64", "INT64"):  # the defect: factor and offset lose their fractions
        return int(raw) * int(signal["factor"]) + int(signal["offset"])
    value = raw * signal["factor"] + signal["offset"]
    if kind == "BOOL":
        return bool(value)
    if kind == "FLOAT32":
        return struct.unpack("<f", struct.pack("<f", value))[0]
    return int(value) if kind in WHOLE else float(value)


class Decoder:
    def __init__(self, manifest, ieee=True):
        self.frames, self.names, self.kinds, self.ieee = {}, {}, {}, ieee
        for signal in manifest["can_signals"] if manifest else []:
            self.frames.setdefault((signal["interface_id"], signal["message_id"]), []).append(signal)
            self.kinds[signal["signal_id"]] = TYPES[signal["primitive_type"] % len(TYPES)]
        for signal in manifest["custom_decoding_signals"] if manifest else []:
            self.names[signal["interface_id"], signal["custom_decoding_id"]] = signal
            self.kinds[signal["signal_id"]] = TYPES[signal["primitive_type"] % len(TYPES)]

    def frame(self, interface, frame_id, data):
        """[(signal id, value)]. The id as SocketCAN has it first, then without flags."""
        signals = self.frames.get((interface, frame_id)) or self.frames.get((interface, frame_id & ~EXTENDED)) or []
        values = [(signal["signal_id"], decode(signal, data, self.ieee)) for signal in signals]
        return [(signal, value) for signal, value in values if value is not None]


# ---- documents ----
def scheme_builds(scheme):
    """None, or why the scheme is dropped; the others of its list are used."""
    if not scheme["campaign_sync_id"] or not scheme["decoder_manifest_sync_id"]:
        return "without an id"
    if scheme["expiry_time_ms_epoch"] < scheme["start_time_ms_epoch"]:
        return "ends before it begins"
    if not scheme["time_based"] and not scheme["condition_based"]:
        return "neither time nor condition"
    for partition in scheme["store_and_forward"]["partition_configuration"] if scheme["store_and_forward"] else []:
        storage = partition["storage_options"]
        if not storage or storage["storage_location"].rstrip("/").rsplit("/", 1)[-1] in ("", ".", ".."):
            return "a partition without a place"
    return None


def wrapped(scheme):
    """The defect: size and life of a partition in 32 bits; those that change by it."""
    for partition in scheme["store_and_forward"]["partition_configuration"] if scheme["store_and_forward"] else []:
        size, life = partition["storage_options"]["maximum_size_in_bytes"], partition["storage_options"]["minimum_time_to_live_in_seconds"] * 1000
        if size >> 32:
            yield f"a partition of {size} bytes wraps to {size & 0xFFFFFFFF}"
        if life >> 32:
            yield f"a life of {life} ms wraps to {life & 0xFFFFFFFF}"


class Documents:
    def __init__(self, store, tell):
        self.store, self.tell = store, tell
        self.manifest, self.list = None, []
        self.enabled, self.idle, self.newer = {}, {}, {}
        self.ids, self.listed_for = [], None  # what a check-in lists, and for which state it was made
        for name, take in (("DecoderManifest.bin", self.take_manifest), ("CollectionSchemeList.bin", self.take_schemes)):
            kept = store.load(name)
            if kept is not None:
                take(kept)

    def _read(self, kind, data):
        if not data or len(data) > DOCUMENT_MAX:
            self.tell("rejected", what=kind, why="empty" if not data else "too large")
            return None
        try:
            return read(kind, data)
        except Malformed as problem:
            self.tell("rejected", what=kind, why=str(problem))
            return None

    def take_manifest(self, data):
        """True: a new one is current."""
        m = self._read("DecoderManifest", data)
        if m is None:
            return False
        if not (m["can_signals"] or m["obd_pid_signals"] or m["custom_decoding_signals"]) or not m["sync_id"]:
            self.tell("rejected", what="DecoderManifest", why="nothing in it")
            return False
        if self.manifest and self.manifest["sync_id"] == m["sync_id"]:
            self.tell("ignored", what="DecoderManifest", id=m["sync_id"])
            return False
        self.manifest = m
        self.store.save("DecoderManifest.bin", data)
        self.tell("manifest", id=m["sync_id"], signals=len(m["can_signals"]) + len(m["obd_pid_signals"]) + len(m["custom_decoding_signals"]))
        return True

    def take_schemes(self, data):
        """True: the list was taken. It replaces all of the one before."""
        m = self._read("CollectionSchemes", data)
        if m is None:
            return False
        taken = []
        for scheme in m["collection_schemes"]:
            why = scheme_builds(scheme)
            if why:
                self.tell("dropped", id=scheme["campaign_sync_id"], why=why)
            else:
                taken.append(scheme)
                for text in wrapped(scheme):
                    self.tell("defect", text=text, id=scheme["campaign_sync_id"])
        self.list = taken
        self.store.save("CollectionSchemeList.bin", data)
        self.tell("schemes", ids=[s["campaign_sync_id"] for s in taken])
        return True

    def in_step(self):
        """The global check: one scheme for another manifest stops all."""
        return self.manifest is not None and all(s["decoder_manifest_sync_id"] == self.manifest["sync_id"] for s in self.list)

    def _renew(self, wall):
        """The two sets from the list."""
        enabled, idle = {}, {}
        for scheme in self.list if self.in_step() else []:
            name, running = scheme["campaign_sync_id"], self.enabled.get(scheme["campaign_sync_id"])
            if running and running is not scheme:  # new content under a known id: its end counts at once, the rest with the next rebuild
                running["expiry_time_ms_epoch"] = scheme["expiry_time_ms_epoch"]
                self.newer[name] = scheme
                scheme = running
            if scheme["expiry_time_ms_epoch"] <= wall:
                continue
            if running or scheme["start_time_ms_epoch"] <= wall:
                enabled[name] = scheme
            else:
                idle[name] = scheme
        return enabled, idle

    def update(self, wall, templates):
        """True: what runs has changed, so everything is built anew. templates: ids, for the check-in."""
        before = (sorted(self.enabled), self.manifest and self.manifest["sync_id"])
        self.enabled, self.idle = self._renew(wall)
        now = (sorted(self.enabled), self.manifest and self.manifest["sync_id"])
        if now != before:
            for name in list(self.enabled):
                self.enabled[name] = self.newer.pop(name, self.enabled[name])
            self.newer.clear()
        if self.listed_for != (now, tuple(templates)):  # idle ones do not count: they come in, and go, with the next change of something else
            self.listed_for = (now, tuple(templates))
            self.ids = [*self.enabled, *self.idle] + ([self.manifest["sync_id"]] if self.manifest else []) + list(templates)
        return now != before
