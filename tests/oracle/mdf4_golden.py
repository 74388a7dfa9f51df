#!/usr/bin/env python3
"""Makes tests/format/golden/mdf4.json: what asammdf reads from the MDF4 bus logs of the data folder.

usage: mdf4_golden.py <data folder> <output>     (needs the Python package asammdf)

Per file: the number of data and remote frames, the first and last frame, and the SHA-256 over one line a frame, the
lines sorted by bytes (readers differ in how they order frames of equal time):
  "<time in us> <channel> <id as 8 hex digits> <x extended|s> <f FD|c> <r remote|d> <length> <data in hex>"
"""
import glob, hashlib, json, math, os, sys
import numpy as np
from asammdf import MDF

DLC = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64]


def column(mdf, group, names, what, default=None):
    for n in names:
        if n.endswith('.' + what):
            return mdf.get(n, group=group, raw=False).samples
    return default


def frames_of(mdf, start_us):
    lines = []
    for g, group in enumerate(mdf.groups):
        names = [c.name for c in group.channels]
        kind = next((k for k in ('CAN_DataFrame', 'CAN_RemoteFrame') if k in names), None)
        if not kind:
            continue
        time = mdf.get(kind + '.ID', group=g, raw=True).timestamps
        if len(time) == 0:
            continue
        raw_id = mdf.get(kind + '.ID', group=g, raw=True).samples
        ide = column(mdf, g, names, 'IDE')
        bus = column(mdf, g, names, 'BusChannel', np.zeros(len(time)))
        edl = column(mdf, g, names, 'EDL', np.zeros(len(time)))
        length = column(mdf, g, names, 'DataLength')
        data = column(mdf, g, names, 'DataBytes') if kind == 'CAN_DataFrame' else None
        for i in range(len(time)):
            extended = bool(ide[i])
            n = int(length[i])
            body = bytes(data[i])[:n].hex() if data is not None else ''
            lines.append('%d %d %08x %s %s %s %d %s' % (
                start_us + math.floor(time[i] * 1e6 + 0.5), int(bus[i]), int(raw_id[i]) & (0x1FFFFFFF if extended else 0x7FF),
                'x' if extended else 's', 'f' if edl[i] else 'c', 'r' if data is None else 'd', n, body))
    return lines


def main():
    data, out = sys.argv[1:]
    golden = {}
    for path in sorted(glob.glob(data + '/canlog/*.mf4')):
        mdf = MDF(path)
        start_us = mdf.header.abs_time // 1000
        lines = sorted(frames_of(mdf, start_us))
        text = ''.join(l + '\n' for l in lines)
        by_time = sorted(lines, key=lambda l: int(l.split()[0]))
        golden[os.path.relpath(path, data)] = {
            'frames': len(lines), 'first': by_time[0], 'last': by_time[-1], 'sha256': hashlib.sha256(text.encode()).hexdigest()}
        print(path, golden[os.path.relpath(path, data)], file=sys.stderr)
    import asammdf
    with open(out, 'w') as f:
        json.dump({'made_with': 'asammdf ' + asammdf.__version__, 'file': golden}, f, indent=1)
        f.write('\n')


main()
