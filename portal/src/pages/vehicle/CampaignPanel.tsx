// Where each campaign stands on this vehicle and why, what its agent says of itself, and what was wrong with its messages.
import { A } from '@solidjs/router'
import { For, Show, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { VehicleAgent, VehicleCampaign, VehicleTrouble } from '../../api/types'
import { whole } from '../../format/number'
import { age, moment, parse, span } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { stateTone, states } from '../campaigns/convergence'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'

/** Below this a clock is right enough for starts, ends and time stamps. */
const skewAllowed = 2000

export function skewWords(ms: number): string {
  if (Math.abs(ms) < skewAllowed) return t('agent.clock.right')
  return t(ms > 0 ? 'agent.clock.ahead' : 'agent.clock.behind', { span: span(Math.abs(ms)) })
}

function Agent(props: { agent: VehicleAgent }): JSX.Element {
  const facts = (): [string, string][] => [
    [t('agent.kind'), t(`agent.kind.${props.agent.kind}`)],
    [t('agent.checkin'), age(second() - parse(props.agent.checkin))],
    [t('agent.clock'), skewWords(props.agent.clock_skew_ms)],
    [t('agent.documents'), whole(props.agent.documents)],
    ...(props.agent.unknown ? ([[t('agent.unknown'), t('agent.unknown.some', { count: props.agent.unknown, first: props.agent.first_unknown ?? '' })]] as [string, string][]) : []),
    ...(props.agent.dropped ? ([[t('agent.dropped'), whole(props.agent.dropped)]] as [string, string][]) : []),
  ]
  const same = (): boolean => props.agent.manifest === props.agent.wanted_manifest
  return (
    <dl class="facts">
      <For each={facts()}>
        {([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        )}
      </For>
      <div>
        <dt>{t('column.manifest')}</dt>
        <dd>
          <Status tone={same() ? 'ok' : 'warning'}>{same() ? (props.agent.manifest ? t('agent.manifest.right') : t('vehicle.manifest.none')) : t('agent.manifest.wrong', { has: props.agent.manifest ?? t('vehicle.manifest.none'), wanted: props.agent.wanted_manifest ?? t('vehicle.manifest.none') })}</Status>
        </dd>
      </div>
    </dl>
  )
}

function troubleColumns(): Column<VehicleTrouble>[] {
  return [
    { id: 'text', header: t('trouble.what'), cell: (x) => <span class="cut" title={x.kind}>{x.text}</span>, value: (x) => x.text },
    { id: 'count', header: t('trouble.count'), align: 'right', width: '7rem', cell: (x) => whole(x.count), value: (x) => x.count },
    { id: 'last', header: t('trouble.last'), align: 'right', width: '10rem', cell: (x) => moment(parse(x.last), second()), value: (x) => parse(x.last) },
  ]
}

export function CampaignPanel(props: { vehicle: number }): JSX.Element {
  const list = useLoad(
    () => (may('campaign:read') ? props.vehicle : undefined),
    (id, signal) => call('vehicle_campaigns', { path: { id } }, signal),
    { every: 5000, key: 'id' },
  )
  const columns = (): Column<VehicleCampaign>[] => [
    { id: 'name', header: t('column.campaign'), width: '14rem', narrow: '7.5rem', cell: (c) => <Show when={c.id} fallback={<span class="cut">{c.name || t('rollout.deleted')}</span>}><A class="cut cell-name" href={`/campaigns/${c.id}`}>{c.name}</A></Show>, value: (c) => c.name },
    { id: 'state', header: t('column.state'), width: '8rem', narrow: '6rem', cell: (c) => <Status tone={stateTone[c.state]}>{word('delivery', c.state)}</Status>, value: (c) => states.indexOf(c.state) },
    { id: 'reason', header: t('rollout.reason'), width: '12rem', narrow: '7.5rem', cell: (c) => <span class="cut" title={c.text}>{word('reason', c.reason)}</span>, value: (c) => c.reason },
    { id: 'text', header: t('rollout.cure'), wide: true, cell: (c) => <span class="cut" title={c.text}>{c.text ?? ''}</span>, value: (c) => c.text ?? '' },
  ]
  return (
    <Show when={may('campaign:read')}>
      <section class="panel" aria-label={t('page.campaigns')}>
        <div class="section-head">
          <h2>{t('page.campaigns')}</h2>
        </div>
        <Failure error={list.error()} stale={!!list.value()} retry={() => void list.again()} />
        <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={4} /></Show>}>
          {(value) => (
            <>
              <Show when={value().items.length > 0} fallback={<Empty text={t('vehicle.nocampaign')} />}>
                <Table name="vehicle-campaigns" height="auto" label={t('page.campaigns')} rows={value().items} columns={columns()} rowKey={(c) => `${c.id} ${c.name}`} sort="state" />
              </Show>
              <h3>{t('agent.title')}</h3>
              <Show when={value().agent} fallback={<p class="soft">{t('agent.never')}</p>}>
                {(agent) => <Agent agent={agent()} />}
              </Show>
              <Show when={value().troubles.length > 0}>
                <h3>{t('trouble.title')}</h3>
                <Table name="vehicle-troubles" height="auto" label={t('trouble.title')} rows={value().troubles} columns={troubleColumns()} rowKey={(x) => x.kind} sort="last" sortDown />
              </Show>
            </>
          )}
        </Show>
      </section>
    </Show>
  )
}
