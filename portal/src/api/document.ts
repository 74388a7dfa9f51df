// FleetWise documents as they come from the API: read with care, because they are whatever a client once wrote.
import type { FleetwiseDocument, FleetwiseList } from './types'

export const textOf = (d: FleetwiseDocument, key: string): string => {
  const value = d[key]
  return typeof value === 'string' ? value : ''
}

/** FleetWise counts seconds since 1970. NaN: not stated. */
export function timeOf(d: FleetwiseDocument, key: string): number {
  const value = d[key]
  return typeof value === 'number' ? value * 1000 : typeof value === 'string' ? Date.parse(value) : NaN
}

export const nameOfArn = (arn: string): string => arn.slice(arn.lastIndexOf('/') + 1)

/** All pages of a list, at most so many items. */
export async function pages(ask: (after: string | undefined) => Promise<FleetwiseList>, most = 20_000): Promise<{ items: FleetwiseDocument[]; more: boolean }> {
  const items: FleetwiseDocument[] = []
  let after: string | undefined
  do {
    const page = await ask(after)
    items.push(...page.items)
    after = page.next
  } while (after && items.length < most)
  return { items, more: !!after }
}
