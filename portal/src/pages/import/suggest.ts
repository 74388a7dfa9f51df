// Which catalog name a DBC signal most likely means: by the words of both names, what their units measure, and their ranges.
// A name whose unit measures something else is never suggested. People decide; this only orders what they choose from.
import type { SignalInfo } from '../../api/types'
import { sameUnit, toSi, unitOf } from '../../format/unit'
import type { DbcSignal } from './dbc'

export interface Candidate {
  fqn: string
  /** 0 to 1. */
  score: number
  /** Its unit in the catalog is the file's: taking the name changes nothing for others. */
  sameUnit: boolean
}

/** What the short words of DBC files mean; several words stand for a phrase. */
const long: Record<string, string> = {
  abs: 'abs', ac: 'air conditioning', acc: 'acceleration', accel: 'accelerator', act: 'actual', alt: 'altitude', amb: 'ambient', amt: 'amount', ang: 'angle', avg: 'average', axl: 'axle',
  bat: 'battery', batt: 'battery', brk: 'brake', btn: 'button', cab: 'cabin', cap: 'capacity', chg: 'charge', chrg: 'charge', clt: 'coolant temperature', comp: 'compressor', cons: 'consumption', cool: 'coolant',
  cur: 'current', curr: 'current', cyl: 'cylinder', def: 'diesel exhaust fluid', deg: '', dir: 'direction', dist: 'distance', dr: 'door', drv: 'driver', ect: 'engine coolant temperature', egr: 'exhaust gas recirculation',
  eng: 'engine', engage: 'engaged', ext: 'exterior', fl: 'front left', fr: 'front right', frnt: 'front', flvl: 'fuel level', gps: 'location', gr: 'gear', hb: 'handbrake', hdg: 'heading', hi: 'high', hum: 'humidity', hv: 'high voltage traction',
  hvac: 'hvac', iat: 'intake air temperature', ign: 'ignition', ind: 'indicator', inst: 'instantaneous', int: 'interior', kmh: '', kph: '', lat: 'latitude', lf: 'front left', lft: 'left', lh: 'left', lng: 'longitude', lon: 'longitude', long: 'longitude', lr: 'rear left', lt: 'left',
  lvl: 'level', maf: 'mass air flow', map: 'manifold pressure', max: 'maximum', min: 'minimum', mot: 'motor', mph: '', nav: 'location', num: 'number', odo: 'odometer traveled distance', odometer: 'odometer traveled distance', opn: 'open', pct: '', ped: 'pedal', pdl: 'pedal', pos: 'position',
  prs: 'pressure', press: 'pressure', prk: 'parking', psgr: 'passenger', pwr: 'power', rev: 'reverse', rf: 'front right', rgt: 'right', rh: 'right', rl: 'rear left', rpm: 'speed', rr: 'rear right', rt: 'right', sas: 'steering angle', sig: '', snsr: 'sensor', soc: 'state charge', soh: 'state health',
  spd: 'speed', st: 'status', sta: 'status', stat: 'status', steer: 'steering', str: 'steering', strg: 'steering', sts: 'status', stw: 'steering wheel', sw: 'switch', tco: 'tachograph', temp: 'temperature', thr: 'throttle', thrtl: 'throttle', tire: 'tire', tyre: 'tire', tmp: 'temperature', torq: 'torque',
  tot: 'total', tpms: 'tire', tq: 'torque', trans: 'transmission', trav: 'traveled', travelled: 'traveled', trip: 'trip', trq: 'torque', val: '', vbat: 'battery voltage', veh: 'vehicle', vel: 'speed', velocity: 'speed', vlt: 'voltage', volt: 'voltage', wb: 'wheel based', whl: 'wheel', win: 'window', wiper: 'wiper', yaw: 'yaw',
}

/** The words of a name: parts of camelCase and snake_case, short ones spelt out, lower case, without plural. */
export function wordsOf(name: string): string[] {
  const parts = name
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replace(/([A-Za-z])(\d)/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\d]+/)
    .filter(Boolean)
  const out: string[] = []
  for (const part of parts) {
    const spelt = Object.hasOwn(long, part) ? (long[part] ?? '') : part
    for (const word of spelt.split(' ')) if (word && word !== 'is' && word !== 'has') out.push(word.length > 4 && word.endsWith('s') && !/(ss|us|is)$/.test(word) ? word.slice(0, -1) : word)
  }
  return out
}

interface Entry {
  signal: SignalInfo
  words: Map<string, number> // with their weight in this name
  size: number // of the weighted vector
}

/** A path's last part says what it is; the branches above say of what. */
function entryOf(signal: SignalInfo, rarity: (word: string) => number): Entry {
  const parts = signal.fqn.split('.')
  const words = new Map<string, number>()
  const put = (word: string, share: number): void => {
    words.set(word, Math.max(words.get(word) ?? 0, share * rarity(word)))
  }
  parts.forEach((part, i) => {
    for (const word of wordsOf(part)) put(word, i === parts.length - 1 ? 1 : 0.6)
  })
  return { signal, words, size: length(words.values()) }
}

function length(weights: Iterable<number>): number {
  let sum = 0
  for (const weight of weights) sum += weight * weight
  return Math.sqrt(sum)
}

/** Words of what is sought: its own name counts most, its message's less, its comment least. */
function soughtOf(s: DbcSignal, rarity: (word: string) => number): Map<string, number> {
  const words = new Map<string, number>()
  const put = (list: string[], share: number): void => {
    for (const word of list) words.set(word, Math.max(words.get(word) ?? 0, share * rarity(word)))
  }
  put(wordsOf(s.comment).slice(0, 24), 0.25)
  put(wordsOf(s.message), 0.35)
  put(wordsOf(s.name), 1)
  return words
}

