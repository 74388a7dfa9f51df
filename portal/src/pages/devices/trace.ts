// What a live trace shows: rows as the server gave them, newest first, at most so many. Pure.
import type { TraceEntry, TraceEntryList } from '../../api/types'

export const mostRows = 1000

export interface Seen {
  /** Newest first. */
  rows: TraceEntry[]
  /** Sequence of the last entry seen; 0 before the first. */
  after: number
  /** Entries that the server had to drop before they were read. */
  missed: number
}

export const nothingSeen: Seen = { rows: [], after: 0, missed: 0 }

export function taken(seen: Seen, reply: TraceEntryList): Seen {
  const fresh = reply.items.filter((e) => e.sequence > seen.after)
  const last = fresh[fresh.length - 1]
  if (!last && !reply.missed) return seen
  return { rows: last ? [...fresh.reverse(), ...seen.rows].slice(0, mostRows) : seen.rows, after: last?.sequence ?? seen.after, missed: seen.missed + reply.missed }
}

/** "0a 1b ff": bytes are easier to count apart. */
export const spaced = (hex: string): string => hex.replace(/..(?=.)/g, '$& ')

/** How many bytes of the payload are shown. */
export function shownBytes(e: TraceEntry): number {
  return e.hex !== undefined ? e.hex.length / 2 : new TextEncoder().encode(e.text ?? '').length
}

/** MQTT 5.0, 4.7.1: "#" only as the last level, "+" only as a whole level; nothing empty, no U+0000. */
export function filterValid(filter: string): boolean {
  if (!filter || filter.includes('\0') || new TextEncoder().encode(filter).length > 1024) return false
  const levels = filter.split('/')
  return levels.every((level, i) => (level.includes('#') ? level === '#' && i === levels.length - 1 : !level.includes('+') || level === '+'))
}
