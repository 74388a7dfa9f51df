// Numbers, with their units, in the reader's system. Nothing here invents a value: what is absent shows as a dash.
import { createSignal } from 'solid-js'
import { locale, t } from '../text/text'

export type System = 'metric' | 'imperial'
const stored = (globalThis.localStorage?.getItem('motorcade.units') as System | null) ?? 'metric'
const [system, setSystemSignal] = createSignal<System>(stored)
export { system }
export function setSystem(next: System): void {
  setSystemSignal(next)
  globalThis.localStorage?.setItem('motorcade.units', next)
}

export const dash = '–'

interface Conversion {
  unit: string
  factor: number
  offset: number
}
const imperial: Record<string, Conversion> = {
  'km/h': { unit: 'mph', factor: 0.621371192, offset: 0 },
  kph: { unit: 'mph', factor: 0.621371192, offset: 0 },
  km: { unit: 'mi', factor: 0.621371192, offset: 0 },
  m: { unit: 'ft', factor: 3.2808399, offset: 0 },
  '°C': { unit: '°F', factor: 1.8, offset: 32 },
  degC: { unit: '°F', factor: 1.8, offset: 32 },
  deg_C: { unit: '°F', factor: 1.8, offset: 32 },
  celsius: { unit: '°F', factor: 1.8, offset: 32 },
  kPa: { unit: 'psi', factor: 0.145037738, offset: 0 },
  bar: { unit: 'psi', factor: 14.5037738, offset: 0 },
  l: { unit: 'gal', factor: 0.264172052, offset: 0 },
  L: { unit: 'gal', factor: 0.264172052, offset: 0 },
  'l/h': { unit: 'gal/h', factor: 0.264172052, offset: 0 },
  'L/h': { unit: 'gal/h', factor: 0.264172052, offset: 0 },
}
/** How DBC files spell what people write otherwise. */
const spelling: Record<string, string> = {
  kph: 'km/h',
  degC: '°C',
  deg_C: '°C',
  celsius: '°C',
  deg: '°',
  degree: '°',
  degrees: '°',
  percent: '%',
  ohm: 'Ω',
  'm/s^2': 'm/s²',
  'm/s2': 'm/s²',
  'm^3': 'm³',
  'kg/m^3': 'kg/m³',
}

export function unitName(unit: string, as: System = system()): string {
  if (as === 'imperial' && imperial[unit]) return imperial[unit].unit
  return spelling[unit] ?? unit
}

export function convert(value: number, unit: string, as: System = system()): number {
  const conversion = as === 'imperial' ? imperial[unit] : undefined
  return conversion ? value * conversion.factor + conversion.offset : value
}

const formats = new Map<number, Intl.NumberFormat>()
export function decimal(value: number, digits: number): string {
  let format = formats.get(digits)
  if (!format) {
    format = new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })
    formats.set(digits, format)
  }
  return format.format(Object.is(value, -0) ? 0 : value)
}

/** Digits after the point that a reader needs: about four significant ones, never a false exactness. */
export function digitsFor(value: number): number {
  const size = Math.abs(value)
  if (Number.isInteger(value) && size < 1e15) return 0
  if (size >= 1000) return 0
  if (size >= 100) return 1
  if (size >= 1) return 2
  return 3
}

const exponent = new Intl.NumberFormat(locale, { notation: 'scientific', maximumSignificantDigits: 4 })
export function signalValue(value: number, unit: string, as: System = system(), digits?: number): string {
  if (!Number.isFinite(value)) return dash
  const shown = convert(value, unit, as)
  const size = Math.abs(shown)
  if (size !== 0 && (size >= 1e9 || size < 1e-3)) return exponent.format(shown)
  return decimal(shown, digits ?? digitsFor(Number(shown.toPrecision(12))))
}

/** A tick of an axis: as many digits as tell it from its neighbours. */
export function tickValue(value: number, step: number): string {
  const digits = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)))
  return Math.abs(value) < 1e9 && step >= 1e-12 ? decimal(value, digits) : signalValue(value, '', 'metric')
}

export function quantity(value: number | undefined, unit: string, digits: number, as: System = system()): string {
  if (value === undefined || !Number.isFinite(value)) return dash
  return `${decimal(convert(value, unit, as), digits)} ${unitName(unit, as)}`
}

const integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 })
export function whole(value: number): string {
  return integer.format(value)
}
const short = new Intl.NumberFormat(locale, { notation: 'compact', maximumSignificantDigits: 3 })
export function compact(value: number): string {
  return Math.abs(value) < 10000 ? integer.format(value) : short.format(value)
}

export function bytes(value: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let step = 0
  let shown = value
  while (shown >= 1024 && step < names.length - 1) {
    shown /= 1024
    step++
  }
  return `${decimal(shown, step === 0 || shown >= 100 ? 0 : shown >= 10 ? 1 : 2)} ${names[step] ?? ''}`
}

const compass = ['n', 'ne', 'e', 'se', 's', 'sw', 'w', 'nw'] as const
export function heading(degrees: number): string {
  const name = compass[Math.round(degrees / 45) % 8] ?? 'n'
  return t(`compass.${name}`)
}
