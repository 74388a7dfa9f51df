#!/usr/bin/env python3
"""Makes tests/signal/golden/dbc.json: what cantools reads from and decodes with every DBC of the data folder.

usage: dbc_golden.py <data folder> <output>     (needs the Python package cantools)

Per message one line: [id with bit 31 = extended, hash of its description, hash of the decoded values, payloads].
Payloads are listed for multiplexed messages only (their switches must hold known values); other messages get FRAMES
pseudo-random payloads that the C test makes with the same generator. A hash is the first 16 hex digits of SHA-256.
Decoded values are compared bit for bit: "<name>=<16 hex digits of the IEEE double>".
"""
import glob, hashlib, json, math, os, re, struct, sys
import cantools

FRAMES = 16
MASK = (1 << 64) - 1


class Lcg:
    def __init__(self, seed):
        self.x = seed & MASK

    def byte(self):
        self.x = (self.x * 6364136223846793005 + 1442695040888963407) & MASK
        return self.x >> 56


def text_of(path):
    raw = open(path, 'rb').read()
    try:
        text = raw.decode('utf-8')
    except UnicodeDecodeError:
        text = raw.decode('cp1252')
    # cantools refuses names that start with a digit, ids that no frame can have and a missing ';': step around it.
    text = re.sub(r'(?m)^( *(?:BO_ \d+|SG_|CM_ SG_ \d+|VAL_ \d+) +)(\d\w*)', r'\1DIGIT_\2', text)
    out, dropping, bad = [], False, set()
    for line in text.split('\n'):
        m = re.match(r'BO_ (\d+)', line)
        if m:
            n = int(m.group(1))
            dropping = n & 0x7FFFFFFF > 0x1FFFFFFF and n != 0xC0000000
            if dropping:
                bad.add(n)
        if dropping and re.match(r'\s*(BO_|SG_)', line):
            continue
        m = re.match(r'\s*(?:CM_ SG_|CM_ BO_|VAL_|BA_ "\w+" (?:SG_|BO_)) (\d+)', line)
        if m and int(m.group(1)) in bad:
            continue
        if line.startswith('VAL_ ') and not line.rstrip().endswith(';'):
            line = line.rstrip() + ';'
        out.append(line)
    return '\n'.join(out)


def plain(name):
    return name[6:] if name.startswith('DIGIT_') else name


def bits(value):
    return struct.pack('>d', float(value)).hex()


def short(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe(m):
    lines = ['%s %d %s' % (plain(m.name), m.length, m.comment or '')]
    for s in sorted(m.signals, key=lambda s: plain(s.name)):
        lines.append('%s %d|%d@%d%s%s (%s,%s) "%s" %s' % (
            plain(s.name), s.start, s.length, s.byte_order == 'little_endian', '-' if s.is_signed else '+',
            'f' if s.is_float else '', bits(s.scale), bits(s.offset), s.unit or '', s.comment or ''))
        for k, v in sorted((s.choices or {}).items()):
            lines.append('%d=%s' % (k, v))
    return short('\n'.join(lines))


def set_bits(data, s, value):
    for i in range(s.length):  # i counts from the least significant bit
        if s.byte_order == 'little_endian':
            at = s.start + i
        else:
            n = 8 * (s.start // 8) + 7 - s.start % 8 + s.length - 1 - i
            at = 8 * (n // 8) + 7 - n % 8
        data[at // 8] = data[at // 8] & ~(1 << at % 8) | (value >> i & 1) << at % 8


def choose(m, tree, lcg, data):
    for item in tree:
        if isinstance(item, dict):
            for switch, by_id in item.items():
                length = m.get_signal_by_name(switch).length
                ids = [i for i in sorted(by_id) if i < 1 << length]
                pick = ids[lcg.byte() % len(ids)]
                set_bits(data, m.get_signal_by_name(switch), pick)
                choose(m, by_id[pick], lcg, data)


def one_by_one(m, data):
    """cantools cannot unpack signals that overlap: give it messages of one signal each."""
    values = {}
    for s in m.signals:
        alone = cantools.database.can.Message(m.frame_id, m.name, m.length, [s], is_extended_frame=m.is_extended_frame, strict=False)
        values.update(alone.decode(bytes(data), decode_choices=False))
    return values


def decode(m, data):
    try:
        values = m.decode(bytes(data), decode_choices=False)
    except cantools.database.errors.DecodeError:
        if m.is_multiplexed():
            raise
        values = one_by_one(m, data)
    lines = ['%s=%s' % (plain(n), bits(v)) for n, v in values.items() if math.isfinite(v)]
    return '\n'.join(sorted(lines))


def golden_of(path):
    db = cantools.database.load_string(text_of(path), 'dbc', strict=False)
    rows, seen = [], set()
    for m in db.messages:
        key = m.frame_id | (m.is_extended_frame << 31)
        if key in seen or m.length > 64:
            continue
        seen.add(key)
        fits = not m.signals or max(
            (s.start + s.length + 7) // 8 if s.byte_order == 'little_endian'
            else (8 * (s.start // 8) + 7 - s.start % 8 + s.length + 7) // 8 for s in m.signals) <= m.length
        muxed, lcg, texts, payloads = m.is_multiplexed(), Lcg(key), [], []
        if fits and m.length and m.signals:
            for _ in range(FRAMES * 4 if muxed else FRAMES):
                data = bytearray(lcg.byte() for _ in range(m.length))
                if muxed:
                    choose(m, m.signal_tree, lcg, data)
                    payloads.append(data.hex())
                texts.append(decode(m, data))
        row = [key, describe(m), short('\n\n'.join(texts)) if texts else '']
        rows.append(row + [payloads] if muxed else row)
    return rows


def main():
    data, out = sys.argv[1:]
    golden = {}
    for path in sorted(glob.glob(data + '/dbc/*.dbc') + glob.glob(data + '/dbc/cantools/*.dbc')):
        golden[os.path.relpath(path, data)] = golden_of(path)
        print(path, len(golden[os.path.relpath(path, data)]), file=sys.stderr)
    with open(out, 'w') as f:
        f.write('{"made_with":"cantools %s","frames":%d,"file":{\n' % (cantools.__version__, FRAMES))
        f.write(',\n'.join('%s:[\n%s]' % (json.dumps(k), ',\n'.join(json.dumps(r, separators=(',', ':')) for r in v))
                           for k, v in golden.items()))
        f.write('}}\n')


main()
