// How far a campaign has come: its vehicles counted by state and by reason, and the ones that a filter in the address picks.
import type { Campaign, CampaignVehicle } from '../../api/types'
import type { Tone } from '../../ui/Mark'

export type State = CampaignVehicle['state']
/** The worst first: what needs a person stands where it is seen. */
export const states: State[] = ['refused', 'pending', 'healthy', 'none']
export const stateTone: Record<State, Tone> = { healthy: 'ok', pending: 'notice', refused: 'critical', none: 'offline' }

export interface Reason {
  state: State
  reason: string
  count: number
  /** What it means, as the server says of the first such vehicle. */
  text: string
}

export interface Filter {
  state: State | ''
  reason: string
  words: string
}

export function filterOf(get: (name: string) => string): Filter {
  const state = states.find((s) => s === get('state')) ?? ''
  return { state, reason: get('reason'), words: get('q') }
}

/** Whole numbers of the campaign where the server counts them; of the list only what nobody else counts. */
export function countsOf(c: Pick<Campaign, 'status' | 'vehicles' | 'healthy' | 'pending' | 'refused'>, list: readonly CampaignVehicle[], complete: boolean): Record<State, number | undefined> {
  const listed = (state: State): number => list.filter((v) => v.state === state).length
  if (complete) return { healthy: listed('healthy'), pending: listed('pending'), refused: listed('refused'), none: listed('none') }
  return { healthy: c.healthy, pending: c.pending, refused: c.refused, none: undefined }
}

/** Per mille, rounded down: a roll-out is done when it is, not when it is nearly. */
export function doneOf(c: Pick<Campaign, 'vehicles' | 'healthy'>): number | undefined {
  return c.vehicles > 0 ? Math.floor((Math.min(c.healthy, c.vehicles) * 1000) / c.vehicles) / 10 : undefined
}

export function reasonsOf(list: readonly CampaignVehicle[]): Reason[] {
  const found = new Map<string, Reason>()
  for (const v of list) {
    const key = `${v.state} ${v.reason}`
    const one = found.get(key)
    if (one) one.count++
    else found.set(key, { state: v.state, reason: v.reason, count: 1, text: v.text ?? '' })
  }
  return [...found.values()].sort((a, b) => states.indexOf(a.state) - states.indexOf(b.state) || b.count - a.count || (a.reason < b.reason ? -1 : 1))
}

export function shownOf(list: readonly CampaignVehicle[], filter: Filter): CampaignVehicle[] {
  const words = filter.words.toLowerCase().split(/\s+/).filter(Boolean)
  return list.filter((v) => {
    if (filter.state && v.state !== filter.state) return false
    if (filter.reason && v.reason !== filter.reason) return false
    const text = `${v.name} ${v.text ?? ''} ${v.reason}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
}
