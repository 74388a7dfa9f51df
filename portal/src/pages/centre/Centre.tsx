// Command centre: key figures, what has not reported, the fleet as list and map, all linked by one filter.
import { useNavigate } from '@solidjs/router'
import { For, Show, createMemo, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { Overview } from '../../api/types'
import { second, serverNow, serverSaid } from '../../live/clock'
import { failure, rowOf, rows, vehicles, type Row } from '../../live/directory'
import { fleet, silentAfter, tick } from '../../live/fleet'
import { motions, type Motion } from '../../live/frame'
import { bytes, compact, convert, decimal, unitName, whole } from '../../format/number'
import { age, parse, rfc3339, span } from '../../format/time'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Mark, MotionStatus, motionTone, type Tone } from '../../ui/Mark'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { t, word } from '../../text/text'
import { MapPanel } from '../map/MapPanel'
import { FleetFilter, matcher } from './FleetFilter'

export function fleetColumns(): Column<Row>[] {
  return [
    { id: 'name', header: t('column.vehicle'), narrow: '9rem', cell: (row) => <span class="cut cell-name">{row.name}</span>, value: (row) => row.name },
    { id: 'state', header: t('column.state'), width: '7.5rem', narrow: '6.2rem', cell: (row) => <MotionStatus motion={row.motion} late={row.late} />, value: (row) => (row.late ? 'late' : row.motion) },
    { id: 'speed', header: t('column.speed'), unit: unitName('km/h'), align: 'right', width: '6rem', narrow: '5.4rem', cell: (row) => (Number.isNaN(row.speed) ? <span class="faint">–</span> : decimal(convert(row.speed, 'km/h'), 0)), value: (row) => Math.round(convert(row.speed, 'km/h')) },
    { id: 'age', header: t('column.age'), align: 'right', width: '5.5rem', narrow: '3.6rem', cell: (row) => <span class={row.age > 60_000 ? 'stale' : ''}>{Number.isNaN(row.age) ? t('age.never') : span(row.age)}</span>, value: (row) => Math.round(row.age / 1000) },
  ]
}

