// TEST ONLY, never shipped: answers like the API description for developing the portal and trying its tests without a build.
// node tests/portal/stub/server.mjs [port] [vehicles]   serves portal/dist with the strictest content security policy.
import { createServer } from 'node:http'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fleetwiseRoute } from './fleetwise.mjs'
import { bounds, centre, tile, ways } from './town.mjs'

const portal = fileURLToPath(new URL('../../../portal/', import.meta.url))
const { WebSocketServer } = createRequire(portal)('ws')
const port = Number(process.argv[2] ?? 8099)
const count = Number(process.argv[3] ?? 240)
const dist = join(portal, 'dist')
const born = Date.now()

// ---- the fleet
let seed = 11
const random = () => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff)
const makes = [['Hollis', 'Carrier 7', 'truck'], ['Meridian', 'Volt', 'car'], ['Meridian', 'Tourer', 'car'], ['Hollis', 'Parcel', 'van']]
const signals = [
  ['Vehicle.Speed', 'km/h', 'double', 0, 250], ['Vehicle.Powertrain.CombustionEngine.Speed', 'rpm', 'double', 0, 8000], ['Vehicle.Powertrain.CombustionEngine.ECT', 'degC', 'double', -40, 215],
  ['Vehicle.Powertrain.CombustionEngine.Torque', 'Nm', 'double', -500, 2500], ['Vehicle.Powertrain.FuelSystem.RelativeLevel', '%', 'double', 0, 100], ['Vehicle.Powertrain.Transmission.CurrentGear', '', 'int8', -1, 12],
  ['Vehicle.Chassis.Brake.PedalPosition', '%', 'double', 0, 100], ['Vehicle.Chassis.Accelerator.PedalPosition', '%', 'double', 0, 100], ['Vehicle.Chassis.SteeringWheel.Angle', 'deg', 'double', -540, 540],
  ['Vehicle.Cabin.HVAC.AmbientAirTemperature', 'degC', 'double', -40, 85], ['Vehicle.Exterior.AirTemperature', 'degC', 'double', -40, 85], ['Vehicle.TraveledDistance', 'km', 'double', 0, 2e6],
  ['Vehicle.LowVoltageBattery.CurrentVoltage', 'V', 'double', 0, 30], ['Vehicle.CurrentLocation.Latitude', 'deg', 'double', -90, 90], ['Vehicle.CurrentLocation.Longitude', 'deg', 'double', -180, 180],
  ['Vehicle.CurrentLocation.Heading', 'deg', 'double', 0, 360], ['Vehicle.Body.Lights.IsHighBeamOn', '', 'boolean', 0, 1], ['Vehicle.Body.Horn.IsActive', '', 'boolean', 0, 1],
].map(([fqn, unit, type, min, max], i) => ({
  id: i + 1, fqn, unit, type, min, max, description: `Stub signal ${fqn.split('.').at(-1)}`,
  ...(fqn.endsWith('Gear') ? { values: [{ value: -1, name: 'Reverse' }, { value: 0, name: 'Neutral' }] } : {}), ...(type === 'boolean' ? { values: [{ value: 0, name: 'Off' }, { value: 1, name: 'On' }] } : {}),
}))
const fleet = Array.from({ length: count }, (_, i) => {
  const way = ways[Math.floor(random() * ways.length)]
  const [make, model, kind] = makes[i % 4]
  const r = random()
  return {
    id: i + 1, name: `${kind}-${String(i + 1).padStart(4, '0')}`, vin: 'WMT' + 'ABCDEFGHJKLM'[i % 12] + '0Z' + String(10000000000 + i).slice(-11), make, model, kind, year: 2019 + (i % 7), manifest: i % 17 === 0 ? '' : `${kind}-can`,
    way, s: random() * (way.points.length - 1), dir: random() < 0.5 ? 1 : -1, base: way.major ? 42 + random() * 20 : 24 + random() * 14, speed: 0,
    motion: r < 0.74 ? 1 : r < 0.84 ? 2 : r < 0.96 ? 3 : 4, heard: Date.now() - (r > 0.96 ? 25 * 60000 + random() * 8e6 : 0), odometer: 12000 + random() * 300000, fuel: kind === 'car' && i % 2 ? undefined : 20 + random() * 75, charge: kind === 'car' && i % 2 ? 30 + random() * 65 : undefined,
    created: new Date(born - 40 * 864e5 + i * 1e5).toISOString(), connected: r <= 0.96,
  }
})
function place(v) {
  const i = Math.min(v.way.points.length - 2, Math.floor(v.s))
  const f = v.s - i
  const [a, b] = [v.way.points[i], v.way.points[i + 1]]
  const heading = (Math.atan2((b[0] - a[0]) * Math.cos((a[1] * Math.PI) / 180) * v.dir, (b[1] - a[1]) * v.dir) * 180) / Math.PI
  return { lon: a[0] + (b[0] - a[0]) * f, lat: a[1] + (b[1] - a[1]) * f, heading: (heading + 360) % 360 }
}
const speedAt = (v, ms) => (v.motion === 1 ? Math.max(0, v.base + 9 * Math.sin(ms / 9000 + v.id) + 4 * Math.sin(ms / 2300 + v.id * 3)) : 0)
function valueAt(v, signal, ms) {
  const sp = speedAt(v, ms)
  switch (signal.id) {
    case 1: return sp
    case 2: return sp ? 780 + (sp % 22) * 74 : 780
    case 3: return 84 + 4 * Math.sin(ms / 60000 + v.id)
    case 4: return sp * 9 + 80 * Math.sin(ms / 3000)
    case 5: return v.fuel ?? 0
    case 6: return sp ? Math.min(8, 1 + Math.floor(sp / 12)) : 0
    case 12: return v.odometer + ms / 3.6e8
    case 13: return 27.4 + 0.3 * Math.sin(ms / 40000)
    case 14: return place(v).lat
    case 15: return place(v).lon
    case 16: return place(v).heading
    case 17: case 18: return Math.sin(ms / 70000 + v.id) > 0.9 ? 1 : 0
    default: return signal.min + ((signal.max - signal.min) / 2) * (1 + 0.3 * Math.sin(ms / 8000 + signal.id))
  }
}
setInterval(() => {
  const now = Date.now()
  for (const v of fleet) {
    if (v.motion === 4) continue
    v.heard = now
    if (v.motion !== 1) continue
    v.speed = speedAt(v, now)
    const i = Math.min(v.way.kmPoints.length - 2, Math.floor(v.s))
    const [a, b] = [v.way.kmPoints[i], v.way.kmPoints[i + 1]]
    v.s += (v.dir * v.speed) / 3600 / Math.max(0.02, Math.hypot(b[0] - a[0], b[1] - a[1]))
    if (v.s <= 0 || v.s >= v.way.points.length - 1.001) {
      v.dir = -v.dir
      v.s = Math.max(0.001, Math.min(v.way.points.length - 1.002, v.s))
    }
  }
}, 1000)
const motions = ['unknown', 'moving', 'idle', 'parked', 'offline']
const known = (v) => v.id % 61 !== 0
function vehicle(v) {
  const at = place(v)
  return {
    id: v.id, name: v.name, vin: v.vin, make: v.make, model: v.model, kind: v.kind, year: v.year, manifest: v.manifest, motion: motions[v.motion], ...(known(v) ? { position: { latitude: at.lat, longitude: at.lon, heading: at.heading, time: new Date(v.heard).toISOString() } } : {}),
    speed: v.speed, odometer: v.odometer, ...(v.fuel === undefined ? {} : { fuel: v.fuel }), ...(v.charge === undefined ? {} : { charge: v.charge }), ignition: v.motion === 1 || v.motion === 2, heard: new Date(v.heard).toISOString(), created: v.created,
  }
}

