// The whole signal catalog, page by page; more than this is not needed at once by anybody.
import { call } from '../../api/client'
import type { SignalInfo } from '../../api/types'

const most = 20_000

export async function loadCatalog(filter: string, signal: AbortSignal): Promise<{ items: SignalInfo[]; more: boolean }> {
  const items: SignalInfo[] = []
  let after: string | undefined
  do {
    const page = await call('signal_list', { query: { limit: 1000, after, filter } }, signal)
    items.push(...page.items)
    after = page.next
  } while (after && items.length < most)
  return { items, more: !!after }
}
