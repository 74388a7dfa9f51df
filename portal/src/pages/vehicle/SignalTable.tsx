// The vehicle's signals: value, unit, age; old values fade and carry their age. At a past moment: the last sample before it.
import { For, Show, createMemo, createSignal, type JSX } from 'solid-js'
import Search from 'lucide-solid/icons/search'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { signalValue, unitName } from '../../format/number'
import { clock, rfc3339, span } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { CopyCsv } from '../../ui/CopyCsv'
import { csvOf } from '../../ui/csv'
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
  const valueOf = (cell: Cell): Value | undefined => (props.window.live ? cell.value() : past(cell.id))
  const csv = (): string =>
    csvOf(
      [
        { header: t('column.signal'), value: (cell: Cell) => cell.fqn },
        { header: t('column.value'), value: (cell) => valueOf(cell)?.text || (valueOf(cell)?.number ?? NaN) },
        { header: t('column.unit'), value: (cell) => cell.unit },
        { header: t('column.time'), value: (cell) => (valueOf(cell) ? rfc3339(valueOf(cell)?.time ?? 0) : '') },
      ],
      found(),
    )
  // One stop for Tab; the arrow keys walk the rows, Space charts.
  const [active, setActive] = createSignal<number>()
  const tabRow = (): number | undefined => (found().some((cell) => cell.id === active()) ? active() : found()[0]?.id)
  function key(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
    const boxes = [...event.currentTarget.querySelectorAll<HTMLInputElement>('tbody input')]
    const at = boxes.indexOf(event.target as HTMLInputElement)
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: boxes.length - 1, PageDown: at + 10, PageUp: at - 10 }
    const to = steps[event.key]
    if (at < 0 || to === undefined) return
    event.preventDefault()
    boxes[Math.max(0, Math.min(boxes.length - 1, to))]?.focus()
  }
  return (
    <section class="signals" aria-label={t('signals.title')}>
      <div class="section-head">
        <h2>{props.window.live ? t('signals.title') : t('signals.past', { time: clock(props.window.to) })}</h2>
        <span class="search search-small">
          <Search size={14} />
          <input data-search type="search" class="input" aria-label={t('signals.search')} placeholder={t('signals.search')} value={query()} onInput={(event) => setQuery(event.currentTarget.value)} />
        </span>
        <CopyCsv text={csv} rows={found().length} brief />
      </div>
      <Failure error={props.error} stale={props.ready} />
      <div class="signals-scroll" tabindex={found().length ? undefined : 0} role="group" aria-label={t('signals.title')} onKeyDown={key}>
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
                  const value = (): Value | undefined => valueOf(cell)
                  // A box that is full refuses instead of leaving the order of the rows.
                  const full = (): boolean => props.charted.length >= 6 && !props.charted.includes(cell.id)
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
                        <input type="checkbox" checked={props.charted.includes(cell.id)} aria-disabled={isText() || full() || undefined} tabindex={tabRow() === cell.id ? 0 : -1} aria-label={t('signals.chartone', { name: cell.fqn })} title={isText() ? t('signals.istext') : full() ? t('signals.full') : undefined} onFocus={() => setActive(cell.id)}
                          onClick={(event) => (isText() || full()) && event.preventDefault()}
                          onChange={(event) => props.onChart(cell.id, event.currentTarget.checked)}
                        />
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