// ---- everything else
let campaigns = [
  { id: 1, name: 'fleet-basics', status: 'running', description: 'Position, speed and energy of every vehicle', target_kind: 'all', target: '', kind: 'time', period_ms: 10000, compress: true, persist: true, priority: 0, signals: signals.slice(0, 6).map((s) => ({ fqn: s.fqn, min_period_ms: 1000 })) },
  { id: 2, name: 'hard-braking', status: 'running', target_kind: 'manifest', target: 'truck-can', kind: 'condition', expression: '$variable.`Vehicle.Chassis.Brake.PedalPosition` > 70 && $variable.`Vehicle.Speed` > 40', min_interval_ms: 5000, rising_edge: true, after_ms: 10000, compress: true, persist: true, priority: 0, signals: signals.slice(0, 9).map((s) => ({ fqn: s.fqn })) },
  { id: 3, name: 'coolant-watch', status: 'suspended', target_kind: 'vehicle', target: 'truck-0001', kind: 'condition', expression: '$variable.`Vehicle.Powertrain.CombustionEngine.ECT` > 105', min_interval_ms: 60000, rising_edge: true, after_ms: 0, compress: false, persist: true, priority: 5, signals: [{ fqn: signals[2].fqn, max_samples: 500 }] },
].map((c) => ({ destinations: c.id === 1 ? [{ kind: 's3', bucket: 'fleet-data', prefix: 'basics', format: 'parquet', compression: 'gzip' }] : [], dimensions: [], sync_id: c.name + '0123456789abcdef', created: new Date(born - 9e8).toISOString(), updated: new Date(born - 4e6).toISOString(), ...c }))
const targeted = (c) => fleet.filter((v) => c.target_kind === 'all' || (c.target_kind === 'manifest' ? v.manifest === c.target : c.target_kind === 'fleet' ? members.get(c.target)?.has(v.name) : v.name === c.target))
function counted(c) {
  const hit = targeted(c)
  const refused = c.id === 2 ? 2 : 0
  const pending = Math.min(hit.length - refused, Math.round(hit.length * 0.04))
  return { ...c, vehicles: hit.length, healthy: c.status === 'running' ? hit.length - refused - pending : 0, pending: c.status === 'running' ? pending : 0, refused: c.status === 'running' ? refused : 0 }
}
let users = [{ id: 1, name: 'admin', role: 'admin', disabled: false, created: new Date(born - 1e9).toISOString(), last_sign_in: new Date(born).toISOString() }, { id: 2, name: 'night.shift', role: 'operator', disabled: false, created: new Date(born - 8e8).toISOString() }]
let tokens = [{ id: 1, name: 'warehouse export', role: 'viewer', created: new Date(born - 5e8).toISOString(), last_used: new Date(born - 9e4).toISOString() }]
const certificates = new Map()
const certificatesOf = (id) => {
  if (!certificates.has(id)) certificates.set(id, [{ id: (id * 7919).toString(16).padStart(4, '0').repeat(16).slice(0, 64), thing: fleet[id - 1].name, state: 'active', not_after: new Date(born + 300 * 864e5).toISOString(), created: fleet[id - 1].created }])
  return certificates.get(id)
}
const members = new Map([['north', new Set(fleet.slice(0, 5).map((v) => v.name))]])
const manifests = ['truck-can', 'car-can', 'van-can'].map((name) => ({ name, sync_id: name + 'fedcba9876543210', signals: signals.length, vehicles: fleet.filter((v) => v.manifest === name).length, created: new Date(born - 9e8).toISOString() }))
const client = (v) => ({ client_id: v.name, thing: v.name, address: `10.4.${v.id >> 8}.${v.id & 255}:5${1000 + v.id}`, connected: v.connected, version: v.id % 3 ? '5' : '3.1.1', clean: false, keep_alive: 60, subscriptions: 3, queued: 0, inflight: v.id % 5 === 0 ? 1 : 0, received: 4000 + v.id * 31, delivered: 12 + (v.id % 9), refused: v.id % 40 === 0 ? 3 : 0, limited: v.id % 40 === 0 ? [{ cause: 'policy', meaning: "publish, subscription or will outside the client's topics", count: 3 }] : [], ...(v.connected ? { connected_at: new Date(born - v.id * 1e5).toISOString() } : { disconnected_at: new Date(v.heard).toISOString(), last_error: 'keep-alive ran out: no packet for 90 s' }), last_packet: new Date(v.heard).toISOString() })
const all = ['self:read', 'self:write', ...['user', 'token', 'vehicle', 'certificate', 'signal', 'campaign'].flatMap((n) => [`${n}:read`, `${n}:write`]), 'system:read']
const me = { name: 'admin', kind: 'user', role: 'admin', tenant: 'main', permissions: all, csrf: 'stub' }
const problem = (status, title, detail, field) => [status, { type: 'about:blank', title, status, detail, ...(field ? { field } : {}), request_id: 'stub-' + Math.floor(Math.random() * 1e6) }]
let requests = 0

