"""FleetWise VehicleData as a foreign agent writes it (contract fleetwise 5.5): a second writer, so that ours is not tested with itself."""
import struct


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint((n << 1) ^ (n >> 63))


def field(tag, data):
    return varint(tag << 3 | 2) + varint(len(data)) + data


def vehicle_data(campaign, manifest, event_id, event_ms, samples):
    """samples: (relative ms, signal id, value)."""
    out = field(1, campaign.encode()) + field(2, manifest.encode()) + b"\x18" + varint(event_id) + b"\x20" + varint(event_ms)
    for relative_ms, signal, value in samples:
        out += field(5, b"\x08" + zigzag(relative_ms) + b"\x10" + varint(signal) + b"\x19" + struct.pack("<d", value))
    return out
