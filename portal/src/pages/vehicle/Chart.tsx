// One signal over time. All charts of a page share the crosshair; a drag picks a span, the arrow keys move the crosshair.
import { Show, createEffect, createSignal, on, onCleanup, onMount, type JSX } from 'solid-js'
import X from 'lucide-solid/icons/x'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { signalValue, tickValue, unitName } from '../../format/number'
import { clock, clockMinutes, day, moment } from '../../format/time'
import { serverNow } from '../../live/clock'
import { t } from '../../text/text'
import { theme } from '../../ui/preferences'
import { indexAt, offsetWords } from '../event/event'
import { extent, type Columns } from './chart-data'
import { branch, shortName } from './signal-name'

export interface ChartProps {
  fqn: string
  unit: string
  columns: Columns
  downsampled: boolean
  from: number
  to: number
  colour: number
  valueName: (value: number) => string
  events: number[]
  /** The moment that everything is looked at around: drawn as a line with a flag, and the zero of the time axis. */
  trigger?: number
  onZoom: (from: number, to: number) => void
  onRemove?: () => void
  last: boolean
  /** Of the plot without the time axis, px. */
  height: number
}

const sync = 'vehicle'

export function Chart(props: ChartProps): JSX.Element {
  let box!: HTMLDivElement
  let plot: uPlot | undefined
  const [cursor, setCursor] = createSignal<number | null>(null)
  const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const axisFont = "12px 'Inter Variable', sans-serif"

  const tick = (ms: number): string => (props.trigger !== undefined ? offsetWords(ms - props.trigger) : props.to - props.from > 2 * 86_400_000 ? day(ms) : props.to - props.from < 180_000 ? clock(ms) : clockMinutes(ms))

  /** What came before it lies in a faint shade; a line and a flag stand at it. */
  function drawTrigger(u: uPlot, trigger: number): void {
    const { ctx, bbox } = u
    const x = Math.round(u.valToPos(trigger / 1000, 'x', true))
    const flag = 6 * devicePixelRatio
    ctx.save()
    ctx.fillStyle = `color-mix(in oklch, ${css('--text-faint')} 8%, transparent)`
    ctx.fillRect(bbox.left, bbox.top, Math.max(0, x - bbox.left), bbox.height)
    ctx.strokeStyle = css('--accent-text')
    ctx.fillStyle = css('--accent-text')
    ctx.lineWidth = 2 * devicePixelRatio
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x + flag, bbox.top + flag / 2)
    ctx.lineTo(x, bbox.top + flag)
    ctx.fill()
    ctx.restore()
  }

  /** Ticks at whole distances from the trigger, however odd its own time is. */
  function splits(trigger: number, u: uPlot): number[] {
    const width = (props.to - props.from) / 1000
    const room = Math.max(2, Math.floor(u.bbox.width / devicePixelRatio / 90))
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((s) => width / s <= room) ?? 600
    const out: number[] = []
    for (let k = Math.ceil((props.from - trigger) / 1000 / step); k * step * 1000 <= props.to - trigger; k++) out.push(trigger / 1000 + k * step)
    return out
  }

  function options(): uPlot.Options {
    const line = css(`--series-${(props.colour % 6) + 1}`)
    const axis = { stroke: css('--text-faint'), font: axisFont, grid: { stroke: css('--line'), width: 1 }, ticks: { stroke: css('--line'), width: 1, size: 4 } }
    return {
      width: box.clientWidth || 300,
      height: props.height + (props.last ? 20 : 0),
      padding: [4, 8, 0, 0],
      pxAlign: 1,
      legend: { show: false },
      scales: {
        x: { time: true, range: () => [props.from / 1000, props.to / 1000] },
        y: {
          range: () => {
            const found = extent(props.columns)
            if (!found) return [0, 1]
            const [low, high] = found
            const pad = (high - low || Math.abs(high) * 0.1 || 1) * 0.12
            return [low >= 0 && low - pad < 0 ? 0 : low - pad, high + pad]
          },
        },
      },
      cursor: { sync: { key: sync, setSeries: false }, x: true, y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7, fill: line, stroke: css('--sheet'), width: 2 } },
      axes: [
        { ...axis, show: true, size: props.last ? 28 : 8, ...(props.trigger !== undefined ? { splits: (u: uPlot) => splits(props.trigger ?? 0, u) } : {}), values: (_, ticks) => ticks.map((s) => (props.last ? tick(s * 1000) : '')), space: 80 },
        { ...axis, size: 56, gap: 4, space: 28, values: (_, ticks, _axis, _space, step) => ticks.map((v) => props.valueName(v) || tickValue(v, step)) },
      ],
      bands: [{ series: [3, 2], fill: `color-mix(in oklch, ${line} 22%, transparent)` }],
      series: [
        {},
        { stroke: line, width: 1.6, spanGaps: false, points: { show: (u, _s, a, b) => b - a < u.width / 40, size: 5, fill: line, width: 0 } },
        { stroke: 'transparent', width: 0, spanGaps: false, points: { show: false } },
        { stroke: 'transparent', width: 0, spanGaps: false, points: { show: false } },
      ],
      hooks: {
        setCursor: [(u) => setCursor(u.cursor.idx ?? null)],
        setSelect: [
          (u) => {
            if (u.select.width < 6) return
            const from = u.posToVal(u.select.left, 'x') * 1000
            const to = u.posToVal(u.select.left + u.select.width, 'x') * 1000
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
            props.onZoom(from, to)
          },
        ],
        draw: [
          (u) => {
            const { ctx, bbox } = u
            ctx.save()
            ctx.strokeStyle = css('--accent-text')
            ctx.fillStyle = css('--accent-text')
            ctx.lineWidth = devicePixelRatio
            ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio])
            for (const event of props.events) {
              if (event < props.from || event > props.to) continue
              const x = Math.round(u.valToPos(event / 1000, 'x', true))
              ctx.beginPath()
              ctx.moveTo(x, bbox.top)
              ctx.lineTo(x, bbox.top + bbox.height)
              ctx.stroke()
            }
            ctx.restore()
            if (props.trigger !== undefined) drawTrigger(u, props.trigger)
          },
        ],
      },
    }
  }

  function build(): void {
    plot?.destroy()
    plot = new uPlot(options(), props.columns as uPlot.AlignedData, box)
  }

  onMount(() => {
    build()
    const watch = new ResizeObserver(() => plot && box.clientWidth > 0 && plot.setSize({ width: box.clientWidth, height: plot.height }))
    watch.observe(box)
    onCleanup(() => watch.disconnect())
  })
  onCleanup(() => plot?.destroy())
  createEffect(
    on(
      () => [props.columns, props.from, props.to, props.events, props.trigger] as const,
      () => plot?.setData(props.columns as uPlot.AlignedData),
      { defer: true },
    ),
  )
  createEffect(on([theme, () => props.last, () => props.height, () => props.colour], build, { defer: true }))

  const at = (): number | null => {
    const idx = cursor()
    if (idx !== null && props.columns[1][idx] != null) return idx
    return null
  }
  const shown = (): { value: string; time: string; band: string } | undefined => {
    const [x, mean, low, high] = props.columns
    let idx = at() ?? (props.trigger !== undefined ? indexAt(props.columns, props.trigger) : mean.length - 1)
    while (idx >= 0 && mean[idx] == null) idx--
    const value = mean[idx]
    if (value == null) return undefined
    const ms = (x[idx] ?? 0) * 1000
    const a = low[idx]
    const b = high[idx]
    return {
      value: props.valueName(value) || signalValue(value, '', 'metric'),
      time: props.trigger !== undefined ? (at() === null ? t('event.at') : offsetWords(ms - props.trigger)) : at() === null ? '' : moment(ms, serverNow()),
      band: props.downsampled && a != null && b != null && a !== b ? t('chart.band', { low: signalValue(a, '', 'metric'), high: signalValue(b, '', 'metric') }) : '',
    }
  }
  const summary = (): string => {
    const found = extent(props.columns)
    const span = { name: props.fqn, unit: unitName(props.unit), from: clock(props.from), to: clock(props.to) }
    return found ? t('chart.summary', { ...span, low: signalValue(found[0], '', 'metric'), high: signalValue(found[1], '', 'metric') }) : t('chart.empty.summary', span)
  }
  function key(event: KeyboardEvent): void {
    if (!plot || (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight' && event.key !== 'Escape')) return
    event.preventDefault()
    if (event.key === 'Escape') {
      plot.setCursor({ left: -10, top: -10 })
      return
    }
    const n = props.columns[0].length
    const step = event.shiftKey ? 10 : 1
    const next = Math.max(0, Math.min(n - 1, (cursor() ?? n - 1) + (event.key === 'ArrowLeft' ? -step : step)))
    plot.setCursor({ left: plot.valToPos(props.columns[0][next] ?? 0, 'x'), top: 10 })
  }

  return (
    <figure class="chart">
      <figcaption class="chart-head">
        <span class={`chart-key chart-key-${(props.colour % 6) + 1}`} aria-hidden="true" />
        <span class="chart-name cut" title={props.fqn}>
          {shortName(props.fqn)}
        </span>
        <Show when={props.unit}>
          <span class="faint small">{unitName(props.unit)}</span>
        </Show>
        <span class="chart-branch faint small cut">{branch(props.fqn)}</span>
        <Show when={shown()}>
          {(value) => (
            <span class="chart-value">
              <Show when={value().time}>
                <span class="faint small">{value().time}</span>
              </Show>
              <Show when={value().band}>
                <span class="faint small">{value().band}</span>
              </Show>
              <strong>{value().value}</strong>
            </span>
          )}
        </Show>
        <Show when={props.onRemove}>
          {(remove) => (
            <button class="button quiet icon-only small-button" onClick={() => remove()()} aria-label={t('chart.remove', { name: shortName(props.fqn) })} title={t('chart.remove', { name: shortName(props.fqn) })}>
              <X size={14} />
            </button>
          )}
        </Show>
      </figcaption>
      <div class="chart-box" ref={box} tabindex={0} role="img" aria-label={summary()} onKeyDown={key} />
      <Show when={!props.columns[0].length}>
        <p class="chart-none soft small">{t('chart.none')}</p>
      </Show>
    </figure>
  )
}
