// Which span of time the vehicle page shows: a range that ends now or at a past moment, or a span of its own.
export const ranges = { '15m': 15 * 60_000, '1h': 3_600_000, '6h': 6 * 3_600_000, '24h': 24 * 3_600_000 } as const
export type Range = keyof typeof ranges | 'custom'

export interface Window {
  range: Range
  from: number
  to: number
  live: boolean
}

export function isRange(text: string): text is Range {
  return text === 'custom' || text in ranges
}

/** From the address: range, at (ms; absent: live), from and to (ms) for a span of its own. Nonsense falls back to live. */
export function windowOf(get: (name: string) => string, now: number): Window {
  const named = get('range')
  const range: Range = isRange(named) ? named : '15m'
  const number = (name: string): number => (get(name) === '' ? NaN : Number(get(name)))
  if (range === 'custom') {
    const from = number('from')
    const to = number('to')
    if (Number.isFinite(from) && Number.isFinite(to) && to - from >= 1000) return { range, from, to, live: false }
    return { range: '15m', from: now - ranges['15m'], to: now, live: true }
  }
  const at = number('at')
  const live = !(Number.isFinite(at) && at > 0 && at < now)
  const to = live ? now : at
  return { range, from: to - ranges[range], to, live }
}
