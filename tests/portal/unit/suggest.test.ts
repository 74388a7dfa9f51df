import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SignalInfo } from '../../../portal/src/api/types'
import { sameKind, sameUnit, toSi, unitOf } from '../../../portal/src/format/unit'
import type { DbcSignal } from '../../../portal/src/pages/import/dbc'
import { mapOf, namingsOf, outcomeOf, ownName, problemsOf, shownOf, sureOf } from '../../../portal/src/pages/import/naming'
import { assign, fit, suggest, wordsOf } from '../../../portal/src/pages/import/suggest'

let id = 0
const known = (fqn: string, unit = '', type = 'DOUBLE', min?: number, max?: number): SignalInfo => ({ id: ++id, fqn, unit, type, description: '', ...(min === undefined ? {} : { min, max }) })
const seen = (source: string, unit = '', more: Partial<DbcSignal> = {}): DbcSignal => ({ source, message: source.split('.')[0] ?? '', name: source.split('.')[1] ?? '', unit, comment: '', values: [], length: 16, signed: false, multiplexed: false, ...more })

const catalog = [
  known('Vehicle.Speed', 'km/h', 'FLOAT', 0, 250),
  known('Vehicle.Powertrain.CombustionEngine.Speed', 'rpm', 'UINT16', 0, 8000),
  known('Vehicle.Powertrain.CombustionEngine.EngineOil.Temperature', 'celsius', 'FLOAT'),
  known('Vehicle.Powertrain.CombustionEngine.EngineCoolant.Temperature', 'celsius', 'FLOAT', -40, 215),
  known('Vehicle.Exterior.AirTemperature', 'celsius', 'FLOAT', -40, 85),
  known('Vehicle.Powertrain.FuelSystem.RelativeLevel', '%', 'UINT8', 0, 100),
  known('Vehicle.TraveledDistance', 'km', 'FLOAT'),
  known('Vehicle.Cabin.Door.Row1.Left.IsOpen', '', 'BOOLEAN'),
  known('Vehicle.Cabin.Door.Row1.Left.Window.Position', '%', 'UINT8', 0, 100),
  known('Vehicle.Chassis.SteeringWheel.Angle', 'degrees', 'INT16', -720, 720),
  known('Vehicle.VehicleIdentification.VIN', '', 'STRING'),
]

test('units are known by any spelling and compared by what they measure', () => {
  assert.equal(unitOf(' [kph] ')?.id, 'km/h')
  assert.equal(unitOf('°C')?.id, 'degC')
  assert.equal(unitOf('G')?.id, 'g0')
  assert.equal(unitOf('g')?.id, 'g')
  assert.equal(unitOf(''), undefined)
  assert.equal(sameUnit('celsius', 'degC'), true)
  assert.equal(sameUnit('', ''), true)
  assert.equal(sameUnit('km/h', 'mph'), false)
  assert.equal(sameKind('km/h', 'mph'), true)
  assert.equal(sameKind('rpm', 'km/h'), false)
  assert.equal(sameKind('furlong', 'km'), undefined)
  const fahrenheit = unitOf('degF')
  assert.ok(fahrenheit && Math.abs(toSi(212, fahrenheit) - 373.15) < 1e-9)
})

test('words are taken out of names and spelt out', () => {
  assert.deepEqual(wordsOf('EngSpd'), ['engine', 'speed'])
  assert.deepEqual(wordsOf('VEH_SPD_kph'), ['vehicle', 'speed'])
  assert.deepEqual(wordsOf('HVBattTemp2'), ['high', 'voltage', 'traction', 'battery', 'temperature', '2'])
  assert.deepEqual(wordsOf('IsDoorsOpen'), ['door', 'open'])
})

test('a unit that measures something else is never suggested', () => {
  assert.equal(fit(seen('M.Speed', 'rpm'), catalog[0] as SignalInfo), 0)
  const names = suggest([seen('Engine.Speed', 'rpm')], catalog).get('Engine.Speed')?.map((c) => c.fqn) ?? []
  assert.ok(!names.includes('Vehicle.Speed'))
  assert.equal(names[0], 'Vehicle.Powertrain.CombustionEngine.Speed')
})

test('a text is never suggested, a flag only for what is true or false', () => {
  assert.equal(fit(seen('M.VIN'), catalog[10] as SignalInfo), 0)
  assert.equal(fit(seen('M.Speed', '', { length: 1 }), catalog[0] as SignalInfo), 0)
  assert.ok(fit(seen('M.DoorOpen', '', { length: 1 }), catalog[7] as SignalInfo) > 1)
  assert.ok(fit(seen('M.DoorOpen', '', { length: 8 }), catalog[7] as SignalInfo) < 0.5)
})

test('ranges are compared in one unit', () => {
  const mph = fit(seen('M.Speed', 'mph', { min: 0, max: 155 }), catalog[0] as SignalInfo)
  const apart = fit(seen('M.Speed', 'km/h', { min: 300, max: 400 }), catalog[0] as SignalInfo)
  assert.ok(mph > apart, `${mph} > ${apart}`)
})