const isText = (type: string): boolean => /string/i.test(type)
const isBoolean = (type: string): boolean => /bool/i.test(type)

/** How well unit and range fit: 0 is out of the question, 1 says nothing, more speaks for it. */
export function fit(s: DbcSignal, c: SignalInfo): number {
  if (isText(c.type) || /\[\]$/.test(c.type)) return 0
  const mine = unitOf(s.unit)
  const theirs = unitOf(c.unit)
  if (mine && theirs && mine.measures !== theirs.measures) return 0
  if (isBoolean(c.type)) return mine && mine.measures !== 'ratio' ? 0 : s.length === 1 ? 1.25 : s.length <= 2 ? 1.05 : 0.4
  // A flag is no quantity, and a quantity without a unit here is doubtful where the catalog has one.
  if (s.length === 1) return theirs ? 0 : 0.6
  if (theirs && !s.unit && s.values.length > 0) return 0
  // Units that the table does not know: the same text is the same unit, different ones are most likely different things.
  const alike = sameUnit(s.unit, c.unit)
  let out = mine && theirs ? 1.35 : alike ? (s.unit ? 1.35 : 1) : s.unit && c.unit ? 0.5 : 0.7
  if (s.min !== undefined && s.max !== undefined && c.min !== undefined && c.max !== undefined && c.min < c.max) {
    const convert = mine && theirs ? (v: number): number => (toSi(v, mine) - theirs.offset) / theirs.factor : (v: number): number => v
    const low = convert(s.min)
    const high = convert(s.max)
    const shared = Math.min(high, c.max) - Math.max(low, c.min)
    const share = shared <= 0 ? 0 : shared / Math.min(high - low, c.max - c.min)
    out *= 0.7 + 0.4 * share
  }
  return out
}

export const least = 0.45
/** From here on most are right: measured on files whose names are known. Still, people take them. */
export const sure = 0.8
/** No unit and range speak for a name more than this: 1.35 * (0.7 + 0.4). */
const best = 1.5
const most = 5

/** Every name that another lies below. */
export function branchesOf(catalog: readonly SignalInfo[]): Set<string> {
  const out = new Set<string>()
  for (const signal of catalog) for (let at = signal.fqn.lastIndexOf('.'); at > 0; at = signal.fqn.lastIndexOf('.', at - 1)) out.add(signal.fqn.slice(0, at))
  return out
}

/** For each signal the best catalog names, the best first. */
export function suggest(signals: readonly DbcSignal[], catalog: readonly SignalInfo[]): Map<string, Candidate[]> {
  const named = new Map<string, number>() // word -> catalog names that have it
  for (const signal of catalog) for (const word of new Set(wordsOf(signal.fqn))) named.set(word, (named.get(word) ?? 0) + 1)
  // A name that others lie below cannot be a signal's.
  const branches = branchesOf(catalog)
  const rarity = (word: string): number => Math.log(1 + catalog.length / (named.get(word) ?? 1)) / Math.log(1 + catalog.length)
  const entries = catalog.map((signal) => entryOf(signal, rarity))
  const byWord = new Map<string, { at: number; weight: number }[]>()
  entries.forEach((entry, at) => {
    for (const [word, weight] of entry.words) {
      const list = byWord.get(word)
      if (list) list.push({ at, weight })
      else byWord.set(word, [{ at, weight }])
    }
  })
  // What each name shares with the signal at hand. Common words touch most of the catalog for each of thousands of signals: plain numbers, no map.
  const shared = new Float64Array(entries.length)
  const out = new Map<string, Candidate[]>()
  for (const s of signals) {
    const sought = soughtOf(s, rarity)
    // Words that no catalog name has weigh a little: nobody can match them.
    const size = length([...sought].map(([word, weight]) => (named.has(word) ? weight : weight * 0.5)))
    shared.fill(0)
    for (const [word, weight] of sought) for (const hit of byWord.get(word) ?? []) shared[hit.at] = (shared[hit.at] ?? 0) + weight * hit.weight
    const list: Candidate[] = []
    entries.forEach((entry, at) => {
      const alike = (shared[at] ?? 0) / (size * entry.size || 1)
      if (alike * best < least || branches.has(entry.signal.fqn)) return
      const score = Math.min(1, alike * fit(s, entry.signal))
      if (score >= least) list.push({ fqn: entry.signal.fqn, score, sameUnit: sameUnit(s.unit, entry.signal.unit) })
    })
    list.sort((a, b) => b.score - a.score || a.fqn.length - b.fqn.length || (a.fqn < b.fqn ? -1 : 1))
    out.set(s.source, list.slice(0, most))
  }
  return out
}

/** One name for one signal: the surest pairs first, nobody gets a name that another has. */
export function assign(candidates: ReadonlyMap<string, readonly Candidate[]>): Map<string, string> {
  const pairs = [...candidates].flatMap(([source, list]) => list.map((candidate) => ({ source, candidate })))
  pairs.sort((a, b) => b.candidate.score - a.candidate.score || (a.source < b.source ? -1 : 1))
  const out = new Map<string, string>()
  const taken = new Set<string>()
  for (const { source, candidate } of pairs) {
    if (out.has(source) || taken.has(candidate.fqn)) continue
    out.set(source, candidate.fqn)
    taken.add(candidate.fqn)
  }
  return out
}