function route(method, path, query, body) {
  const is = (m, pattern) => {
    const found = method === m && path.match(new RegExp('^/api/v1' + pattern + '$'))
    return found ? found.slice(1).map(decodeURIComponent) : undefined
  }
  let m
  if (is('GET', '/health')) return [200, { ok: true, version: 'stub', uptime_s: Math.floor((Date.now() - born) / 1000), parts: ['gateway', 'journal', 'twin', 'store', 'campaign'].map((name) => ({ name, ok: true, text: 'works' })) }]
  if (is('GET', '/me')) return [200, me]
  if (is('PUT', '/me/password')) return body.current === 'wrong' ? problem(403, 'Wrong password', 'The current password is not right.') : [204]
  if (is('DELETE', '/session')) return [204, undefined, { 'set-cookie': 'stub=; Path=/; Max-Age=0' }]
  if (is('GET', '/overview')) return [200, { server_time: new Date().toISOString(), counts: Object.fromEntries([['vehicles', count], ...motions.map((name, i) => [name, fleet.filter((v) => v.motion === i).length])]), connections: fleet.filter((v) => v.connected).length, messages_per_s: count * 0.97 + Math.random() * 9, samples_per_s: count * 31, journal_bytes: 4.1e8 + (Date.now() - born) * 50, store_bytes: 9.2e7 + (Date.now() - born) * 9, campaigns_running: campaigns.filter((c) => c.status === 'running').length, lag_ms: 3 + Math.floor(Math.random() * 6) }]
  if (is('GET', '/vehicles')) {
    const limit = Number(query.get('limit') ?? 100)
    const from = Number(query.get('after') ?? 0)
    const items = [...fleet].sort((a, b) => (a.name < b.name ? -1 : 1))
    return [200, { items: items.slice(from, from + limit).map(vehicle), ...(from + limit < items.length ? { next: String(from + limit) } : {}) }]
  }
  if (is('POST', '/vehicles')) return problem(409, 'The name is taken', `A vehicle called ${body.name} exists. Choose another name.`, '/name')
  if ((m = is('GET', '/vehicles/(\\d+)'))) return fleet[m[0] - 1] ? [200, vehicle(fleet[m[0] - 1])] : problem(404, 'No such vehicle', `There is no vehicle ${m[0]}.`)
  if ((m = is('GET', '/vehicles/(\\d+)/latest'))) {
    const v = fleet[m[0] - 1]
    const now = Date.now()
    return [200, { vehicle: v.id, server_time: new Date(now).toISOString(), items: signals.map((s) => { const time = s.id === 10 ? now - 84000 : v.heard; const value = valueAt(v, s, time); return { signal: s.id, fqn: s.fqn, unit: s.unit, type: s.type, value, ...(s.values?.find((n) => n.value === value) ? { text: s.values.find((n) => n.value === value).name } : {}), time: new Date(time).toISOString(), age_ms: now - time } }) }]
  }
  if ((m = is('GET', '/vehicles/(\\d+)/history'))) {
    const v = fleet[m[0] - 1]
    const from = Date.parse(query.get('from'))
    const to = Math.min(Date.parse(query.get('to')), Date.now())
    const points = Number(query.get('points') ?? 800)
    const step = Math.max(1000, Math.ceil((to - from) / points / 1000) * 1000)
    const gap = born - 240000
    return [200, { vehicle: v.id, server_time: new Date().toISOString(), series: query.get('signals').split(',').map((id) => {
      const s = signals[id - 1]
      const out = { signal: s.id, fqn: s.fqn, unit: s.unit, downsampled: step > 1000, bucket_ms: step, time: [], mean: [], min: [], max: [], count: [] }
      for (let t = Math.ceil(from / step) * step; t < to; t += step) {
        if (t > gap && t < gap + 90000) continue
        const a = valueAt(v, s, t)
        const spread = step > 1000 && s.id < 5 ? Math.abs(a) * 0.12 + 2 : 0
        out.time.push(t); out.mean.push(a); out.min.push(a - spread * (0.5 + 0.5 * Math.sin(t))); out.max.push(a + spread); out.count.push(step / 1000)
      }
      return out
    }) }]
  }
  if ((m = is('GET', '/vehicles/(\\d+)/track'))) {
    const v = fleet[m[0] - 1]
    const from = Date.parse(query.get('from'))
    const to = Math.min(Date.parse(query.get('to')), Date.now())
    if (!known(v)) return [200, { vehicle: v.id, points: [] }]
    const out = []
    const steps = Math.min(300, Number(query.get('points') ?? 1000))
    for (let i = 0; i < steps; i++) {
      const t = from + ((to - from) * i) / (steps - 1)
      const back = ((Date.now() - t) / 3.6e6) * 30 / 0.12
      const span = v.way.points.length - 1.01
      let s = v.s - v.dir * back
      s = Math.abs(s) % (2 * span)
      if (s > span) s = 2 * span - s
      const k = Math.floor(s)
      const [a, b] = [v.way.points[k], v.way.points[k + 1]]
      out.push({ time: Math.round(t), longitude: a[0] + (b[0] - a[0]) * (s - k), latitude: a[1] + (b[1] - a[1]) * (s - k), speed: speedAt(v, t) })
    }
    return [200, { vehicle: v.id, points: v.motion === 1 ? out : out.slice(0, 1) }]
  }
  if (is('GET', '/vehicles/(\\d+)/signals')) return [200, { items: signals }]
  if ((m = is('GET', '/vehicles/(\\d+)/events'))) return [200, { items: Array.from({ length: 40 }, (_, i) => ({ campaign: i % 3 ? 1 : 2, campaign_name: i % 3 ? 'fleet-basics' : 'hard-braking', event_id: i % 3 ? 0 : 100000 + i * 77, time: new Date(Date.now() - i * 47000).toISOString(), arrival: new Date(Date.now() - i * 47000 + 120 + (i % 7) * 14).toISOString(), messages: 1 + (i % 2), samples: 60 + i, offset: 900000 - i * 1311 })) }]
  if ((m = is('GET', '/vehicles/(\\d+)/connection'))) return [200, client(fleet[m[0] - 1])]
  if ((m = is('GET', '/vehicles/(\\d+)/certificates'))) return [200, { items: certificatesOf(Number(m[0])) }]
  if ((m = is('POST', '/vehicles/(\\d+)/certificates'))) {
    const c = { ...certificatesOf(Number(m[0]))[0], id: 'ab'.repeat(32), created: new Date().toISOString() }
    certificatesOf(Number(m[0])).push(c)
    return [201, { certificate: c, certificate_pem: 'stub', private_key_pem: 'stub', ca_pem: 'stub' }]
  }
  if ((m = is('PATCH', '/certificates/(\\w+)'))) {
    for (const list of certificates.values()) for (const c of list) if (c.id === m[0]) return (c.state = body.state), [200, c]
    return problem(404, 'No such certificate', '')
  }
  if (is('GET', '/signals')) return [200, { items: signals.filter((s) => s.fqn.toLowerCase().includes((query.get('filter') ?? '').toLowerCase())) }]
  if (is('GET', '/manifests')) return [200, { items: manifests }]
  if ((m = is('GET', '/manifests/(.+)/signals'))) return [200, { name: m[0], items: signals }]
  if (is('POST', '/manifests')) {
    if (!/^\s*BO_ \d+ /m.test(body.dbc)) return problem(422, 'The DBC file is not valid', 'dbc:2: message (BO_): expected a message id, got "abc"', '/dbc')
    manifests.push({ name: body.name, sync_id: body.name + '0011223344556677', signals: 12, vehicles: 0, created: new Date().toISOString() })
    return [201, { name: body.name, sync_id: body.name + '0011223344556677', signals: 12, messages: 3, multiplexed: 0, ieee: 0, warnings: ['line 41: attribute GenMsgCycleTime without a definition, ignored'] }]
  }
  if (is('GET', '/campaigns')) return [200, { items: campaigns.map(counted) }]
  if (is('POST', '/campaigns')) {
    if (campaigns.some((c) => c.name === body.name)) return problem(409, 'The name is taken', `A campaign called ${body.name} exists. Choose another name.`, '/name')
    const { start_now: now, ...rest } = body
    const c = { destinations: [], dimensions: [], id: Math.max(0, ...campaigns.map((k) => k.id)) + 1, sync_id: rest.name + '00', created: new Date().toISOString(), updated: new Date().toISOString(), status: now ? 'running' : 'draft', ...rest }
    campaigns.push(c)
    return [201, counted(c)]
  }
  if ((m = is('(?:GET|x)', '/x'))) return [404]
  if ((m = path.match(/^\/api\/v1\/campaigns\/(\d+)(\/\w+)?$/))) {
    const c = campaigns.find((k) => k.id === Number(m[1]))
    if (!c) return problem(404, 'No such campaign', `There is no campaign ${m[1]}.`)
    if (method === 'GET' && !m[2]) return [200, counted(c)]
    if (method === 'PUT') return Object.assign(c, body, { updated: new Date().toISOString() }), [200, counted(c)]
    if (method === 'POST') return (c.status = body.status), [200, counted(c)]
    if (method === 'DELETE') return (campaigns = campaigns.filter((k) => k !== c)), [204]
    if (m[2] === '/destinations') return [200, { items: c.destinations.map((d) => ({ kind: d.kind, place: d.kind === 's3' ? `${d.bucket}/${d.prefix ?? ''}` : d.topic, rows: 51234, objects: 12, messages: 0, waiting: 1, last: new Date(Date.now() - 40000).toISOString(), error: '' })) }]
    if (m[2] === '/vehicles') {
      const hit = targeted(c)
      const n = counted(c)
      return [200, { items: hit.slice(0, Number(query.get('limit') ?? 200)).map((v, i) => ({ vehicle: v.id, name: v.name, ...(i < n.refused ? { state: 'refused', status: 'READY_FOR_CHECKIN', reason: 'refused' } : c.status !== 'running' ? { state: 'none', status: 'SUSPENDED', reason: 'suspended' } : i < n.refused + n.pending ? { state: 'pending', status: 'READY', reason: i % 2 ? 'never_checked_in' : 'silent' } : { state: 'healthy', status: 'HEALTHY', reason: 'confirmed' }), ...(i < n.refused ? { text: 'signal Vehicle.Chassis.Brake.PedalPosition is not in the decoder manifest' } : {}), changed: new Date(born - 3e6 + i * 1000).toISOString() })) }]
    }
  }
  const more = fleetwiseRoute(is, { body, query, fleet, signals, campaigns, problem, members })
  if (more) return more
  if (is('POST', '/expressions/check')) {
    const bad = body.expression.match(/[^\w\s$.`"'()<>=!&|+\-*/,]|&&\s*$|[<>=+*/]\s*$/)
    return [200, bad ? { valid: false, error: `Unexpected "${bad[0].trim() || 'end'}". Expected a signal, a number or "(".`, at: Buffer.from(body.expression.slice(0, bad.index)).length } : { valid: true, depth: 2, signals: [...new Set([...body.expression.matchAll(/\$variable\.`([^`]+)`/g)].map((x) => x[1]))] }]
  }
  if (is('GET', '/clients')) return [200, { items: fleet.slice(0, Number(query.get('limit') ?? 100)).map(client) }]
  if (is('GET', '/clients/events')) return [200, { items: fleet.slice(0, 60).map((v, i) => ({ time: new Date(Date.now() - i * 31000).toISOString(), client_id: v.name, address: client(v).address, kind: i % 3 ? 'connected' : 'ended', code: i % 9 === 0 ? 135 : 0, text: i % 3 ? 'connected over TLS 1.3, session resumed' : i % 9 === 0 ? 'refused: the certificate is revoked' : 'the client said goodbye' })) }]
  if (is('GET', '/users')) return [200, { items: users }]
  if (is('POST', '/users')) return users.push({ id: users.length + 1, disabled: false, created: new Date().toISOString(), name: body.name, role: body.role }), [201, users.at(-1)]
  if ((m = is('PATCH', '/users/(\\d+)'))) return Object.assign(users.find((u) => u.id === Number(m[0])), { ...(body.role ? { role: body.role } : {}), ...(body.disabled === undefined ? {} : { disabled: body.disabled }) }), [200, users.find((u) => u.id === Number(m[0]))]
  if (is('GET', '/tokens')) return [200, { items: tokens }]
  if (is('POST', '/tokens')) return tokens.push({ id: tokens.length + 1, name: body.name, role: body.role, created: new Date().toISOString() }), [201, { token: tokens.at(-1), secret: 'mc_stub_0123456789abcdef' }]
  if ((m = is('DELETE', '/tokens/(\\d+)'))) return (tokens = tokens.filter((t) => t.id !== Number(m[0]))), [204]
  if (is('GET', '/map')) return [200, { name: 'Ashford Mere', attribution: 'Made town, stub for tests', bounds, center: centre, min_zoom: 5, max_zoom: 14 }]
  return problem(404, 'No such address', `${method} ${path} is not an operation.`)
}

