// TEST ONLY. A small grid town as vector tiles, so that the map's style and the vehicle layer can be seen without a server.
const centre = [9.52, 47.14]
const km = 1 / 111.32
const kx = km / Math.cos((centre[1] * Math.PI) / 180)
const at = (x, y) => [centre[0] + x * kx, centre[1] + y * km]

// Streets: a grid of 0.2 km, every fifth one a main road, a ring, a motorway, a river.
const half = 3.4
export const features = { land: [], water: [], waterway: [], building: [], road: [], place: [], boundary: [] }
let seed = 7
const random = () => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff)
const wobble = (x, y) => [x + 0.07 * Math.sin(y * 1.7) + 0.05 * Math.sin(x * 2.3), y + 0.07 * Math.cos(x * 1.5)]
const p = (x, y) => at(...wobble(x, y))
const names = ['Alder', 'Birch', 'Cedar', 'Dock', 'Elm', 'Forge', 'Glebe', 'Harbour', 'Iron', 'Juniper', 'Kiln', 'Larch', 'Mill', 'North', 'Orchard', 'Priory', 'Quarry', 'River', 'Station', 'Tanner']

features.land.push({ kind: 'polygon', rings: [[at(-9, -7), at(9, -7), at(9, 7), at(-9, 7)]], tags: { class: 'farm' } })
features.land.push({ kind: 'polygon', rings: [[p(-3.6, -3.6), p(3.6, -3.6), p(3.6, 3.6), p(-3.6, 3.6)]], tags: { class: 'residential' } })
for (const [x, y, w, h, c] of [[-2.2, 1.2, 0.8, 0.8, 'park'], [1.2, -2.2, 1, 0.6, 'park'], [2.2, 2.2, 1, 1, 'industrial'], [-3.2, -3.2, 1, 0.8, 'commercial'], [-6, 3, 2, 2.4, 'wood'], [4.4, -5, 2.4, 2, 'wood'], [0.2, 0.2, 0.4, 0.4, 'square'], [-1, -3.2, 0.4, 0.4, 'school']]) {
  features.land.push({ kind: 'polygon', rings: [[p(x, y), p(x + w, y), p(x + w, y + h), p(x, y + h)]], tags: { class: c } })
}
const river = []
for (let y = -7; y <= 7; y += 0.25) river.push([0.9 + 0.5 * Math.sin(y * 0.8), y])
features.water.push({ kind: 'polygon', rings: [[...river.map(([x, y]) => at(x - 0.09, y)), ...river.map(([x, y]) => at(x + 0.09, y)).reverse()]], tags: { class: 'river', name: 'Sill' } })
features.water.push({ kind: 'polygon', rings: [[at(-8.9, -6.9), at(-4.6, -6.9), at(-5.2, -5.6), at(-6.4, -5), at(-8.9, -5.3)]], tags: { class: 'lake', name: 'Long Water' } })
const lines = []
for (let i = -17; i <= 17; i++) {
  const v = i * 0.2
  const major = i % 5 === 0
  const cls = i === 0 ? 'primary' : major ? (i % 10 === 0 ? 'secondary' : 'tertiary') : 'minor'
  const name = `${names[(i + 17) % names.length]} ${major ? 'Road' : 'Street'}`
  for (const vertical of [true, false]) {
    const way = []
    for (let u = -half; u <= half + 1e-9; u += 0.1) way.push(vertical ? [v, u] : [u, v])
    lines.push({ way: way.map((q) => wobble(...q)), major })
    features.road.push({ kind: 'line', line: way.map((q) => p(...q)), tags: { class: cls, name: vertical ? name : name.replace('Street', 'Lane'), oneway: !major && i % 4 === 1 ? 1 : 0 } })
  }
}
const ring = []
for (let a = 0; a <= 360; a += 4) ring.push([Math.cos((a * Math.PI) / 180) * 4.1, Math.sin((a * Math.PI) / 180) * 3.9])
features.road.push({ kind: 'line', line: ring.map((q) => at(...q)), tags: { class: 'trunk', name: 'Ring Road', ref: 'R1' } })
lines.push({ way: ring, major: true })
const motorway = []
for (let x = -9; x <= 9; x += 0.3) motorway.push([x, 4.9 + 0.4 * Math.sin(x * 0.5)])
features.road.push({ kind: 'line', line: motorway.map((q) => at(...q)), tags: { class: 'motorway', ref: 'A13' } })
lines.push({ way: motorway, major: true })
features.road.push({ kind: 'line', line: [at(-9, -1.3), at(-3, -1.1), at(3, -1.5), at(9, -1)], tags: { class: 'rail' } })
features.boundary.push({ kind: 'line', line: [at(-8, 6.5), at(8, 6.3)], tags: {} })
for (let i = 0; i < 5200; i++) {
  const x = (Math.floor(random() * 34) - 17) * 0.2 + 0.035 + random() * 0.1
  const y = (Math.floor(random() * 34) - 17) * 0.2 + 0.035 + random() * 0.1
  const w = 0.012 + random() * 0.025
  const h = 0.012 + random() * 0.02
  features.building.push({ kind: 'polygon', rings: [[p(x, y), p(x + w, y), p(x + w, y + h), p(x, y + h)]], tags: {} })
}
for (const [name, kind, x, y] of [['Ashford Mere', 'city', 0, 0], ['Northgate', 'suburb', 0.4, 2.4], ['Weavers', 'suburb', -2, -1.6], ['Kiln End', 'suburb', 2.4, 1], ['Σταθμός', 'suburb', -2.6, 2.6], ['Заречье', 'village', 6, -2], ['Depot', 'poi', 2.6, 2.6]]) {
  features.place.push({ kind: 'point', point: at(x, y), tags: { name, kind } })
}
export const ways = lines.map(({ way, major }) => ({ points: way.map(([x, y]) => at(x, y)), major, kmPoints: way }))
export const bounds = [...at(-5, -4.4), ...at(5, 5.4)]
export { centre }

