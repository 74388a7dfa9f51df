#!/usr/bin/env python3
"""Makes tests/signal/golden/truck.json: the truck log decoded by asammdf's frames and cantools' decoder.

usage: truck_golden.py <data folder> <output>     (needs asammdf and cantools)

Channel 1 by j1939_demo.dbc, matched by parameter group, values that SAE J1939-71 marks as error or not available left out;
channel 9 by canmod_gps.dbc with 100 taken off the ids. Per signal: count, first, last, and the sum of all values (as the
exact sum of the doubles, so that no order of adding matters).
"""
import json, math, os, sys
import cantools
from asammdf import MDF


def pgn(i):
    p = i >> 8 & 0x3FFFF
    return p & 0x3FF00 if (p >> 8 & 0xFF) < 240 else p


def main():
    data, out = sys.argv[1:]
    j1939 = cantools.database.load_file(data + '/dbc/j1939_demo.dbc', encoding='utf-8', strict=False)
    gps = cantools.database.load_file(data + '/dbc/canmod_gps.dbc', strict=False)
    groups = {pgn(m.frame_id): m for m in j1939.messages}
    ids = {m.frame_id: m for m in gps.messages}
    mdf = MDF(data + '/canlog/j1939_truck.mf4')
    values = {}
    frames = []
    for g, group in enumerate(mdf.groups):
        names = [c.name for c in group.channels]
        if 'CAN_DataFrame' not in names:
            continue
        get = lambda n: mdf.get('CAN_DataFrame.' + n, group=g)
        if len(get('ID').samples) == 0:
            continue
        for t, i, e, b, n, d in zip(get('ID').timestamps, get('ID').samples, get('IDE').samples, get('BusChannel').samples,
                                    get('DataLength').samples, get('DataBytes').samples):
            frames.append((t, int(i), bool(e), int(b), bytes(d)[:int(n)]))
    frames.sort(key=lambda f: f[0])
    for t, i, e, b, d in frames:
        m = groups.get(pgn(i)) if b == 1 and e else ids.get(i - 100) if b == 9 and not e else None
        if not m:
            continue
        decoded = m.decode(d, decode_choices=False, scaling=True, allow_truncated=True)
        raw = m.decode(d, decode_choices=False, scaling=False, allow_truncated=True)
        for name, v in decoded.items():
            s = m.get_signal_by_name(name)
            if b == 1 and s.length >= 8 and (raw[name] & ((1 << s.length) - 1)) >> (s.length - 8) >= 0xFE:
                continue
            values.setdefault(name, []).append(float(v))
    golden = {n: {'count': len(v), 'first': v[0], 'last': v[-1], 'sum': math.fsum(v), 'min': min(v), 'max': max(v)} for n, v in values.items()}
    with open(out, 'w') as f:
        json.dump(golden, f, indent=1, sort_keys=True)
        f.write('\n')
    print(json.dumps(golden, indent=1, sort_keys=True), file=sys.stderr)


main()
