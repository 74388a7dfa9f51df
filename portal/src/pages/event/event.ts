// One event of a campaign on a vehicle: its address, the window around its trigger, and its neighbours.
import type { Campaign, SignalInfo, VehicleEvent } from '../../api/types'
import { decimal } from '../../format/number'
import { parse } from '../../format/time'
import type { Columns } from '../vehicle/chart-data'

export const reaches = [2000, 10_000, 30_000, 120_000, 600_000] as const
export type Reach = (typeof reaches)[number]

/** As many signals as one request of the history takes. */
export const perRequest = 16
/** More charts than this are no picture any more: a search narrows them. */
export const most = 48

export function eventPath(vehicle: number, e: Pick<VehicleEvent, 'campaign' | 'event_id' | 'time'>): string {
  return `/vehicles/${vehicle}/event?campaign=${e.campaign}&event=${e.event_id}&at=${parse(e.time)}`
}

export interface Window {
  trigger: number
  from: number
  to: number
  before: Reach
  after: Reach
}

/** The smallest reach that holds so many ms; the largest when none does. */
export const reachFor = (ms: number): Reach => reaches.find((r) => r >= ms) ?? 600_000

function readReach(text: string): Reach | undefined {
  return reaches.find((r) => text !== '' && r === Number(text))
}

/** Behind the trigger by default as much as the campaign collects, before it the same and at least 10 s. Undefined: the address names no moment. */
export function windowOf(get: (name: string) => string, campaign: Pick<Campaign, 'after_ms'> | undefined): Window | undefined {
  const trigger = get('at') === '' ? NaN : Number(get('at'))
  if (!Number.isFinite(trigger) || trigger <= 0) return undefined
  const collected = campaign?.after_ms ?? 0
  const before = readReach(get('before')) ?? reachFor(Math.max(10_000, collected))
  const after = readReach(get('after')) ?? reachFor(Math.max(2000, collected))
  return { trigger, from: trigger - before, to: trigger + after, before, after }
}

/** "−2.5 s", "0", "+3 min": where a moment lies beside the trigger. */
export function offsetWords(ms: number): string {
  if (Math.abs(ms) < 0.5) return '0'
  const sign = ms < 0 ? '−' : '+'
  const size = Math.abs(ms)
  if (size < 1000) return `${sign}${decimal(Math.round(size), 0)} ms`
  if (size < 120_000) return `${sign}${decimal(size / 1000, size % 1000 < 1 ? 0 : 1)} s`
  return `${sign}${decimal(size / 60_000, size % 60_000 < 1 ? 0 : 1)} min`
}

/** The campaign's signals that this vehicle knows, in the campaign's order; and the names that it does not. */
export function signalsOf(campaign: Pick<Campaign, 'signals'>, known: readonly SignalInfo[]): { found: SignalInfo[]; missing: string[] } {
  const byName = new Map(known.map((s) => [s.fqn, s]))
  const found: SignalInfo[] = []
  const missing: string[] = []
  for (const { fqn } of campaign.signals) {
    const signal = byName.get(fqn)
    if (!signal) missing.push(fqn)
    else if (!/string/i.test(signal.type)) found.push(signal)
  }
  return { found, missing }
}

export function batches<T>(list: readonly T[], size: number): T[][] {
  const out: T[][] = []
  for (let i = 0; i < list.length; i += size) out.push(list.slice(i, i + size))
  return out
}

/** The events of the same campaign just before and after it, in time. The list is newest first. */
export function neighbours(events: readonly VehicleEvent[], campaign: number, trigger: number): { older?: VehicleEvent; newer?: VehicleEvent } {
  let older: VehicleEvent | undefined
  let newer: VehicleEvent | undefined
  for (const e of events) {
    if (e.campaign !== campaign) continue
    const at = parse(e.time)
    if (at < trigger && (!older || at > parse(older.time))) older = e
    if (at > trigger && (!newer || at < parse(newer.time))) newer = e
  }
  return { older, newer }
}

/** The index of what held at a moment: the last sample at or before it. -1: there is none. */
export function indexAt(columns: Columns, ms: number): number {
  let found = -1
  for (let i = 0; i < columns[0].length; i++) {
    if ((columns[0][i] ?? Infinity) * 1000 > ms) break
    if (columns[1][i] !== null) found = i
  }
  return found
}

/** Samples before and from the trigger on: what the vehicle had kept, and what it went on to collect. */
export function sharesOf(columns: readonly Columns[], trigger: number): { before: number; after: number } {
  let before = 0
  let after = 0
  for (const [time, mean] of columns) time.forEach((s, i) => mean[i] !== null && (s * 1000 < trigger ? before++ : after++))
  return { before, after }
}
