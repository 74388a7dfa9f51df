// Search and state filter of the fleet; shared by command centre, map and vehicles, kept in the address.
import { For, type JSX } from 'solid-js'
import Search from 'lucide-solid/icons/search'
import type { Row } from '../../live/directory'
import { motions } from '../../live/frame'
import { t, word } from '../../text/text'

export function matcher(q: string, motion: string): (row: Row) => boolean {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean)
  return (row) => {
    if (motion && row.motion !== motion) return false
    if (!words.length) return true
    const text = `${row.name} ${row.vehicle.vin} ${row.vehicle.make} ${row.vehicle.model} ${row.vehicle.kind}`.toLowerCase()
    return words.every((w) => text.includes(w))
  }
}

export function FleetFilter(props: { q: string; motion: string; onChange: (next: { q?: string; motion?: string }) => void }): JSX.Element {
  return (
    <div class="filter" role="search">
      <span class="search">
        <Search size={16} />
        <input data-search type="search" class="input" placeholder={t('filter.search')} aria-label={t('filter.search')} value={props.q} onInput={(event) => props.onChange({ q: event.currentTarget.value })} />
      </span>
      <select class="input filter-state" aria-label={t('filter.state')} onChange={(event) => props.onChange({ motion: event.currentTarget.value })}>
        <option value="" selected={!props.motion}>
          {t('filter.any')}
        </option>
        <For each={motions}>
          {(motion) => (
            <option value={motion} selected={props.motion === motion}>
              {word('motion', motion)}
            </option>
          )}
        </For>
      </select>
    </div>
  )
}