const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' }
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
const signedIn = (request) => /stub=1/.test(request.headers.cookie ?? '')

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://stub')
  requests++
  const send = (status, body, headers = {}) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    response.writeHead(status, { 'content-type': status >= 400 ? 'application/problem+json' : 'application/json', 'cache-control': 'no-store', ...headers })
    response.end(text)
  }
  if (url.pathname.startsWith('/api/')) {
    const chunks = []
    request.on('data', (c) => chunks.push(c))
    request.on('end', () => {
      const body = chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : undefined
      if (request.method === 'POST' && url.pathname === '/api/v1/session/link') return body.code.startsWith('stub') ? send(200, me, { 'set-cookie': 'stub=1; Path=/; HttpOnly; SameSite=Strict' }) : send(...problem(401, 'The link is not valid', 'It was used before or is too old. Sign in with name and password, or restart motorcade for a new link.'))
      if (request.method === 'POST' && url.pathname === '/api/v1/session') return body.password === 'stub-password' ? send(200, me, { 'set-cookie': 'stub=1; Path=/; HttpOnly; SameSite=Strict' }) : send(...problem(401, 'Name or password is wrong', 'Check both and try again.'))
      if (url.pathname !== '/api/v1/health' && !signedIn(request)) return send(...problem(401, 'Not signed in', 'Sign in first.'))
      if (!['GET', 'HEAD'].includes(request.method) && request.headers['x-csrf-token'] !== me.csrf) return send(...problem(403, 'The CSRF token is missing', 'Send X-CSRF-Token.'))
      const t = url.pathname.match(/^\/api\/v1\/map\/tiles\/(\d+)\/(\d+)\/(\d+)$/)
      if (t) {
        const data = tile(Number(t[1]), Number(t[2]), Number(t[3]))
        response.writeHead(data.length ? 200 : 204, { 'content-type': 'application/vnd.mapbox-vector-tile' })
        return response.end(data.length ? data : undefined)
      }
      try {
        send(...route(request.method, url.pathname, url.searchParams, body))
      } catch (error) {
        console.error(error)
        send(...problem(500, 'The stub failed', String(error)))
      }
    })
    return
  }
  let file = join(dist, normalize(url.pathname))
  if (!file.startsWith(dist) || !existsSync(file) || statSync(file).isDirectory()) file = join(dist, 'index.html')
  const br = /\bbr\b/.test(request.headers['accept-encoding'] ?? '') && existsSync(file + '.br')
  response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream', 'content-security-policy': policy, 'x-content-type-options': 'nosniff', 'cache-control': file.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache', ...(br ? { 'content-encoding': 'br' } : {}) })
  response.end(readFileSync(br ? file + '.br' : file))
})

