"""FleetWise messages for the double of AWS's agent, read and written by a table (contract fleetwise 5): a second reader and writer, so that ours are not tested with themselves. Standard library only.

A line of the table is one message: tag, name, kind. `*` repeated, `?` member of a oneof (written even when zero; the last one on the wire wins).
"""
import struct

TABLE = """
Checkin: 1 document_sync_ids str*; 2 timestamp_ms_epoch u64; 1000 agent str; 1001 capabilities u64
DecoderManifest: 1 sync_id str; 2 can_signals CANSignal*; 3 obd_pid_signals OBDPIDSignal*; 4 complex_types ComplexType*; 5 complex_signals ComplexSignal*; 6 custom_decoding_signals CustomDecodingSignal*
CANSignal: 1 signal_id u32; 2 interface_id str; 3 message_id u32; 4 is_big_endian bool; 5 is_signed bool; 6 start_bit u32; 7 offset f64; 8 factor f64; 9 length u32; 10 primitive_type u32; 11 signal_value_type u32
OBDPIDSignal: 1 signal_id u32; 2 interface_id str; 3 pid_response_length u32; 4 service_mode u32; 5 pid u32; 6 scaling f64; 7 offset f64; 8 start_byte u32; 9 byte_length u32; 10 bit_right_shift u32; 11 bit_mask_length u32; 12 primitive_type u32; 13 signal_value_type u32; 14 is_signed bool
ComplexType: 1 type_id u32; 2 primitive_data Ignored?; 3 struct Ignored?; 4 array Ignored?; 5 string_data Ignored?
ComplexSignal: 1 signal_id u32; 2 interface_id str; 3 message_id str; 4 root_type_id u32
CustomDecodingSignal: 1 signal_id u32; 2 interface_id str; 3 custom_decoding_id str; 4 primitive_type u32
Ignored:
CollectionSchemes: 1 collection_schemes CollectionScheme*; 2 timestamp_ms_epoch u64
CollectionScheme: 1 campaign_sync_id str; 2 decoder_manifest_sync_id str; 3 start_time_ms_epoch u64; 4 expiry_time_ms_epoch u64; 5 time_based TimeBased?; 6 condition_based ConditionBased?; 7 after_duration_ms u32; 8 include_active_dtcs bool; 9 signal_information SignalInformation*; 11 persist_all_collected_data bool; 12 compress_collected_data bool; 13 priority u32; 17 store_and_forward StoreAndForward; 18 signal_fetch_information FetchInformation*; 19 campaign_arn str
TimeBased: 1 period_ms u32
ConditionBased: 1 minimum_interval_ms u32; 2 language_version u32; 3 condition_tree ConditionNode; 4 trigger_mode u32
SignalInformation: 1 signal_id u32; 2 sample_buffer_size u32; 3 minimum_sample_period_ms u32; 4 fixed_window_period_ms u32; 5 condition_only_signal bool; 6 signal_path SignalPath; 7 data_partition_id u32
SignalPath: 1 signal_path u32*
FetchInformation: 1 signal_id u32; 2 time_based TimeFetch?; 3 condition_based ConditionFetch?; 4 language_version u32; 5 actions ConditionNode*
TimeFetch: 1 max_execution_count u64; 2 execution_frequency_ms u64; 3 reset_interval_ms u64
ConditionFetch: 1 condition_tree ConditionNode; 2 trigger_mode u32
StoreAndForward: 1 partition_configuration Partition*
Partition: 1 storage_options Storage; 2 upload_options Upload
Storage: 1 maximum_size_in_bytes u64; 2 storage_location str; 3 minimum_time_to_live_in_seconds u32
Upload: 1 condition_tree ConditionNode
ConditionNode: 1 operator NodeOperator?; 2 function NodeFunction?; 3 double f64?; 4 signal_id u32?; 5 boolean bool?; 6 part SignalPart?; 7 string str?
SignalPart: 1 signal_id u32; 2 signal_path SignalPath
NodeOperator: 1 left ConditionNode; 2 right ConditionNode; 3 operator u32
NodeFunction: 1 window WindowFunction?; 3 custom CustomFunction?; 4 is_null IsNull?
WindowFunction: 1 signal_id u32?; 2 window_type u32; 3 part SignalPart?
CustomFunction: 1 function_name str; 2 params ConditionNode*
IsNull: 1 expression ConditionNode
VehicleData: 1 campaign_sync_id str; 2 decoder_sync_id str; 3 collection_event_id u32; 4 collection_event_time_ms_epoch u64; 5 captured_signals CapturedSignal*; 6 dtc_data DtcData
CapturedSignal: 1 relative_time_ms s64; 2 signal_id u32; 3 double_value f64?; 4 string_value str?
DtcData: 1 relative_time_ms s64; 2 active_dtc_codes str*
StateTemplates: 2 decoder_manifest_sync_id str; 5 state_templates_to_add StateTemplate*; 6 state_template_sync_ids_to_remove str*; 7 version u64
StateTemplate: 1 state_template_sync_id str; 3 on_change Ignored?; 4 periodic Periodic?; 5 signal_ids u32*
Periodic: 1 period_ms u64
LastKnownStateData: 2 collection_event_time_ms_epoch u64; 6 state_template_information StateTemplateInformation*
StateTemplateInformation: 1 state_template_sync_id str; 2 captured_signals StateSignal*
StateSignal: 1 signal_id u32; 2 double f64?; 3 boolean bool?; 4 int8 s64?; 5 uint8 u32?; 6 int16 s64?; 7 uint16 u32?; 8 int32 s64?; 9 uint32 u32?; 10 int64 s64?; 11 uint64 u64?; 12 float f32?; 13 string str?
CommandRequest: 16 command_id str; 17 timeout_ms u64; 18 actuator ActuatorCommand?; 19 state StateCommand?; 20 issued_timestamp_ms u64
ActuatorCommand: 1 signal_id u32; 2 decoder_manifest_sync_id str; 3 double f64?; 4 boolean bool?; 5 int8 s64?; 6 uint8 u32?; 7 int16 s64?; 8 uint16 u32?; 9 int32 s64?; 10 uint32 u32?; 11 int64 s64?; 12 uint64 u64?; 13 float f32?; 14 string str?
StateCommand: 1 state_template_information StateOrder*
StateOrder: 1 state_template_sync_id str; 2 activate Activate?; 3 deactivate Ignored?; 4 fetch_snapshot Ignored?
Activate: 1 deactivate_after_seconds u32
CommandResponse: 1 status u32; 2 command_id str; 3 reason_code u32; 4 reason_description str
"""
TYPES = ("NULL", "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FLOAT32", "FLOAT64", "STRING")  # PrimitiveType
WIRE = {"u32": 0, "u64": 0, "s64": 0, "bool": 0, "f64": 1, "str": 2, "f32": 5}
EMPTY = {"u32": 0, "u64": 0, "s64": 0, "bool": False, "f64": 0.0, "str": "", "f32": 0.0}
DEPTH = 100  # of nested messages: protobuf's own limit


