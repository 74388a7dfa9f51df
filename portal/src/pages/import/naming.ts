// The names that an import gives: the file's own until someone takes a suggestion or types another, and what is wrong with them.
import type { SignalInfo } from '../../api/types'
import { sameKind, sameUnit } from '../../format/unit'
import { t } from '../../text/text'
import type { DbcSignal } from './dbc'
import { assign, branchesOf, sure, type Candidate } from './suggest'

export type Origin = 'taken' | 'typed' | 'file'

export interface Naming {
  signal: DbcSignal
  /** The catalog name; empty: the name that the file gives it. */
  name: string
  origin: Origin
  /** Suggestions, the best first. */
  candidates: Candidate[]
}

export const longestName = 150
export const nameValid = (name: string): boolean => /^[A-Za-z0-9._]{1,150}$/.test(name) && !/^\.|\.\.|\.$/.test(name)

/** What the server calls a signal that the map leaves out. */
export function ownName(s: DbcSignal): string {
  const plain = (text: string): string => text.replace(/[^A-Za-z0-9_]/g, '_')
  return `Vehicle.${plain(s.message)}.${plain(s.name)}`.slice(0, longestName)
}

export const finalName = (n: Naming): string => n.name || ownName(n.signal)

export function namingsOf(signals: readonly DbcSignal[], candidates: ReadonlyMap<string, Candidate[]>): Naming[] {
  return signals.map((signal) => ({ signal, name: '', origin: 'file', candidates: candidates.get(signal.source) ?? [] }))
}

/** Suggestions that may be taken all at once: of signals without a name yet, names that nobody has, none that changes a unit. */
export function sureOf(all: readonly Naming[]): Map<string, string> {
  const held = new Set(all.map(finalName))
  const open = all.filter((n) => !n.name)
  return assign(new Map(open.map((n) => [n.signal.source, n.candidates.filter((c) => c.sameUnit && c.score >= sure && n.signal.unit !== '' && !held.has(c.fqn))])))
}

/** By source: what is wrong with its name. */
export function problemsOf(all: readonly Naming[], catalog: readonly SignalInfo[]): Map<string, string> {
  const out = new Map<string, string>()
  const holder = new Map<string, string>()
  const branches = branchesOf(catalog)
  for (const n of all) {
    const name = finalName(n)
    const other = holder.get(name)
    if (!nameValid(name)) out.set(n.signal.source, t('naming.invalid'))
    else if (branches.has(name)) out.set(n.signal.source, t('naming.branch', { name }))
    else if (other !== undefined) out.set(n.signal.source, t('naming.twice', { other }))
    holder.set(name, other ?? n.signal.source)
  }
  return out
}

/** The map that the server takes: name to "Message.Signal", only where it differs from what the server would choose. */
export function mapOf(all: readonly Naming[]): string {
  const named = all.filter((n) => n.name && n.name !== ownName(n.signal))
  return named.length ? JSON.stringify(Object.fromEntries(named.map((n) => [n.name, n.signal.source]))) : ''
}

export interface UnitChange {
  name: string
  source: string
  before: string
  after: string
  /** They measure different things: almost surely the wrong name. */
  foreign: boolean
}

export interface Outcome {
  /** Names that the catalog has. */
  known: number
  /** Names that it gets. */
  fresh: number
  /** The DBC decides on the unit of a name: samples come so. */
  units: UnitChange[]
}

export function outcomeOf(all: readonly Naming[], catalog: readonly SignalInfo[]): Outcome {
  const byName = new Map(catalog.map((s) => [s.fqn, s]))
  const out: Outcome = { known: 0, fresh: 0, units: [] }
  for (const n of all) {
    const name = finalName(n)
    const old = byName.get(name)
    if (!old) {
      out.fresh++
      continue
    }
    out.known++
    if (!sameUnit(old.unit, n.signal.unit)) out.units.push({ name, source: n.signal.source, before: old.unit, after: n.signal.unit, foreign: sameKind(old.unit, n.signal.unit) === false })
  }
  return out
}

export type Show = 'all' | 'offered' | 'named' | 'unmatched' | 'problem'
export const shows: Show[] = ['all', 'offered', 'named', 'unmatched', 'problem']

export function shownOf(all: readonly Naming[], show: Show, words: string, problems: ReadonlyMap<string, string>): Naming[] {
  const sought = words.toLowerCase().split(/\s+/).filter(Boolean)
  return all.filter((n) => {
    if (show === 'offered' && (n.name || n.candidates.length === 0)) return false
    if (show === 'named' && !n.name) return false
    if (show === 'unmatched' && (n.name || n.candidates.length > 0)) return false
    if (show === 'problem' && !problems.has(n.signal.source)) return false
    const text = `${n.signal.source} ${n.signal.comment} ${finalName(n)}`.toLowerCase()
    return sought.every((word) => text.includes(word))
  })
}