export function Centre(): JSX.Element {
  const url = useUrl()
  const navigate = useNavigate()
  const overview = useLoad(
    () => true,
    async (_, signal) => {
      const value = await call('overview', signal)
      serverSaid(parse(value.server_time))
      return value
    },
    { every: 2000 },
  )
  const selected = (): number => Number(url.get('vehicle')) || 0
  const all = createMemo(rows)
  const found = createMemo(() => {
    const test = matcher(url.get('q'), url.get('motion'))
    const silentOnly = url.get('silent') === '1'
    return all().filter((row) => test(row) && (!silentOnly || silentRow(row)))
  })
  /** One that never reported counts from the day it was registered. */
  const silentRow = (row: Row): boolean => (Number.isNaN(row.age) ? serverNow() - parse(row.vehicle.created) : row.age) > silentAfter
  const silent = createMemo(() => all().filter(silentRow))
  const shown = createMemo(() => {
    if (!url.get('q') && !url.get('motion') && !url.get('silent')) return undefined
    const ids = new Set(found().map((row) => row.id))
    return (id: number): boolean => ids.has(id)
  })
  const track = useLoad(
    () => selected() || undefined,
    (id, signal) => call('vehicle_track', { path: { id }, query: { from: rfc3339(serverNow() - 15 * 60_000), to: rfc3339(serverNow() + 1000), points: 600 } }, signal),
    { every: 10_000, key: 'time' },
  )

  /** Live counts from the stream once it stands; the overview's until then. */
  const counts = createMemo((): Record<Motion, number> | undefined => {
    tick()
    if (fleet.count === 0) return overview.value()?.counts
    const n: Record<Motion, number> = { unknown: 0, moving: 0, idle: 0, parked: 0, offline: 0 }
    if (vehicles()) for (const row of all()) n[row.motion]++
    else for (let slot = 0; slot < fleet.count; slot++) n[fleet.motionOf(slot)]++
    return n
  })
  const total = (): number => Object.values(counts() ?? {}).length ? motions.reduce((sum, m) => sum + (counts()?.[m] ?? 0), 0) : 0
  const platform = (value: Overview): { name: string; value: string; unit: string; note: string; tone?: Tone }[] => [
    { name: t('figure.messages'), value: compact(Math.round(value.messages_per_s)), unit: t('unit.per_s'), note: t('figure.samples', { n: compact(Math.round(value.samples_per_s)) }) },
    { name: t('figure.connections'), value: whole(value.connections), unit: '', note: t('figure.of', { n: total() || value.counts.vehicles }) },
    { name: t('figure.lag'), value: value.lag_ms < 1000 ? whole(value.lag_ms) : span(value.lag_ms), unit: value.lag_ms < 1000 ? 'ms' : '', note: t('figure.lag.note'), tone: value.lag_ms > 5000 ? 'warning' : undefined },
    { name: t('figure.stored'), value: bytes(value.store_bytes), unit: '', note: t('figure.journal', { size: bytes(value.journal_bytes) }) },
    { name: t('figure.campaigns'), value: whole(value.campaigns_running), unit: '', note: t('figure.running') },
  ]
  const overviewAge = (): number => {
    second()
    return overview.at() ? performance.now() - overview.at() : 0
  }

  return (
    <div class="centre">
      <header class="centre-head">
        <h1>{t('page.centre')}</h1>
        <Show when={overview.error() && overview.value()}>
          <p class="small warn-text" role="status">
            <Mark tone="warning" /> {t('figure.old', { span: span(overviewAge()) })}
          </p>
        </Show>
      </header>
      <Show when={overview.error() && !overview.value()}>
        <Failure error={overview.error()} retry={() => void overview.again()} />
      </Show>
      <section class="figures" aria-label={t('figure.label')}>
        <ul class="figure-states">
          <For each={['moving', 'idle', 'parked', 'offline', 'unknown'] as const}>
            {(motion) => (
              <li classList={{ 'figure-zero': (counts()?.[motion] ?? 0) === 0 && motion === 'unknown' }}>
                <button class="figure figure-button" aria-pressed={url.get('motion') === motion} onClick={() => url.set({ motion: url.get('motion') === motion ? undefined : motion, silent: undefined })}>
                  <span class="figure-name">
                    <Mark tone={motionTone[motion]} />
                    {word('motion', motion)}
                  </span>
                  <span class="figure-value">{counts() ? whole(counts()?.[motion] ?? 0) : <span class="bone" />}</span>
                </button>
              </li>
            )}
          </For>
          <li>
            <button class="figure figure-button" classList={{ 'figure-alarm': silent().length > 0 }} aria-pressed={url.get('silent') === '1'} disabled={silent().length === 0} onClick={() => url.set({ silent: url.get('silent') === '1' ? undefined : '1', motion: undefined })}>
              <span class="figure-name">
                <Mark tone={silent().length > 0 ? 'warning' : 'ok'} />
                {t('figure.silent')}
              </span>
              <span class="figure-value">{vehicles() ? whole(silent().length) : <span class="bone" />}</span>
            </button>
          </li>
        </ul>
        <dl class="figure-platform">
          <Show
            when={overview.value()}
            fallback={
              <For each={[1, 2, 3, 4, 5]}>
                {() => (
                  <div class="figure">
                    <dt class="figure-name">
                      <span class="bone bone-wide" />
                    </dt>
                    <dd class="figure-value">
                      <span class="bone" />
                    </dd>
                  </div>
                )}
              </For>
            }
          >
            {(value) => (
              <For each={platform(value())}>
                {(figure) => (
                  <div class="figure">
                    <dt class="figure-name">
                      <Show when={figure.tone}>{(tone) => <Mark tone={tone()} />}</Show>
                      {figure.name}
                    </dt>
                    <dd class="figure-value">
                      {figure.value}
                      <Show when={figure.unit}>
                        <span class="figure-unit">{figure.unit}</span>
                      </Show>
                      <span class="figure-note">{figure.note}</span>
                    </dd>
                  </div>
                )}
              </For>
            )}
          </Show>
        </dl>
      </section>
      <div class="centre-split">
        <section class="centre-list" aria-label={t('page.vehicles')}>
          <FleetFilter q={url.get('q')} motion={url.get('motion')} onChange={(next) => url.set({ ...next, silent: undefined })} />
          <Show when={silent().length > 0 && url.get('silent') !== '1'}>
            <button class="silent-line" onClick={() => url.set({ silent: '1', motion: undefined, q: undefined })}>
              <Mark tone="warning" />
              <span class="grow">{t('silent.some', { count: silent().length, span: span(silentAfter) })}</span>
              <span class="link">{t('silent.show')}</span>
            </button>
          </Show>
          <Show when={url.get('silent') === '1'}>
            <p class="silent-line">
              <Mark tone="warning" />
              <span class="grow">{t('silent.only', { count: found().length })}</span>
              <button class="button quiet" onClick={() => url.set({ silent: undefined })}>
                {t('silent.all')}
              </button>
            </p>
          </Show>
          <Failure error={vehicles() ? undefined : failure()} />
          <Show when={vehicles()} fallback={<Show when={!failure()}><Skeleton rows={14} /></Show>}>
            <Show
              when={found().length > 0}
              fallback={
                <Empty text={all().length ? t('filter.none') : t('vehicles.none')}>
                  <Show when={all().length}>
                    <button class="button" onClick={() => url.set({ q: undefined, motion: undefined, silent: undefined })}>
                      {t('filter.clear')}
                    </button>
                  </Show>
                </Empty>
              }
            >
              <Table
                main
                name="centre"
                label={t('page.vehicles')}
                rows={found()}
                columns={fleetColumns()}
                rowKey={(row) => row.id}
                sort="name"
                activeKey={selected() || undefined}
                onActive={(row) => url.set({ vehicle: String(row.id) })}
                onOpen={(row) => navigate(`/vehicles/${row.id}`)}
              />
            </Show>
          </Show>
          <p class="centre-foot small soft">
            <Show when={vehicles()?.get(selected())} fallback={t('centre.hint')}>
              {(vehicle) => (
                <>
                  <strong>{vehicle().name}</strong>, {age(rowOf(vehicle()).age || 0)}.{' '}
                  <a href={`/vehicles/${vehicle().id}`}>{t('vehicle.open')}</a>
                </>
              )}
            </Show>
          </p>
        </section>
        <section class="centre-map" aria-label={t('page.map')}>
          <MapPanel shown={shown()} selected={selected()} onSelect={(id) => url.set({ vehicle: id ? String(id) : undefined })} onOpen={(id) => navigate(`/vehicles/${id}`)} trail={track.value()?.points ?? []} />
        </section>
      </div>
    </div>
  )
}
