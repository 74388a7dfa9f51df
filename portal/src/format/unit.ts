// Units by what they measure: SI = value * factor + offset. For comparing ranges and finding kin; samples are never changed by it.
export interface Unit {
  id: string
  measures: string
  factor: number
  offset: number
}

const rows: [id: string, measures: string, factor: number, offset?: number][] = [
  ['mm', 'length', 1e-3], ['cm', 'length', 1e-2], ['m', 'length', 1], ['km', 'length', 1e3], ['inch', 'length', 0.0254], ['ft', 'length', 0.3048], ['mi', 'length', 1609.344],
  ['km/h', 'speed', 1 / 3.6], ['m/s', 'speed', 1], ['mph', 'speed', 0.44704], ['cm/s', 'speed', 1e-2],
  ['m/s^2', 'acceleration', 1], ['cm/s^2', 'acceleration', 1e-2], ['g0', 'acceleration', 9.80665],
  ['cm^3', 'volume', 1e-6], ['m^3', 'volume', 1], ['ml', 'volume', 1e-6], ['l', 'volume', 1e-3], ['gal', 'volume', 3.785411784e-3],
  ['degC', 'temperature', 1, 273.15], ['degF', 'temperature', 5 / 9, (459.67 * 5) / 9], ['K', 'temperature', 1],
  ['deg', 'angle', Math.PI / 180], ['rad', 'angle', 1], ['rev', 'angle', 2 * Math.PI],
  ['deg/s', 'angular speed', Math.PI / 180], ['rad/s', 'angular speed', 1], ['rpm', 'angular speed', Math.PI / 30],
  ['W', 'power', 1], ['kW', 'power', 1e3], ['hp', 'power', 745.6998715822702], ['PS', 'power', 735.49875],
  ['J', 'energy', 1], ['kJ', 'energy', 1e3], ['Wh', 'energy', 3600], ['kWh', 'energy', 3.6e6],
  ['mg', 'mass', 1e-6], ['g', 'mass', 1e-3], ['kg', 'mass', 1], ['t', 'mass', 1e3], ['lb', 'mass', 0.45359237],
  ['mV', 'voltage', 1e-3], ['V', 'voltage', 1], ['kV', 'voltage', 1e3], ['mA', 'current', 1e-3], ['A', 'current', 1], ['Ah', 'charge', 3600], ['As', 'charge', 1],
  ['mOhm', 'resistance', 1e-3], ['Ohm', 'resistance', 1], ['kOhm', 'resistance', 1e3],
  ['us', 'duration', 1e-6], ['ms', 'duration', 1e-3], ['s', 'duration', 1], ['min', 'duration', 60], ['h', 'duration', 3600], ['day', 'duration', 86_400],
  ['Pa', 'pressure', 1], ['hPa', 'pressure', 1e2], ['kPa', 'pressure', 1e3], ['MPa', 'pressure', 1e6], ['mbar', 'pressure', 1e2], ['bar', 'pressure', 1e5], ['psi', 'pressure', 6894.757293168361],
  ['g/s', 'mass flow', 1e-3], ['kg/h', 'mass flow', 1 / 3600], ['l/h', 'volume flow', 1e-3 / 3600], ['l/min', 'volume flow', 1e-3 / 60],
  ['l/100km', 'volume per distance', 1e-8], ['ml/100km', 'volume per distance', 1e-11], ['kWh/100km', 'energy per distance', 36], ['Wh/km', 'energy per distance', 3.6], ['g/km', 'mass per distance', 1e-6],
  ['N', 'force', 1], ['kN', 'force', 1e3], ['Nm', 'torque', 1], ['cNm', 'torque', 1e-2], ['Hz', 'frequency', 1], ['kHz', 'frequency', 1e3], ['cpm', 'frequency', 1 / 60],
  ['%', 'ratio', 1e-2], ['ratio', 'ratio', 1], ['ppm', 'ratio', 1e-6], ['lx', 'illuminance', 1],
]
const byId = new Map<string, Unit>(rows.map(([id, measures, factor, offset]) => [id, { id, measures, factor, offset: offset ?? 0 }]))

const spellings: Record<string, string> = {
  kph: 'km/h', kmh: 'km/h', kmph: 'km/h', 'm/s2': 'm/s^2', 'm/s²': 'm/s^2', 'm/s/s': 'm/s^2', c: 'degC', '°c': 'degC', celsius: 'degC', 'deg c': 'degC', 'deg_c': 'degC', '℃': 'degC', degc: 'degC',
  '°f': 'degF', fahrenheit: 'degF', kelvin: 'K', '°': 'deg', degree: 'deg', degrees: 'deg', '°/s': 'deg/s', 'degrees/s': 'deg/s', 'deg/sec': 'deg/s', rpm: 'rpm', '1/min': 'rpm', 'u/min': 'rpm', 'min-1': 'rpm',
  kw: 'kW', hp: 'hp', kwh: 'kWh', wh: 'Wh', v: 'V', volt: 'V', volts: 'V', a: 'A', amp: 'A', amps: 'A', ampere: 'A', ah: 'Ah', ohm: 'Ohm', ohms: 'Ohm', 'ω': 'Ohm', sec: 's', seconds: 's', second: 's', msec: 'ms',
  minute: 'min', minutes: 'min', hr: 'h', hrs: 'h', hour: 'h', hours: 'h', d: 'day', days: 'day', kpa: 'kPa', hpa: 'hPa', mpa: 'MPa', 'l/100 km': 'l/100km', lpm: 'l/min', 'n.m': 'Nm', 'n*m': 'Nm', 'n·m': 'Nm', nm: 'Nm', hz: 'Hz', khz: 'kHz',
  percent: '%', pct: '%', 'per cent': '%', liter: 'l', litre: 'l', liters: 'l', lux: 'lx', meter: 'm', metre: 'm', meters: 'm', miles: 'mi', mile: 'mi', in: 'inch', feet: 'ft', degrees_c: 'degC', mps: 'm/s', pa: 'Pa',
}

/** Where case makes the difference. */
const exact: Record<string, string> = { G: 'g0' }

/** What a DBC or VSS file calls a unit; undefined: not known here, or none. */
export function unitOf(text: string): Unit | undefined {
  const plain = text.trim().replace(/^\[(.*)\]$/, '$1').trim()
  return byId.get(plain) ?? byId.get(exact[plain] ?? '') ?? byId.get(spellings[plain.toLowerCase()] ?? '') ?? byId.get(plain.toLowerCase())
}

export const toSi = (value: number, unit: Unit): number => value * unit.factor + unit.offset

/** Whether two units measure the same; undefined when one of them is not known. */
export function sameKind(a: string, b: string): boolean | undefined {
  const x = unitOf(a)
  const y = unitOf(b)
  return x && y ? x.measures === y.measures : undefined
}

/** Equal for a reader: the same unit, however it is spelt. */
export function sameUnit(a: string, b: string): boolean {
  const x = unitOf(a)
  const y = unitOf(b)
  return x && y ? x.id === y.id : a.trim() === b.trim()
}
