#!/usr/bin/env python3
"""Makes tests/signal/golden/vss.json: what vss-tools makes of the VSS tree of the data folder.

usage: vss_golden.py <data folder> <output>     (needs the Python package vss-tools; runs its `vspec` beside this Python)

Per tree: nodes by kind, and the SHA-256 over one line a node, sorted by name:
  "<fqn>|<kind>|<datatype>|<unit>|<min>|<max>|<allowed, joined by ,; of an enum name=number, sorted>|<description>"
datatype is FleetWise's name; arrays and structs count as STRING; min and max are the bits of the double.
"""
import hashlib, json, os, struct, subprocess, sys, tempfile

TYPES = {'boolean': 'BOOL', 'float': 'FLOAT32', 'double': 'FLOAT64'}
TYPES.update({s + str(b): s.upper() + str(b) for s in ('int', 'uint') for b in (8, 16, 32, 64)})


def bits(v):
    return '' if v is None else struct.pack('>d', float(v)).hex()


def scalar(v):
    return v if isinstance(v, str) else json.dumps(v)


def walk(prefix, name, node, lines, kinds):
    fqn = prefix + '.' + name if prefix else name
    if node['type'] in ('struct', 'property'):
        return
    kinds[node['type']] = kinds.get(node['type'], 0) + 1
    allowed = node.get('allowed') or sorted('%s=%d' % e for e in (node.get('enum') or {}).items())
    datatype = 'NULL' if node['type'] == 'branch' else TYPES.get(node['datatype'], 'STRING')
    lines.append('|'.join([fqn, node['type'], datatype, node.get('unit') or '', bits(node.get('min')), bits(node.get('max')),
                           ','.join(scalar(a) for a in allowed), (node.get('description') or '').strip()]))
    for child, inner in (node.get('children') or {}).items():
        walk(fqn, child, inner, lines, kinds)


def summary(tree):
    lines, kinds = [], {}
    for name, node in tree.items():
        if name != 'ComplexDataTypes':
            walk('', name, node, lines, kinds)
    text = ''.join(l + '\n' for l in sorted(lines))
    return {'nodes': len(lines), 'kinds': kinds, 'sha256': hashlib.sha256(text.encode()).hexdigest()}


def export(data, overlay_text=None):
    spec = data + '/vss/spec/spec'
    with tempfile.TemporaryDirectory() as tmp:
        args = [os.path.join(os.path.dirname(sys.executable), 'vspec'), 'export', 'json', '-s',
                spec + '/VehicleSignalSpecification.vspec', '-I', spec, '-q', spec + '/quantities.yaml', '-u', spec + '/units.yaml',
                '-o', tmp + '/out.json']
        if overlay_text:
            with open(tmp + '/overlay.vspec', 'w') as f:
                f.write(overlay_text)
            args += ['-l', tmp + '/overlay.vspec', '-I', data + '/vss/spec/overlays/extensions/OBD']
        subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return json.load(open(tmp + '/out.json'))


def main():
    data, out = sys.argv[1:]
    golden = {
        'spec': summary(export(data)),
        'spec+obd': summary(export(data, 'Vehicle.OBD:\n  type: branch\n  description: OBD data.\n#include OBD.vspec Vehicle.OBD\n')),
        'model3': summary(json.load(open(data + '/vss/vss_4.2_model3can_map.json'))),
    }
    with open(out, 'w') as f:
        json.dump(golden, f, indent=1)
        f.write('\n')
    print(json.dumps(golden, indent=1), file=sys.stderr)


main()
