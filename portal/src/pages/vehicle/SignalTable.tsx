// The vehicle's signals: value, unit, age; old values fade and carry their age. At a past moment: the last sample before it.
import { For, Show, createMemo, createSignal, type JSX } from 'solid-js'
import Search from 'lucide-solid/icons/search'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { signalValue, unitName } from '../../format/number'
import { clock, rfc3339, span } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Empty, Failure } from '../../ui/Notice'
import { branch, shortName } from './signal-name'
import type { Cell, Value } from './values'
import type { Window } from './window'

/** A value older than this is drawn as stale. */
const staleAfter = 30_000
/** How far before a past moment a sample may lie to count as its value. */
const lookBack = 120_000

function usePast(vehicle: () => number, cells: () => Cell[], window: () => Window): (signal: number) => Value | undefined {
  const [bucket, setBucket] = createSignal<{ vehicle: number; at: number; ids: string }>()
  let timer: ReturnType<typeof setTimeout> | undefined
  createMemo(() => {
    const at = window().live ? 0 : window().to
    const ids = cells().map((cell) => cell.id).join(',')
    clearTimeout(timer)
    if (at) timer = setTimeout(() => setBucket({ vehicle: vehicle(), at, ids }), 200)
  })
  const loaded = useLoad(bucket, async (input, signal) => {
    const all = input.ids.split(',').filter(Boolean)
    const found: Record<number, Value> = {}
    for (let i = 0; i < all.length; i += 16) {
      const part = await call('vehicle_history', { path: { id: input.vehicle }, query: { signals: all.slice(i, i + 16).join(','), from: rfc3339(input.at - lookBack), to: rfc3339(input.at + 1), points: 5000 } }, signal)
      for (const series of part.series) {
        const last = series.time.length - 1
        // A bucket's mean is not a sample: without single samples there is nothing to show.
        if (last >= 0 && !series.downsampled) found[series.signal] = { number: series.mean[last] ?? NaN, text: '', time: series.time[last] ?? 0 }
      }
    }
    return { found }
  })
  return (signal) => loaded.value()?.found[signal]
}

export function SignalTable(props: {
  vehicle: number
  cells: Cell[]
  window: Window
  ready: boolean
  error: Parameters<typeof Failure>[0]['error']
  charted: number[]
  onChart: (id: number, on: boolean) => void
  valueName: (signal: number, value: number) => string
}): JSX.Element {
  const [query, setQuery] = createSignal('')
  const found = createMemo(() => {
    const words = query().toLowerCase().split(/\s+/).filter(Boolean)
    return props.cells.filter((cell) => words.every((w) => cell.fqn.toLowerCase().includes(w)))
  })
  const past = usePast(
    () => props.vehicle,
    () => props.cells,
    () => props.window,
  )
  return (
    <section class="signals" aria-label={t('signals.title')}>
      <div class="section-head">
        <h2>{props.window.live ? t('signals.title') : t('signals.past', { time: clock(props.window.to) })}</h2>
        <span class="search search-small">
          <Search size={14} />
          <input data-search type="search" class="input" aria-label={t('signals.search')} placeholder={t('signals.search')} value={query()} onInput={(event) => setQuery(event.currentTarget.value)} />
        </span>
      </div>
      <Failure error={props.error} stale={props.ready} />
      <div class="signals-scroll" tabindex={0} role="group" aria-label={t('signals.title')}>
        <Show when={found().length > 0} fallback={<Show when={props.ready} fallback={<div class="skeleton-pad" />}><Empty text={query() ? t('signals.nomatch') : t('signals.none')} /></Show>}>
          <table class="signals-table">
            <thead>
              <tr>
                <th scope="col" class="signals-pick">
                  <span class="hidden-text">{t('signals.chart')}</span>
                </th>
                <th scope="col">{t('column.signal')}</th>
                <th scope="col" class="right">
                  {t('column.value')}
                </th>
                <th scope="col">{t('column.unit')}</th>
                <th scope="col" class="right">
                  {t('column.age')}
                </th>
              </tr>
            </thead>
            <tbody>
              <For each={found()}>
                {(cell) => {
                  const value = (): Value | undefined => (props.window.live ? cell.value() : past(cell.id))
                  const old = (): number => {
                    second()
                    const time = value()?.time
                    return time === undefined ? NaN : Math.max(0, (props.window.live ? second() : props.window.to) - time)
                  }
                  const isText = (): boolean => Number.isNaN(cell.value().number) && !!cell.value().text
                  const text = (): string => {
                    const now = value()
                    if (!now) return '–'
                    return now.text || props.valueName(cell.id, now.number) || signalValue(now.number, cell.unit, undefined, /latitude|longitude/i.test(cell.fqn) ? 5 : undefined)
                  }
                  return (
                    <tr classList={{ 'is-stale': old() > staleAfter }}>
                      <td class="signals-pick">
                        <input type="checkbox" checked={props.charted.includes(cell.id)} disabled={isText() || (props.charted.length >= 6 && !props.charted.includes(cell.id))} aria-label={t('signals.chartone', { name: cell.fqn })} onChange={(event) => props.onChart(cell.id, event.currentTarget.checked)} />
                      </td>
                      <th scope="row" title={cell.fqn}>
                        <span class="signals-name">{shortName(cell.fqn)}</span>
                        <span class="signals-branch faint">{branch(cell.fqn)}</span>
                      </th>
                      <td class="right signals-value">{text()}</td>
                      <td class="soft signals-unit">{unitName(cell.unit)}</td>
                      <td class="right signals-age">
                        <Show when={!Number.isNaN(old())} fallback={<span class="faint">{t('signals.nosample')}</span>}>
                          <span classList={{ badge: old() > staleAfter }}>{span(old())}</span>
                        </Show>
                      </td>
                    </tr>
                  )
                }}
              </For>
            </tbody>
          </table>
        </Show>
      </div>
    </section>
  )
}