test('what common files call their signals finds its catalog name', () => {
  const signals = [seen('CCVS.VehSpd', 'km/h', { min: 0, max: 250 }), seen('EEC1.EngSpd', 'rpm', { min: 0, max: 8031 }), seen('ET1.EngCoolantTemp', '°C', { min: -40, max: 210 }), seen('AMB.AmbAirTemp', 'degC'), seen('VD.TotVehDist', 'km'), seen('STEER.StrWhlAng', 'deg', { min: -720, max: 720 }), seen('X.Checksum')]
  const chosen = assign(suggest(signals, catalog))
  const name = (source: string): string | undefined => chosen.get(source)
  assert.equal(name('CCVS.VehSpd'), 'Vehicle.Speed')
  assert.equal(name('EEC1.EngSpd'), 'Vehicle.Powertrain.CombustionEngine.Speed')
  assert.equal(name('ET1.EngCoolantTemp'), 'Vehicle.Powertrain.CombustionEngine.EngineCoolant.Temperature')
  assert.equal(name('AMB.AmbAirTemp'), 'Vehicle.Exterior.AirTemperature')
  assert.equal(name('STEER.StrWhlAng'), 'Vehicle.Chassis.SteeringWheel.Angle')
  assert.equal(name('X.Checksum'), undefined)
})

test('a catalog name goes to the surest signal only', () => {
  const chosen = assign(new Map([['a.a', [{ fqn: 'X', score: 0.5, sameUnit: true }, { fqn: 'Y', score: 0.4, sameUnit: true }]], ['b.b', [{ fqn: 'X', score: 0.9, sameUnit: true }]]]))
  assert.deepEqual([chosen.get('a.a'), chosen.get('b.b')], ['Y', 'X'])
})

test('all at once only what changes nothing for others is taken: the same unit, a free name, hardly a doubt', () => {
  const of = (...signals: DbcSignal[]): Map<string, string> => sureOf(namingsOf(signals, suggest(signals, catalog)))
  assert.deepEqual([...of(seen('CCVS.VehSpd', 'km/h', { min: 0, max: 250 }))], [['CCVS.VehSpd', 'Vehicle.Speed']])
  const mph = [seen('CCVS.VehSpd', 'mph', { min: 0, max: 155 })]
  assert.equal(suggest(mph, catalog).get('CCVS.VehSpd')?.[0]?.fqn, 'Vehicle.Speed')
  assert.equal(of(...mph).size, 0)
  const taken = namingsOf([seen('A.B', 'km/h'), seen('CCVS.VehSpd', 'km/h')], suggest([seen('CCVS.VehSpd', 'km/h')], catalog)).map((n, i) => (i === 0 ? { ...n, name: 'Vehicle.Speed' } : n))
  assert.equal(sureOf(taken).size, 0)
})

test('an enumeration is no quantity, a unit that nobody knows speaks against a name, and a branch is none', () => {
  const enumeration = seen('GEARBOX.SpeedQuality', '', { values: [[0, 'ok'], [1, 'bad']], length: 2 })
  assert.equal(fit(enumeration, catalog[0] as SignalInfo), 0)
  assert.ok(fit(seen('M.Speed', 'furlong'), catalog[0] as SignalInfo) < fit(seen('M.Speed'), catalog[0] as SignalInfo))
  const below = [...catalog, known('Vehicle.Speed.Quality')]
  assert.ok(!(suggest([seen('CCVS.VehSpd', 'km/h')], below).get('CCVS.VehSpd') ?? []).some((c) => c.fqn === 'Vehicle.Speed'))
})

test('names: invalid ones, branches and doubles are told; the map holds only what differs from the file', () => {
  const signals = [seen('A.B', 'km/h'), seen('C.D'), seen('E.F'), seen('G.H')]
  const namings = namingsOf(signals, new Map([['A.B', [{ fqn: 'Vehicle.Speed', score: 0.9, sameUnit: true }]]])).map((n, i) => (i === 0 ? { ...n, name: 'Vehicle.Speed' } : n))
  assert.equal(problemsOf(namings, catalog).size, 0)
  assert.deepEqual(JSON.parse(mapOf(namings)), { 'Vehicle.Speed': 'A.B' })
  const wrong = namings.map((n, i) => ({ ...n, name: ['Vehicle.Speed', 'Vehicle.Speed', 'Vehicle.Cabin', 'no name'][i] ?? '' }))
  const problems = problemsOf(wrong, catalog)
  assert.deepEqual([...problems.keys()], ['C.D', 'E.F', 'G.H'])
  assert.match(problems.get('C.D') ?? '', /A\.B/)
  assert.deepEqual(shownOf(wrong, 'problem', '', problems).map((n) => n.signal.source), ['C.D', 'E.F', 'G.H'])
  assert.deepEqual(shownOf(namings, 'unmatched', 'g.h', new Map()).map((n) => n.signal.source), ['G.H'])
  assert.equal(mapOf(namingsOf(signals, new Map())), '')
})

test('the file’s own name is what the server would give', () => {
  assert.equal(ownName(seen('Mess-age.Sig nal')), 'Vehicle.Mess_age.Sig_nal')
  assert.equal(ownName(seen(`M.${'x'.repeat(200)}`)).length, 150)
})

test('the check tells which names are new and whose unit changes', () => {
  const namings = namingsOf([seen('A.B', 'mph'), seen('C.D', 'rpm'), seen('E.F', '°C')], new Map()).map((n, i) => ({ ...n, name: ['Vehicle.Speed', '', 'Vehicle.Exterior.AirTemperature'][i] ?? '' }))
  const outcome = outcomeOf(namings, catalog)
  assert.deepEqual([outcome.known, outcome.fresh], [2, 1])
  assert.deepEqual(outcome.units, [{ name: 'Vehicle.Speed', source: 'A.B', before: 'km/h', after: 'mph', foreign: false }])
  const foreign = outcomeOf([{ signal: seen('A.B', 'rpm'), name: 'Vehicle.Speed', origin: 'typed', candidates: [] }], catalog)
  assert.equal(foreign.units[0]?.foreign, true)
})
