// A campaign tried on what is stored, before any vehicle hears of it: what would trigger, how much would come, what that costs.
import { A } from '@solidjs/router'
import { For, Show, createSignal, onCleanup, onMount, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import type { CampaignDryRun, CampaignDryRunTrigger, CampaignDryRunVehicle } from '../../api/types'
import { bytes, whole } from '../../format/number'
import { momentMs, parse, rfc3339 } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { Segments } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { dailyOf, spans, triedOf, vehicleTone, type Figure, type Span } from './trial'

function vehicleColumns(): Column<CampaignDryRunVehicle>[] {
  return [
    { id: 'name', header: t('column.vehicle'), width: '10rem', narrow: '7.5rem', cell: (v) => <A href={`/vehicles/${v.vehicle}`} tabindex={-1} class="cut cell-name">{v.name}</A>, value: (v) => v.name },
    { id: 'state', header: t('column.state'), narrow: '7.5rem', cell: (v) => <span class="cut" title={v.text}><Status tone={vehicleTone[v.state]}>{word('try.state', v.state)}</Status> <span class="soft">{v.text ?? ''}</span></span>, value: (v) => v.state },
    { id: 'data', header: t('try.data'), align: 'right', width: '8rem', wide: true, cell: (v) => t('try.data.of', { some: v.with_data, all: v.signals }), value: (v) => v.with_data },
    { id: 'triggers', header: t('try.triggers'), align: 'right', width: '5.5rem', cell: (v) => whole(v.triggers), value: (v) => v.triggers },
    { id: 'rows', header: t('try.rows'), align: 'right', width: '6rem', wide: true, cell: (v) => whole(v.rows), value: (v) => v.rows },
    { id: 'bytes', header: t('cost.bytes'), align: 'right', width: '6.5rem', wide: true, cell: (v) => bytes(v.bytes), value: (v) => v.bytes },
  ]
}

function Figures(props: { title: string; list: Figure[] }): JSX.Element {
  return (
    <div>
      <h3>{props.title}</h3>
      <dl class="try-figures">
        <For each={props.list}>
          {(figure) => (
            <div>
              <dt>{figure.name}</dt>
              <dd>{figure.value}</dd>
            </div>
          )}
        </For>
      </dl>
    </div>
  )
}

/** The moments at which it would have triggered; each leads to the vehicle at that moment. */
function Triggers(props: { run: CampaignDryRun }): JSX.Element {
  const name = (one: CampaignDryRunTrigger): string => props.run.vehicles.find((v) => v.vehicle === one.vehicle)?.name ?? t('vehicle.number', { id: one.vehicle })
  return (
    <details class="try-triggers">
      <summary>{t('try.when', { shown: props.run.trigger_list.length, count: props.run.triggers })}</summary>
      <ul class="warnings" tabindex={0} aria-label={t('try.triggers')}>
        <For each={props.run.trigger_list}>
          {(one) => (
            <li>
              <A href={`/vehicles/${one.vehicle}?at=${parse(one.time)}`}>{momentMs(parse(one.time), second())}</A> <span class="soft">{t('try.when.line', { name: name(one), rows: whole(one.rows), bytes: bytes(one.bytes) })}</span>
            </li>
          )}
        </For>
      </ul>
    </details>
  )
}

interface Props {
  id: number
  /** Tried as soon as it is shown. */
  atOnce?: boolean
  /** What must happen before: nothing, or that a changed draft is saved. False: it was refused. */
  before?: () => Promise<boolean>
  /** Said beside the button, when there is something to say. */
  note?: string | undefined
}

export function TryPanel(props: Props): JSX.Element {
  const [over, setOver] = createSignal<Span>('day')
  const [run, setRun] = createSignal<CampaignDryRun>()
  const [busy, setBusy] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  let asked: AbortController | undefined
  onCleanup(() => asked?.abort())
  async function go(): Promise<void> {
    if (busy()) return
    setBusy(true)
    setError(undefined)
    const mine = (asked = new AbortController())
    try {
      if (props.before && !(await props.before())) return
      const to = second()
      setRun(await call('campaign_dry_run', { path: { id: props.id }, body: { from: rfc3339(to - spans[over()]), to: rfc3339(to), most: 25, triggers: 100 } }, mine.signal))
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    } finally {
      setBusy(false)
    }
  }
  onMount(() => {
    if (props.atOnce) void go()
  })
  const empty = (r: CampaignDryRun): boolean => r.vehicles.every((v) => v.state === 'no_data' || v.state === 'not_reached')
  return (
    <section class="try" aria-label={t('try.title')}>
      <div class="section-head">
        <h2>{t('try.title')}</h2>
      </div>
      <p class="soft small">{t('try.what')}</p>
      <div class="try-ask">
        <Segments label={t('try.over')} hideLabel value={over()} choices={(Object.keys(spans) as Span[]).map((value) => ({ value, label: t(`try.over.${value}`) }))} onChange={setOver} />
        <button type="button" class="button" disabled={busy()} onClick={() => void go()}>
          {t(busy() ? 'try.busy' : 'try.do')}
        </button>
        <Show when={props.note}>
          <span class="soft small">{props.note}</span>
        </Show>
      </div>
      <Failure error={error()} stale={!!run()} retry={() => void go()} />
      <Show when={run()} fallback={<Show when={busy()}><Skeleton rows={3} /></Show>}>
        {(r) => (
          <div class="try-result" aria-busy={busy()} role="status">
            <Show when={!empty(r())} fallback={<Empty text={t(r().targeted === 0 ? 'reach.nobody' : 'try.nodata', { count: r().targeted })} />}>
              <Show when={!r().complete}>
                <Status tone="notice">{t('try.cut')}</Status>
              </Show>
              <div class="try-sums">
                <Figures title={t('try.looked', { count: r().vehicles.length, targeted: whole(r().targeted) })} list={triedOf(r())} />
                <Figures title={t('try.daily', { count: r().targeted })} list={dailyOf(r())} />
              </div>
              <Show when={r().bytes > 0 && r().money === 0}>
                <p class="soft small">{t('cost.noprice')}</p>
              </Show>
              <Show when={r().trigger_list.length > 0}>
                <Triggers run={r()} />
              </Show>
            </Show>
            <Table name="try-vehicles" height="auto" label={t('column.vehicles')} rows={r().vehicles} columns={vehicleColumns()} rowKey={(v) => v.vehicle} sort="triggers" sortDown />
          </div>
        )}
      </Show>
    </section>
  )
}
