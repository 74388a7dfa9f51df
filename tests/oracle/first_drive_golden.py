#!/usr/bin/env python3
"""Makes tests/system/golden/first_drive.json: what asammdf and cantools read from the truck's log with j1939_demo.dbc.

usage: first_drive_golden.py <data folder> <output>     (needs the Python packages asammdf and cantools)

Per signal the samples in time order: number, first and last, extremes, and the SHA-256 over one line a sample:
  "<time in ms, cut> <16 hex digits of the IEEE double>"
Frames match by parameter group; values that SAE J1939-71 calls error or not available (raw 0xFE00 and more of 16 bits) are left out.
"""
import hashlib, json, math, struct, sys
import cantools
from asammdf import MDF

WANTED = [('j1939_demo.dbc', 'EEC1', 'EngineSpeed'), ('j1939_demo.dbc', 'CCVS1', 'WheelBasedVehicleSpeed'), ('canmod_gps.dbc', 'gnss_pos', 'Latitude'),
          ('canmod_gps.dbc', 'gnss_pos', 'Longitude'), ('canmod_gps.dbc', 'gnss_speed', 'Speed')]


def frames(mdf):
    start_us = mdf.header.abs_time // 1000
    for g, group in enumerate(mdf.groups):
        names = [c.name for c in group.channels]
        if 'CAN_DataFrame' not in names:
            continue
        ids = mdf.get('CAN_DataFrame.ID', group=g, raw=True)
        ide = mdf.get('CAN_DataFrame.IDE', group=g, raw=True).samples
        data = mdf.get('CAN_DataFrame.DataBytes', group=g, raw=False).samples
        length = mdf.get('CAN_DataFrame.DataLength', group=g, raw=False).samples
        bus = mdf.get('CAN_DataFrame.BusChannel', group=g, raw=False).samples
        for t, i, x, b, n, d in zip(ids.timestamps, ids.samples, ide, bus, length, data):
            yield start_us + math.floor(t * 1e6 + 0.5), int(b), bool(x), int(i) & 0x1FFFFFFF, bytes(d)[:int(n)]


def main():
    folder, out = sys.argv[1:]
    golden = {'made_with': f'asammdf and cantools {cantools.__version__}', 'signal': {}}
    log = list(frames(MDF(folder + '/canlog/j1939_truck.mf4')))
    for file, message, signal in WANTED:
        m = cantools.database.load_file(f'{folder}/dbc/{file}').get_message_by_name(message)
        s = m.get_signal_by_name(signal)
        rows = []
        for us, bus, extended, id_, data in log:
            j1939 = file.startswith('j1939')
            if j1939 and (bus == 9 or not extended or id_ >> 8 & 0x3FFFF != m.frame_id >> 8 & 0x3FFFF):
                continue
            if not j1939 and (bus != 9 or id_ - 100 != m.frame_id):
                continue
            value = float(m.decode(data, decode_choices=False)[signal])
            if not j1939 or (value - s.offset) / s.scale < 0xFE00:
                rows.append((us, value))
        rows.sort()
        lines = ''.join('%d %s\n' % (us // 1000, struct.pack('>d', v).hex()) for us, v in rows)
        golden['signal'][f'{message}.{signal}'] = {
            'samples': len(rows), 'first_ms': rows[0][0] // 1000, 'last_ms': rows[-1][0] // 1000, 'min': min(v for _, v in rows), 'max': max(v for _, v in rows),
            'sha256': hashlib.sha256(lines.encode()).hexdigest(), 'some': [[us // 1000, v] for us, v in rows[::400]]}
    with open(out, 'w') as f:
        json.dump(golden, f, indent=1)
        f.write('\n')


if __name__ == "__main__":
    main()