// ---- Mapbox vector tile encoding, just enough of it
const extent = 4096
class Writer {
  bytes = []
  varint(n) {
    n = BigInt(n)
    while (n > 127n) {
      this.bytes.push(Number(n & 127n) | 128)
      n >>= 7n
    }
    this.bytes.push(Number(n))
  }
  field(number, wire) {
    this.varint((number << 3) | wire)
  }
  block(number, bytes) {
    this.field(number, 2)
    this.varint(bytes.length)
    for (const b of bytes) this.bytes.push(b)
  }
}
const zigzag = (n) => (n << 1) ^ (n >> 31)
const mercator = ([lon, lat]) => {
  const s = Math.sin((lat * Math.PI) / 180)
  return [(lon + 180) / 360, 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)]
}
for (const layer of Object.values(features)) {
  for (const f of layer) {
    const points = f.kind === 'polygon' ? f.rings[0] : f.kind === 'line' ? f.line : [f.point]
    f.m = points.map(mercator)
    f.box = [Math.min(...f.m.map((q) => q[0])), Math.min(...f.m.map((q) => q[1])), Math.max(...f.m.map((q) => q[0])), Math.max(...f.m.map((q) => q[1]))]
  }
}
const hides = (name, f, z) => (name === 'building' && z < 13) || (name === 'road' && f.tags.class === 'minor' && z < 11)

export function tile(z, x, y) {
  const n = 2 ** z
  const pad = 64 / extent
  const out = new Writer()
  for (const [name, list] of Object.entries(features)) {
    const layer = new Writer()
    const keys = new Map()
    const values = new Map()
    let any = false
    layer.field(15, 0)
    layer.varint(2)
    layer.block(1, Buffer.from(name))
    for (const f of list) {
      if (hides(name, f, z)) continue
      if (f.box[0] * n > x + 1 + pad || f.box[2] * n < x - pad || f.box[1] * n > y + 1 + pad || f.box[3] * n < y - pad) continue
      const clamp = (v) => Math.max(-extent * 3, Math.min(extent * 4, Math.round(v)))
      let pts = f.m.map(([mx, my]) => [clamp((mx * n - x) * extent), clamp((my * n - y) * extent)])
      pts = pts.filter((q, i) => i === 0 || q[0] !== pts[i - 1][0] || q[1] !== pts[i - 1][1])
      if (f.kind === 'polygon') {
        if (pts.length < 3) continue
        let area = 0
        for (let i = 0; i < pts.length; i++) area += pts[i][0] * pts[(i + 1) % pts.length][1] - pts[(i + 1) % pts.length][0] * pts[i][1]
        if (area === 0) continue
        if (area < 0) pts.reverse()
      } else if (f.kind === 'line' && pts.length < 2) continue
      const g = new Writer()
      let [cx, cy] = [0, 0]
      const move = ([px, py]) => {
        g.varint(zigzag(px - cx) >>> 0)
        g.varint(zigzag(py - cy) >>> 0)
        ;[cx, cy] = [px, py]
      }
      g.varint((1 << 3) | 1)
      move(pts[0])
      if (pts.length > 1) {
        g.varint(((pts.length - 1) << 3) | 2)
        pts.slice(1).forEach(move)
      }
      if (f.kind === 'polygon') g.varint((1 << 3) | 7)
      const feature = new Writer()
      const tags = new Writer()
      for (const [k, v] of Object.entries(f.tags)) {
        if (!keys.has(k)) keys.set(k, keys.size)
        if (!values.has(v)) values.set(v, values.size)
        tags.varint(keys.get(k))
        tags.varint(values.get(v))
      }
      feature.block(2, tags.bytes)
      feature.field(3, 0)
      feature.varint({ point: 1, line: 2, polygon: 3 }[f.kind])
      feature.block(4, g.bytes)
      layer.block(2, feature.bytes)
      any = true
    }
    if (!any) continue
    for (const k of keys.keys()) layer.block(3, Buffer.from(k))
    for (const v of values.keys()) {
      const value = new Writer()
      if (typeof v === 'number') {
        value.field(5, 0)
        value.varint(v)
      } else value.block(1, Buffer.from(v))
      layer.block(4, value.bytes)
    }
    layer.field(5, 0)
    layer.varint(extent)
    out.block(3, layer.bytes)
  }
  return Buffer.from(out.bytes)
}
