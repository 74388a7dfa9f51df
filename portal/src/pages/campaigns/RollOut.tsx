// Roll-out: how many vehicles stand where, why, and which. Choosing a count or a reason filters the list; the address remembers it.
import { A, useNavigate } from '@solidjs/router'
import { For, Show, createMemo, type JSX } from 'solid-js'
import Search from 'lucide-solid/icons/search'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { Campaign, CampaignVehicle } from '../../api/types'
import { decimal, whole } from '../../format/number'
import { age, moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { Mark, Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { countsOf, doneOf, filterOf, reasonsOf, shownOf, stateTone, states, type State } from './convergence'

/** As many as the server lists at once. */
const most = 1000

function columns(): Column<CampaignVehicle>[] {
  return [
    { id: 'name', header: t('column.vehicle'), width: '11rem', cell: (v) => <A href={`/vehicles/${v.vehicle}`} tabindex={-1} class="cut cell-name">{v.name}</A>, value: (v) => v.name },
    { id: 'state', header: t('column.state'), width: '7rem', cell: (v) => <Status tone={stateTone[v.state]}>{word('delivery', v.state)}</Status>, value: (v) => states.indexOf(v.state) },
    { id: 'reason', header: t('rollout.reason'), width: '11rem', cell: (v) => <span class="cut" title={v.reason}>{word('reason', v.reason)}</span>, value: (v) => v.reason },
    { id: 'text', header: t('rollout.cure'), wide: true, cell: (v) => <span class="cut" title={v.text}>{v.text ?? ''}</span>, value: (v) => v.text ?? '' },
    { id: 'status', header: t('rollout.fleetwise'), wide: true, hidden: true, width: '11rem', cell: (v) => <span class="code small">{v.status}</span>, value: (v) => v.status },
    { id: 'changed', header: t('column.changed'), align: 'right', width: '7.5rem', cell: (v) => <span class="soft">{v.changed ? moment(parse(v.changed), second()) : t('age.never')}</span>, value: (v) => parse(v.changed) },
  ]
}

export function RollOut(props: { campaign: Campaign }): JSX.Element {
  const navigate = useNavigate()
  const url = useUrl()
  const filter = createMemo(() => filterOf(url.get))
  const list = useLoad(
    () => props.campaign.id,
    (id, signal) => call('campaign_vehicles', { path: { id }, query: { limit: most } }, signal),
    { every: 4000, key: 'vehicle' },
  )
  const all = (): readonly CampaignVehicle[] => list.value()?.items ?? []
  const complete = (): boolean => all().length < most
  const counts = createMemo(() => countsOf(props.campaign, all(), complete()))
  const reasons = createMemo(() => reasonsOf(all()).filter((one) => !filter().state || one.state === filter().state))
  const rows = createMemo(() => shownOf(all(), filter()))
  const done = (): number | undefined => (props.campaign.status === 'running' ? doneOf(props.campaign) : undefined)
  const choose = (state: State): void => url.set({ state: filter().state === state ? undefined : state, reason: undefined })
  const narrowed = (): boolean => !!(filter().state || filter().reason || filter().words)
  return (
    <section class="campaign-vehicles" aria-label={t('rollout.title')}>
      <div class="section-head">
        <h2>{t('rollout.title')}</h2>
        <span class="soft small">
          {done() === undefined ? '' : t('rollout.done', { percent: decimal(done() ?? 0, 1) })}
          <Show when={list.at() > 0}> {t('rollout.asked', { age: (second(), age(performance.now() - list.at())) })}</Show>
        </span>
        <span class="grow" />
        <span class="search">
          <Search size={16} />
          <input data-search type="search" class="input" aria-label={t('rollout.search')} placeholder={t('rollout.search')} value={filter().words} onInput={(event) => url.set({ q: event.currentTarget.value })} />
        </span>
      </div>
      <div class="rollout-counts" role="group" aria-label={t('column.vehiclestate')}>
        <For each={states}>
          {(state) => (
            <button class="rollout-count" aria-pressed={filter().state === state} disabled={counts()[state] === 0 && filter().state !== state} onClick={() => choose(state)}>
              <span class="figure-value">{((n) => (n === undefined ? '–' : whole(n)))(counts()[state])}</span>
              <Status tone={stateTone[state]}>{word('delivery', state)}</Status>
            </button>
          )}
        </For>
      </div>
      <Show when={reasons().length > 0}>
        <ul class="rollout-reasons" aria-label={t('rollout.reasons')}>
          <For each={reasons()}>
            {(one) => (
              <li>
                <button class="rollout-reason" aria-pressed={filter().reason === one.reason && (!filter().state || filter().state === one.state)} title={one.text} onClick={() => url.set(filter().reason === one.reason ? { reason: undefined } : { state: one.state, reason: one.reason })}>
                  <Mark tone={stateTone[one.state]} />
                  <span>{word('reason', one.reason)}</span>
                  <span class="soft">{whole(one.count)}</span>
                </button>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <Show when={!complete()}>
        <p class="page-note small soft">{t('rollout.partly', { shown: whole(all().length), count: props.campaign.vehicles })}</p>
      </Show>
      <Failure error={list.error()} stale={!!list.value()} retry={() => void list.again()} />
      <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={8} /></Show>}>
        <Show
          when={rows().length > 0}
          fallback={
            <Empty text={narrowed() ? t('filter.none') : t(props.campaign.status === 'running' ? 'campaign.novehicles' : 'campaign.idle')}>
              <Show when={narrowed()}>
                <button class="button" onClick={() => url.set({ state: undefined, reason: undefined, q: undefined })}>
                  {t('filter.clear')}
                </button>
              </Show>
            </Empty>
          }
        >
          <Table main tools name="campaign-vehicles" label={t('rollout.title')} rows={rows()} columns={columns()} rowKey={(v) => v.vehicle} sort="state" onOpen={(v) => navigate(`/vehicles/${v.vehicle}`)} />
        </Show>
      </Show>
    </section>
  )
}
