// TEST ONLY, never shipped: the FleetWise part of the stub: catalogs, models, decoder manifests, fleets, state templates, trouble codes, access keys.
const arn = (kind, name) => `arn:aws:iotfleetwise:local:000000000000:${kind}/${name}`
const seconds = () => Date.now() / 1000
const templates = [{ id: '01STUBTEMPLATE000000000001', name: 'body-state', description: 'Doors and lights', signals: ['Vehicle.Body.Lights.IsHighBeamOn'], created: new Date().toISOString(), updated: new Date().toISOString() }]
const given = new Map()
const commands = new Map()
const descriptions = new Map()
let keys = []
const statuses = new Map([['truck-can', 'ACTIVE'], ['truck-draft', 'DRAFT']])
const decoders = new Map()

function decodersOf(name, signals) {
  if (!decoders.has(name)) decoders.set(name, signals.slice(0, 8).map((s, i) => ({ fullyQualifiedName: s.fqn, type: 'CAN_SIGNAL', interfaceId: 'can0', canSignal: { messageId: 256 + i, isBigEndian: false, isSigned: false, startBit: 8 * (i % 8), offset: 0, factor: 1, length: 8 } })))
  return decoders.get(name)
}

function decoderUpdate(name, body, signals, problem) {
  let list = decodersOf(name, signals)
  if (body.status) statuses.set(name, body.status)
  else if (statuses.get(name) === 'ACTIVE') return problem(409, 'The manifest is active', 'Make it a draft first.')
  for (const d of [...(body.signalDecodersToAdd ?? []), ...(body.signalDecodersToUpdate ?? [])]) {
    if (d.canSignal && d.canSignal.startBit + d.canSignal.length > 512) return problem(422, 'A decoder is not valid', `the manifest has invalid decoders; ${d.fullyQualifiedName}: it ends behind the frame`)
    list = [...list.filter((one) => one.fullyQualifiedName !== d.fullyQualifiedName), d]
  }
  decoders.set(name, list.filter((d) => !(body.signalDecodersToRemove ?? []).includes(d.fullyQualifiedName)))
  return [200, { name, arn: arn('decoder-manifest', name) }]
}

function vocabulary(is, { body, signals, problem }) {
  let m
  if (is('GET', '/catalogs')) return [200, { items: [{ name: 'default', arn: arn('signal-catalog', 'default'), creationTime: seconds() }] }]
  if (is('GET', '/models')) return [200, { items: [{ name: 'truck', arn: arn('model-manifest', 'truck'), status: 'ACTIVE', signalCatalogArn: arn('signal-catalog', 'default'), lastModificationTime: seconds() }] }]
  if ((m = is('GET', '/models/([^/]+)'))) return [200, { name: m[0], arn: arn('model-manifest', m[0]), status: 'ACTIVE', signalCatalogArn: arn('signal-catalog', 'default') }]
  if (is('GET', '/models/([^/]+)/nodes')) return [200, { items: signals.map((s) => ({ sensor: { fullyQualifiedName: s.fqn, dataType: 'DOUBLE', unit: s.unit } })) }]
  if (is('GET', '/decoders')) return [200, { items: [...statuses].map(([name, status]) => ({ name, status, arn: arn('decoder-manifest', name), modelManifestArn: arn('model-manifest', 'truck'), lastModificationTime: seconds() })) }]
  if ((m = is('GET', '/decoders/([^/]+)'))) return statuses.has(m[0]) ? [200, { name: m[0], status: statuses.get(m[0]), arn: arn('decoder-manifest', m[0]), modelManifestArn: arn('model-manifest', 'truck') }] : problem(404, 'No such manifest', `There is no decoder manifest ${m[0]}.`)
  if ((m = is('GET', '/decoders/([^/]+)/signals'))) return [200, { items: decodersOf(m[0], signals) }]
  if (is('GET', '/decoders/([^/]+)/interfaces')) return [200, { items: [{ interfaceId: 'can0', type: 'CAN_INTERFACE', canInterface: { name: 'can0' } }] }]
  if ((m = is('PATCH', '/decoders/([^/]+)'))) return decoderUpdate(m[0], body, signals, problem)
  return undefined
}

function fleets(is, { body, fleet, problem, members }) {
  let m
  if (is('GET', '/fleets')) return [200, { items: [...members.keys()].sort().map((id) => ({ id, arn: arn('fleet', id), description: descriptions.get(id), signalCatalogArn: arn('signal-catalog', 'default'), creationTime: seconds() - 1e5 })) }]
  if (is('POST', '/fleets')) {
    if (members.has(body.fleetId)) return problem(409, 'The fleet exists', `A fleet ${body.fleetId} exists.`, '/fleetId')
    members.set(body.fleetId, new Set())
    descriptions.set(body.fleetId, body.description)
    return [201, { id: body.fleetId, arn: arn('fleet', body.fleetId) }]
  }
  if ((m = is('PATCH', '/fleets/([^/]+)'))) return descriptions.set(m[0], body.description), [200, { id: m[0] }]
  if ((m = is('DELETE', '/fleets/([^/]+)'))) return members.delete(m[0]) ? [204] : problem(404, 'No such fleet', '')
  if ((m = is('GET', '/fleets/([^/]+)/vehicles'))) return [200, { items: [...(members.get(m[0]) ?? [])] }]
  if ((m = is('PUT', '/fleets/([^/]+)/vehicles/([^/]+)'))) return fleet.some((v) => v.name === m[1]) ? (members.get(m[0])?.add(m[1]), [204]) : problem(404, 'No such vehicle', `There is no vehicle ${m[1]}.`)
  if ((m = is('DELETE', '/fleets/([^/]+)/vehicles/([^/]+)'))) return members.get(m[0])?.delete(m[1]), [204]
  if ((m = is('GET', '/vehicles/(\\d+)/fleets'))) return [200, { items: [...members].filter(([, names]) => names.has(fleet[m[0] - 1]?.name)).map(([id]) => id) }]
  return undefined
}