class Field:
    def __init__(self, tag, name, kind):
        self.tag, self.name, self.repeated, self.oneof, self.kind = int(tag), name, kind.endswith("*"), kind.endswith("?"), kind.rstrip("*?")

    def default(self):
        return [] if self.repeated else EMPTY.get(self.kind)


MESSAGES = {}
for row in TABLE.strip().splitlines():
    message, _, columns = row.partition(":")
    MESSAGES[message] = {f.tag: f for f in (Field(*column.split()) for column in columns.split(";") if column.strip())}


class Message(dict):
    """The fields that were on the wire; others read as their default."""

    def __init__(self, kind, **fields):
        super().__init__(fields)
        self.kind = kind

    def __missing__(self, name):
        return next(f for f in MESSAGES[self.kind].values() if f.name == name).default()


class Malformed(ValueError):
    pass


# ---- reading ----
def take_varint(data, at):
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise Malformed("cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise Malformed("a number of more than ten bytes")


def take_field(data, at):
    """(tag, wire type, number or bytes, where the next one begins)."""
    key, at = take_varint(data, at)
    tag, wire = key >> 3, key & 7
    if not tag or tag > 0x1FFFFFFF:
        raise Malformed("no such tag")
    if wire == 0:
        value, at = take_varint(data, at)
        return tag, wire, value, at
    length = {1: 8, 5: 4}.get(wire)
    if wire == 2:
        length, at = take_varint(data, at)
    if length is None or len(data) - at < length:
        raise Malformed("cut off, or a wire type that proto3 does not have")
    return tag, wire, data[at:at + length], at + length


def scalar(kind, value):
    if kind == "u32":
        return value & 0xFFFFFFFF
    if kind == "s64":
        return value >> 1 ^ -(value & 1)
    if kind == "bool":
        return bool(value)
    if kind == "f64":
        return struct.unpack("<d", value)[0]
    if kind == "f32":
        return struct.unpack("<f", value)[0]
    if kind == "str":
        try:
            return value.decode()
        except UnicodeDecodeError as problem:
            raise Malformed("a text that is not UTF-8") from problem
    return value


def read(kind, data, depth=DEPTH):
    """A Message, or Malformed. Unknown tags and fields of another wire type are skipped, as protobuf does."""
    if not depth:
        raise Malformed("nested too deep")
    table, out, at = MESSAGES[kind], Message(kind), 0
    while at < len(data):
        tag, wire, value, at = take_field(data, at)
        f = table.get(tag)
        if not f:
            continue
        if f.repeated and f.kind == "u32" and wire == 2:  # packed
            inner = 0
            while inner < len(value):
                number, inner = take_varint(value, inner)
                out.setdefault(f.name, []).append(number & 0xFFFFFFFF)
            continue
        if wire != WIRE.get(f.kind, 2):
            continue
        value = read(f.kind, value, depth - 1) if f.kind in MESSAGES else scalar(f.kind, value)
        if f.repeated:
            out.setdefault(f.name, []).append(value)
            continue
        if f.oneof:
            for other in table.values():
                if other.oneof:
                    out.pop(other.name, None)
        out[f.name] = value
    return out


def chosen(message):
    """(name, value) of the member of its oneof that is set; (None, None) when none is."""
    for f in MESSAGES[message.kind].values():
        if f.oneof and f.name in message:
            return f.name, message[f.name]
    return None, None


# ---- writing ----
def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def write_value(f, value):
    if f.kind in MESSAGES:
        data = write(value)
        return varint(len(data)) + data
    if f.kind == "str":
        data = value.encode()
        return varint(len(data)) + data
    if f.kind in ("f64", "f32"):
        return struct.pack("<d" if f.kind == "f64" else "<f", value)
    return varint((value << 1 ^ value >> 63) & 0xFFFFFFFFFFFFFFFF if f.kind == "s64" else int(value))


def write(message):
    out = b""
    for tag, f in sorted(MESSAGES[message.kind].items()):
        if f.name not in message:
            continue
        value, key = message[f.name], varint(tag << 3 | WIRE.get(f.kind, 2))
        if f.repeated and f.kind == "u32":
            packed = b"".join(varint(n) for n in value)
            out += varint(tag << 3 | 2) + varint(len(packed)) + packed if value else b""
        elif f.repeated:
            out += b"".join(key + write_value(f, item) for item in value)
        elif f.oneof or f.kind in MESSAGES or value:
            out += key + write_value(f, value)
    return out


# ---- snappy's raw block ----
def compress(data):
    """Greedy, copies of at least four bytes: what the reader meets are literals and copies of both lengths."""
    out, seen, at, plain = bytearray(varint(len(data))), {}, 0, 0

    def literal(upto):
        begin = plain
        while begin < upto:
            n = min(upto - begin, 65536)
            if n <= 60:
                out.append(n - 1 << 2)
            else:
                out.extend(bytes([61 << 2]) + struct.pack("<H", n - 1))
            out.extend(data[begin:begin + n])
            begin += n

    while at + 4 <= len(data):
        found, key = seen.get(data[at:at + 4], -1), data[at:at + 4]
        seen[key] = at
        if found < 0 or at - found > 65535:
            at += 1
            continue
        length = 4
        while length < 64 and at + length < len(data) and data[found + length] == data[at + length]:
            length += 1
        literal(at)
        if length < 12 and at - found < 2048:
            out.extend([1 | length - 4 << 2 | (at - found) >> 8 << 5, (at - found) & 255])
        else:
            out.extend(bytes([2 | length - 1 << 2]) + struct.pack("<H", at - found))
        at += length
        plain = at
    literal(len(data))
    return bytes(out)


def expand(data):
    stated, at = take_varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            n = tag >> 2
            if n >= 60:
                more = n - 59
                n = int.from_bytes(data[at:at + more], "little")
                at += more
            out += data[at:at + n + 1]
            at += n + 1
            continue
        if tag & 3 == 1:
            length, offset, more = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at], 1
        else:
            more = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + more], "little")
        at += more
        if not offset or offset > len(out):
            raise Malformed("a copy from before the beginning")
        for _ in range(length):
            out.append(out[-offset])
    if len(out) != stated:
        raise Malformed("another length than stated")
    return bytes(out)