// ---- the live stream
const sockets = new WebSocketServer({ noServer: true, handleProtocols: (p) => (p.has('motorcade.live.v1') ? 'motorcade.live.v1' : false), perMessageDeflate: false })
const epoch = (born / 1000) >>> 0
let sequence = 1
const head = (kind, n, size) => {
  const b = Buffer.alloc(size)
  b.writeUInt8(1, 0); b.writeUInt8(kind, 1); b.writeUInt16LE(n, 2); b.writeUInt32LE(epoch, 4); b.writeBigUInt64LE(BigInt(sequence), 8); b.writeBigInt64LE(BigInt(Date.now()), 16)
  return b
}
function fleetFrame(kind, list) {
  const b = head(kind, list.length, 24 + list.length * 17)
  list.forEach((v, i) => {
    const at = place(v)
    const o = 24 + i * 17
    b.writeUInt32LE(v.id, o); b.writeInt32LE(Math.round(at.lon * 1e7), o + 4); b.writeInt32LE(Math.round(at.lat * 1e7), o + 8)
    b.writeUInt8(Math.min(254, Math.round(v.speed)), o + 12); b.writeUInt8(Math.round((at.heading * 256) / 360) & 255, o + 13)
    b.writeUInt8((v.motion << 4) | 1 | (known(v) ? 2 : 0), o + 14); b.writeUInt16LE(Math.min(65535, Math.round((Date.now() - v.heard) / 1000)), o + 15)
  })
  return b
}
server.on('upgrade', (request, socket, rest) => {
  if (!signedIn(request) || !request.url.startsWith('/api/v1/live')) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
  sockets.handleUpgrade(request, socket, rest, (ws) => {
    let watched = 0
    ws.on('message', (data) => {
      const message = JSON.parse(data)
      if (message.type === 'fleet') ws.send(fleetFrame(1, fleet))
      if (message.type === 'vehicle') watched = message.id
    })
    let beat = 0
    const timer = setInterval(() => {
      sequence++
      const part = fleet.filter((v) => v.motion !== 4 && v.id % 5 === beat % 5)
      beat++
      ws.send(fleetFrame(2, part))
      const v = fleet[watched - 1]
      if (v && v.motion !== 4 && beat % 3 === 0) {
        const live = signals.filter((s) => s.id !== 10)
        const b = head(3, live.length, 28 + live.length * 20)
        b.writeUInt32LE(v.id, 24)
        live.forEach((s, i) => {
          b.writeUInt32LE(s.id, 28 + i * 20); b.writeBigInt64LE(BigInt(Date.now()), 32 + i * 20); b.writeDoubleLE(valueAt(v, s, Date.now()), 40 + i * 20)
        })
        ws.send(b)
      }
    }, 200)
    ws.on('close', () => clearInterval(timer))
  })
})
server.listen(port, '127.0.0.1', () => console.log(`stub on http://127.0.0.1:${port}/#code=stub`))