function states(is, { body, problem }) {
  let m
  const list = (id) => [200, { items: given.get(id) ?? [], commands: commands.get(id) ?? [] }]
  if (is('GET', '/templates')) return [200, { items: templates }]
  if (is('POST', '/templates')) {
    const made = { id: `01STUBTEMPLATE${String(templates.length + 1).padStart(12, '0')}`, description: '', created: new Date().toISOString(), updated: new Date().toISOString(), ...body }
    templates.push(made)
    return [201, made]
  }
  if ((m = is('PUT', '/templates/([^/]+)'))) return [200, Object.assign(templates.find((x) => x.name === m[0]), body)]
  if ((m = is('DELETE', '/templates/([^/]+)'))) return templates.splice(templates.findIndex((x) => x.name === m[0]), 1), [204]
  if ((m = is('GET', '/vehicles/(\\d+)/templates'))) return list(m[0])
  if ((m = is('POST', '/vehicles/(\\d+)/templates'))) return given.set(m[0], [...(given.get(m[0]) ?? []), { template: body.template, ...(body.period_ms ? { period_ms: body.period_ms } : {}), state: 'pending', reason: 'to_be_sent', text: 'it is sent after the next check-in' }]), list(m[0])
  if ((m = is('DELETE', '/vehicles/(\\d+)/templates/([^/]+)'))) return given.set(m[0], (given.get(m[0]) ?? []).filter((x) => x.template !== m[1])), [204]
  if ((m = is('POST', '/vehicles/(\\d+)/templates/([^/]+)/commands'))) {
    if (!(given.get(m[0]) ?? []).some((x) => x.template === m[1])) return problem(404, 'No such template here', '')
    const made = { id: `c${Date.now()}`, template: m[1], action: body.action, status: 'succeeded', reason: 0, issued: new Date().toISOString(), answered: new Date().toISOString() }
    commands.set(m[0], [made, ...(commands.get(m[0]) ?? [])])
    return [201, { id: made.id }]
  }
  return undefined
}

export function fleetwiseRoute(is, all) {
  let m
  const found = vocabulary(is, all) ?? fleets(is, all) ?? states(is, all)
  if (found) return found
  if ((m = is('GET', '/vehicles/(\\d+)/campaigns')))
    return [200, { agent: { kind: 'other', checkin: new Date(Date.now() - 50000).toISOString(), clock_skew_ms: 4200, manifest: 'abc', wanted_manifest: 'abc', documents: 3, unknown: 0, dropped: 0 }, items: all.campaigns.filter((c) => c.target_kind === 'all').map((c) => ({ id: c.id, name: c.name, state: 'healthy', status: 'HEALTHY', reason: 'clock_off', text: 'confirmed, but the clock is 4 s ahead' })), troubles: [{ kind: 'clock_ahead', count: 3, last: new Date().toISOString(), text: 'values more than 2 minutes ahead of their arrival; kept, never the latest' }] }]
  if ((m = is('GET', '/vehicles/(\\d+)/trouble-codes'))) {
    const at = (h) => new Date(Date.now() - h * 3.6e6).toISOString()
    const codes = [{ code: 'P0143', text: 'O2 sensor circuit low voltage', active: true, ecu: '', first: at(30), last: at(0.1), reports: 40, episodes: 2 }, { code: 'C0035-13', text: '', active: false, ecu: 'ABS', first: at(200), last: at(100), cleared: at(99), reports: 5, episodes: 1, snapshot: '0a0b0c' }]
    return [200, { items: codes.filter((c) => all.query.get('state') === 'any' || c.active).map((c) => ({ vehicle: Number(m[0]), vehicle_name: '', system: c.code[0] === 'C' ? 'chassis' : 'powertrain', generic: true, snapshot: '', extended: '', ...c })) }]
  }
  if (is('POST', '/campaigns/reach')) return [200, { targeted: all.fleet.length, vehicles: all.fleet.length, parts: [] }]
  if (is('GET', '/access-keys')) return [200, { items: keys }]
  if (is('POST', '/access-keys')) {
    const made = { id: keys.length + 1, key_id: `AKIASTUB${String(keys.length + 1).padStart(8, '0')}`, name: all.body.name, role: all.body.role, usable: true, created: new Date().toISOString() }
    keys.push(made)
    return [201, { access_key: made, secret: 'stub-secret' }]
  }
  if ((m = is('DELETE', '/access-keys/(\\d+)'))) return (keys = keys.filter((k) => k.id !== Number(m[0]))), [204]
  return undefined
}
