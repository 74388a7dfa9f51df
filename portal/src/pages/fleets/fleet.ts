// Fleets as the portal knows them: FleetWise's documents with plain names.
import { call } from '../../api/client'
import { nameOfArn, pages, textOf, timeOf } from '../../api/document'
import type { FleetwiseDocument } from '../../api/types'

export interface Fleet {
  id: string
  description: string
  catalog: string
  /** ms; NaN: not stated */
  created: number
}

export function fleetOf(d: FleetwiseDocument): Fleet {
  // Answers call it id, requests fleetId.
  return { id: textOf(d, 'id') || textOf(d, 'fleetId'), description: textOf(d, 'description'), catalog: nameOfArn(textOf(d, 'signalCatalogArn')), created: timeOf(d, 'creationTime') }
}

export async function loadFleets(signal: AbortSignal): Promise<{ items: Fleet[]; more: boolean }> {
  const found = await pages((after) => call('fleet_list', { query: { limit: 1000, after } }, signal))
  return { items: found.items.map(fleetOf), more: found.more }
}

/** Names of the vehicles in a fleet. */
export async function loadMembers(fleet: string, signal: AbortSignal): Promise<{ items: string[]; more: boolean }> {
  const items: string[] = []
  let after: string | undefined
  do {
    const page = await call('fleet_vehicles', { path: { fleet }, query: { limit: 1000, after } }, signal)
    items.push(...page.items)
    after = page.next
  } while (after && items.length < 100_000)
  return { items, more: !!after }
}

export const fleetIdValid = (id: string): boolean => /^[A-Za-z0-9_:-]{1,100}$/.test(id)

/** Names from a text field: one a line, or separated by commas, spaces or semicolons; each once, in their order. */
export const namesOf = (text: string): string[] => [...new Set(text.split(/[\s,;]+/).filter(Boolean))]
