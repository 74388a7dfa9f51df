// One vehicle: what it does now or did at a past moment. Signals, linked charts, the driven way, its device, its events.
import { A, useNavigate, useParams } from '@solidjs/router'
import { For, Show, createEffect, createMemo, createSignal, onCleanup, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { TrackPoint, Vehicle } from '../../api/types'
import { convert, decimal, heading, quantity, unitName, whole } from '../../format/number'
import { age, moment, parse, rfc3339, span } from '../../format/time'
import { second, serverNow } from '../../live/clock'
import { refresh, rowOf, type Row } from '../../live/directory'
import { fleet, tick } from '../../live/fleet'
import { t } from '../../text/text'
import { MotionStatus, Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { eventPath } from '../event/event'
import { MapPanel } from '../map/MapPanel'
import { CampaignPanel } from './CampaignPanel'
import { Chart } from './Chart'
import { columnsOf, type SeriesLike } from './chart-data'
import { DevicePanel } from './DevicePanel'
import { ShadowPanel } from './ShadowPanel'
import { EditVehicle } from './EditVehicle'
import { FleetPanel } from './FleetPanel'
import { SignalTable } from './SignalTable'
import { TemplatePanel } from './TemplatePanel'
import { TimeBar } from './TimeBar'
import { TroubleCodes } from './TroubleCodes'
import { useValues } from './values'
import { windowOf } from './window'
import type { VehicleEvent } from '../../api/types'

const tabs = ['live', 'events', 'campaigns', 'troubles', 'shadow', 'device'] as const
type Tab = (typeof tabs)[number]

/** Signals worth a chart when nobody chose any: what moves the vehicle first. */
const favourites = [/^vehicle\.speed$|wheelbasedvehiclespeed|vehicle_?speed$/i, /(engine|motor)[^.]*\.?speed$|rpm$/i, /stateofcharge|(fuel|tank)[^.]*level|relativelevel|\bsoc\b/i, /torque$|power$/i, /speed$/i]
export function firstCharts(signals: { id: number; fqn: string; type: string }[]): number[] {
  const chosen: number[] = []
  for (const pattern of favourites) {
    const hit = signals.find((s) => s.type !== 'string' && pattern.test(s.fqn) && !chosen.includes(s.id))
    if (hit) chosen.push(hit.id)
  }
  return (chosen.length ? chosen : signals.filter((s) => s.type !== 'string').map((s) => s.id)).slice(0, 3)
}

export default function VehiclePage(): JSX.Element {
  const params = useParams()
  const url = useUrl()
  const navigate = useNavigate()
  const id = (): number => Number(params.id)
  const vehicle = useLoad(
    id,
    (v, signal) => call('vehicle_get', { path: { id: v } }, signal),
    { every: 5000 },
  )
  const known = useLoad(id, (v, signal) => call('vehicle_signals', { path: { id: v } }, signal))
  const events = useLoad(
    id,
    (v, signal) => call('vehicle_events', { path: { id: v }, query: { limit: 500 } }, signal),
    { every: 10_000, key: 'offset' },
  )
  const values = useValues(id)
  const [editing, setEditing] = createSignal(false)
  const tab = (): Tab => tabs.find((name) => name === url.get('tab')) ?? 'live'

  const window = createMemo(() => windowOf(url.get, second()))
  const row = createMemo((): Row | undefined => {
    tick()
    second()
    const facts = vehicle.value()
    return facts ? rowOf(facts) : undefined
  })

  const names = createMemo(() => {
    const found = new Map<number, Map<number, string>>()
    for (const signal of known.value()?.items ?? []) {
      if (signal.values?.length) found.set(signal.id, new Map(signal.values.map((v) => [v.value, v.name])))
    }
    return found
  })
  const valueName = (signal: number, value: number): string => names().get(signal)?.get(value) ?? ''

  const charted = createMemo((): number[] => {
    const chosen = url.get('charts')
    if (chosen === 'none') return []
    if (chosen) return chosen.split(',').map(Number).filter((n) => n > 0).slice(0, 6)
    return firstCharts(values.cells())
  })
  function chart(signal: number, on: boolean): void {
    const next = on ? [...charted(), signal] : charted().filter((s) => s !== signal)
    url.set({ charts: next.length ? next.slice(0, 6).join(',') : 'none' })
  }

  // History is asked again when the choice changes and every few seconds in live mode; the stream fills what lies between.
  const request = createMemo(
    () => {
      const w = window()
      const step = w.live ? Math.max(5000, (w.to - w.from) / 400) : 1
      const to = w.live ? Math.ceil(second() / step) * step : w.to
      return { id: id(), signals: charted().join(','), from: to - (w.to - w.from), to }
    },
    undefined,
    { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) },
  )
  const history = useLoad(
    () => (request().signals ? request() : undefined),
    (input, signal) => call('vehicle_history', { path: { id: input.id }, query: { signals: input.signals, from: rfc3339(input.from), to: rfc3339(input.to), points: 600 } }, signal),
    { key: 'signal' },
  )
  // Keep the last answer for each signal while the next one is on its way.
  const [series, setSeries] = createSignal<ReadonlyMap<number, SeriesLike>>(new Map())
  createEffect(() => {
    const answer = history.value()
    if (!answer) return
    const next = new Map<number, SeriesLike>()
    for (const one of answer.series) next.set(one.signal, { downsampled: one.downsampled, bucket_ms: one.bucket_ms, time: [...one.time], mean: [...one.mean], min: [...one.min], max: [...one.max] })
    setSeries(next)
  })
  const track = useLoad(
    () => ({ id: id(), from: request().from, to: request().to }),
    (input, signal) => call('vehicle_track', { path: { id: input.id }, query: { from: rfc3339(input.from), to: rfc3339(input.to), points: 1500 } }, signal),
    { key: 'time' },
  )
  const trail = createMemo((): TrackPoint[] => {
    const points = [...(track.value()?.points ?? [])]
    const slot = fleet.slotOf.get(id())
    tick()
    if (window().live && slot !== undefined && fleet.known[slot]) {
      points.push({ time: fleet.time[slot] || serverNow(), latitude: fleet.latitude[slot] ?? 0, longitude: fleet.longitude[slot] ?? 0 })
    }
    return points
  })
  const pastPoint = createMemo(() => (window().live ? undefined : track.value()?.points.at(-1)))
  // What a condition triggered is an event worth a mark; a message that comes every second is not.
  const campaigns = useLoad(
    () => may('campaign:read') || undefined,
    (_, signal) => call('campaign_list', signal),
  )
  const eventTimes = createMemo(
    () => {
      const conditions = new Set((campaigns.value()?.items ?? []).filter((c) => c.kind === 'condition').map((c) => c.id))
      return [...new Set((events.value()?.items ?? []).filter((e) => conditions.has(e.campaign)).map((e) => parse(e.time)))].slice(0, 60)
    },
    undefined,
    { equals: (a, b) => a.join() === b.join() },
  )

  const cellOf = (signal: number): { fqn: string; unit: string } => {
    const cell = values.cells().find((c) => c.id === signal) ?? known.value()?.items.find((s) => s.id === signal)
    return { fqn: cell?.fqn ?? t('signals.number', { id: signal }), unit: cell?.unit ?? '' }
  }
  // The charts redraw twice a second at most, however fast values come.
  const [beat, setBeat] = createSignal(0)
  let waiting = false
  createEffect(() => {
    values.arrived()
    if (waiting) return
    waiting = true
    setTimeout(() => {
      waiting = false
      setBeat((n) => n + 1)
    }, 500)
  })

  // The charts share the height they have; on narrow screens the page scrolls and each takes what it needs.
  const [room, setRoom] = createSignal(0)
  function watchCharts(box: HTMLElement): void {
    const watch = new ResizeObserver(() => setRoom(getComputedStyle(box).overflowY === 'auto' ? box.clientHeight : 0))
    watch.observe(box)
    onCleanup(() => watch.disconnect())
  }
  const plotHeight = createMemo(() => (room() ? Math.max(84, Math.min(300, Math.floor((room() - 24) / Math.max(1, charted().length)) - 36)) : 110))

  const eventColumns = (): Column<VehicleEvent>[] => [
    { id: 'time', header: t('column.time'), width: '11rem', cell: (e) => <A href={eventPath(id(), e)} tabindex={-1}>{moment(parse(e.time), second())}</A>, value: (e) => parse(e.time) },
    { id: 'campaign', header: t('column.campaign'), cell: (e) => <A href={`/campaigns/${e.campaign}`}>{e.campaign_name || t('campaign.number', { id: e.campaign })}</A>, value: (e) => e.campaign_name },
    { id: 'samples', header: t('column.samples'), align: 'right', width: '7rem', cell: (e) => whole(e.samples), value: (e) => e.samples },
    { id: 'messages', header: t('column.messages'), align: 'right', width: '7rem', wide: true, cell: (e) => whole(e.messages), value: (e) => e.messages },
    { id: 'delay', header: t('column.delay'), align: 'right', width: '7rem', wide: true, cell: (e) => `${whole(Math.max(0, parse(e.arrival) - parse(e.time)))} ms`, value: (e) => parse(e.arrival) - parse(e.time) },
    { id: 'event', header: t('column.event'), align: 'right', width: '9rem', wide: true, cell: (e) => <span class="code">{String(e.event_id)}</span>, value: (e) => e.event_id },
    { id: 'offset', header: t('column.offset'), align: 'right', width: '9rem', wide: true, hidden: true, cell: (e) => <span class="code">{String(e.offset)}</span>, value: (e) => e.offset },
  ]

  const figures = (v: Vehicle): { name: string; value: string; unit: string }[] => {
    const out: { name: string; value: string; unit: string }[] = []
    const r = row()
    if (r && !Number.isNaN(r.speed)) out.push({ name: t('column.speed'), value: decimal(convert(r.speed, 'km/h'), 0), unit: unitName('km/h') })
    if (v.fuel !== undefined) out.push({ name: t('column.fuel'), value: decimal(v.fuel, 0), unit: '%' })
    if (v.charge !== undefined) out.push({ name: t('column.charge'), value: decimal(v.charge, 0), unit: '%' })
    if (v.odometer !== undefined) out.push({ name: t('column.odometer'), value: whole(convert(v.odometer, 'km')), unit: unitName('km') })
    if (v.ignition !== undefined) out.push({ name: t('column.ignition'), value: v.ignition ? t('word.on') : t('word.off'), unit: '' })
    return out
  }

  return (
    <Show
      when={vehicle.value()}
      fallback={
        <div class="page">
          <Show when={vehicle.error()} fallback={<Skeleton rows={14} />}>
            <Failure error={vehicle.error()} retry={() => void vehicle.again()} />
            <p>
              <A href="/vehicles">{t('page.vehicles')}</A>
            </p>
          </Show>
        </div>
      }
    >
      {(v) => (
        <div class="vehicle">
          <Show when={editing()}>
            <EditVehicle
              vehicle={v()}
              onClose={() => setEditing(false)}
              onDone={() => {
                setEditing(false)
                void Promise.all([vehicle.again(), known.again(), refresh()])
              }}
            />
          </Show>
          <header class="vehicle-head">
            <div class="vehicle-title">
              <p class="crumb small">
                <A href="/vehicles">{t('page.vehicles')}</A>
              </p>
              <h1>{v().name}</h1>
              <p class="summary-line">
                <Show
                  when={window().live}
                  fallback={
                    <Status tone="notice">
                      {t('vehicle.past', { time: moment(window().to, second()) })}
                      <Show when={pastPoint()?.speed !== undefined}>, {quantity(pastPoint()?.speed, 'km/h', 0)}</Show>
                    </Status>
                  }
                >
                  <Show when={row()}>
                    {(r) => (
                      <>
                        <MotionStatus motion={r().motion} late={r().late} />
                        <span class="soft">{Number.isNaN(r().age) ? t('age.never') : t('vehicle.reported', { age: age(r().age) })}</span>
                      </>
                    )}
                  </Show>
                  <Show when={v().position?.heading !== undefined && row()?.motion === 'moving'}>
                    <span class="soft">{t('vehicle.heading', { heading: heading(v().position?.heading ?? 0) })}</span>
                  </Show>
                </Show>
              </p>
            </div>
            <dl class="vehicle-figures">
              <For each={window().live ? figures(v()) : []}>
                {(figure) => (
                  <div>
                    <dt>{figure.name}</dt>
                    <dd>
                      {figure.value}
                      <Show when={figure.unit}>
                        <span class="figure-unit">{figure.unit}</span>
                      </Show>
                    </dd>
                  </div>
                )}
              </For>
            </dl>
            <dl class="vehicle-facts small">
              <div>
                <dt>{t('vehicle.what')}</dt>
                <dd>{[v().make, v().model, v().year].filter(Boolean).join(' ') || '–'}</dd>
              </div>
              <div>
                <dt>{t('column.vin')}</dt>
                <dd class="code">{v().vin || '–'}</dd>
              </div>
              <div>
                <dt>{t('column.manifest')}</dt>
                <dd class="vehicle-manifest">
                  {v().manifest ? <A href={`/signals?manifest=${encodeURIComponent(v().manifest)}`}>{v().manifest}</A> : t('vehicle.manifest.none')}
                  <Show when={may('vehicle:write')}>
                    <button class="link-button" onClick={() => setEditing(true)}>
                      {t('action.edit')}
                    </button>
                  </Show>
                </dd>
              </div>
            </dl>
          </header>
          <nav class="tabs" aria-label={t('vehicle.tabs')}>
            <For each={tabs}>
              {(name) => (
                <button class="tab" aria-current={tab() === name ? 'true' : undefined} onClick={() => url.set({ tab: name === 'live' ? undefined : name })}>
                  {t(`vehicle.tab.${name}`)}
                </button>
              )}
            </For>
          </nav>
          <Show when={tab() === 'live'}>
            <div class="vehicle-live">
              <SignalTable vehicle={id()} cells={values.cells()} window={window()} ready={!!values.latest.value()} error={values.latest.error()} charted={charted()} onChart={chart} valueName={valueName} />
              <div class="vehicle-right">
                <section class="vehicle-map" aria-label={t('page.map')}>
                  <Show when={v().position || trail().length} fallback={<Empty text={t('vehicle.noposition')} />}>
                    <MapPanel
                      shown={(other) => other === id() && window().live}
                      selected={id()}
                      trail={trail()}
                      past={pastPoint()}
                      follow={window().live}
                      view={{ longitude: v().position?.longitude ?? trail()[0]?.longitude ?? 0, latitude: v().position?.latitude ?? trail()[0]?.latitude ?? 0, zoom: 14.5 }}
                    />
                  </Show>
                </section>
                <section class="charts" aria-label={t('chart.title')} ref={watchCharts}>
                  <Failure error={history.error()} stale={series().size > 0} retry={() => void history.again()} />
                  <Show when={charted().length > 0} fallback={<Empty text={values.cells().length ? t('chart.choose') : t('signals.none')} />}>
                    <For each={charted()}>
                      {(signal, i) => (
                        <Chart
                          fqn={cellOf(signal).fqn}
                          unit={cellOf(signal).unit}
                          columns={(beat(), columnsOf(series().get(signal), window().live ? values.tail(signal) : [], window().from, window().to + 1000, (value) => convert(value, cellOf(signal).unit)))}
                          downsampled={series().get(signal)?.downsampled ?? false}
                          from={window().from}
                          to={window().to}
                          colour={i()}
                          valueName={(value) => valueName(signal, value)}
                          events={eventTimes()}
                          onZoom={(from, to) => url.set({ range: 'custom', from: String(Math.round(from)), to: String(Math.round(to)), at: undefined })}
                          onRemove={() => chart(signal, false)}
                          last={i() === charted().length - 1}
                          height={plotHeight()}
                        />
                      )}
                    </For>
                  </Show>
                </section>
              </div>
            </div>
            <TimeBar window={window()} now={second()} onChange={(changes) => url.set(changes)} />
          </Show>
          <Show when={tab() === 'events'}>
            <div class="vehicle-tab">
              <Failure error={events.error()} retry={() => void events.again()} stale={!!events.value()} />
              <Show when={events.value()} fallback={<Show when={!events.error()}><Skeleton rows={8} /></Show>}>
                {(list) => (
                  <Show when={list().items.length > 0} fallback={<Empty text={t('events.none')}><A class="button" href="/campaigns/new">{t('campaign.new')}</A></Empty>}>
                    <Table main tools name="events" label={t('vehicle.tab.events')} rows={list().items} columns={eventColumns()} rowKey={(e) => `${e.offset}.${e.event_id}`} onOpen={(e) => navigate(eventPath(id(), e))} />
                  </Show>
                )}
              </Show>
            </div>
          </Show>
          <Show when={tab() === 'campaigns'}>
            <div class="vehicle-tab">
              <CampaignPanel vehicle={id()} />
              <TemplatePanel vehicle={id()} />
              <FleetPanel vehicle={v()} />
            </div>
          </Show>
          <Show when={tab() === 'troubles'}>
            <div class="vehicle-tab">
              <TroubleCodes vehicle={id()} />
            </div>
          </Show>
          <Show when={tab() === 'shadow'}>
            <div class="vehicle-tab">
              <ShadowPanel thing={v().name} />
            </div>
          </Show>
          <Show when={tab() === 'device'}>
            <div class="vehicle-tab">
              <DevicePanel vehicle={v()} />
              <p class="small soft">
                {t('vehicle.since', { span: span(second() - parse(v().created)) })}{' '}
                <button class="link-button" onClick={() => void refresh()}>
                  {t('action.refresh')}
                </button>
              </p>
            </div>
          </Show>
        </div>
      )}
    </Show>
  )
}
