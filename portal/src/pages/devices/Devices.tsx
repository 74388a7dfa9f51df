// MQTT clients and what happened to their connections, in words.
import { A, useNavigate } from '@solidjs/router'
import { Show, createMemo, type JSX } from 'solid-js'
import Search from 'lucide-solid/icons/search'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { Client } from '../../api/types'
import { whole } from '../../format/number'
import { parse, span } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { EventList } from './EventList'
import { clientPath, limitedSum } from './client'

const most = 5000

async function allClients(signal: AbortSignal): Promise<{ items: Client[]; more: boolean }> {
  const items: Client[] = []
  let after: string | undefined
  do {
    const page = await call('client_list', { query: { limit: 1000, after } }, signal)
    items.push(...page.items)
    after = page.next
  } while (after && items.length < most)
  return { items, more: !!after }
}

function columns(): Column<Client>[] {
  const since = (c: Client): number => second() - parse(c.connected ? c.connected_at : c.disconnected_at)
  return [
    { id: 'client', header: t('connection.client'), cell: (c) => <A href={clientPath(c.client_id)} tabindex={-1} class="code cut">{c.client_id}</A>, value: (c) => c.client_id },
    { id: 'state', header: t('column.state'), width: '9rem', cell: (c) => <Status tone={c.connected ? 'ok' : 'offline'}>{c.connected ? t('device.connected') : t('device.away')}</Status>, value: (c) => (c.connected ? 'connected' : 'away') },
    { id: 'since', header: t('device.since'), align: 'right', width: '7rem', cell: (c) => (Number.isNaN(since(c)) ? '–' : span(since(c))), value: (c) => Math.round(since(c) / 1000) },
    { id: 'address', header: t('device.address'), wide: true, width: '10rem', cell: (c) => <span class="code">{c.address}</span>, value: (c) => c.address },
    { id: 'version', header: t('device.version'), wide: true, hidden: true, width: '5.5rem', cell: (c) => c.version, value: (c) => c.version },
    { id: 'received', header: t('connection.received'), align: 'right', wide: true, width: '7.5rem', cell: (c) => whole(c.received), value: (c) => c.received },
    { id: 'delivered', header: t('connection.delivered'), align: 'right', wide: true, hidden: true, width: '7.5rem', cell: (c) => whole(c.delivered), value: (c) => c.delivered },
    { id: 'refused', header: t('connection.refused'), align: 'right', wide: true, hidden: true, width: '6.5rem', cell: (c) => whole(c.refused), value: (c) => c.refused },
    { id: 'limited', header: t('limited.column'), align: 'right', wide: true, width: '6.5rem', cell: (c) => whole(limitedSum(c)), value: limitedSum },
    { id: 'queued', header: t('device.queued'), align: 'right', wide: true, width: '6rem', cell: (c) => whole(c.queued + c.inflight), value: (c) => c.queued + c.inflight },
    { id: 'error', header: t('device.error'), wide: true, cell: (c) => <span class="cut">{c.last_error ?? ''}</span>, value: (c) => c.last_error ?? '' },
  ]
}

export default function Devices(): JSX.Element {
  const url = useUrl()
  const navigate = useNavigate()
  const clients = useLoad(
    () => true,
    (_, signal) => allClients(signal),
    { every: 5000, key: 'client_id' },
  )
  const events = useLoad(
    () => true,
    (_, signal) => call('connection_events', { query: { limit: 200 } }, signal),
    { every: 3000, key: 'none' },
  )
  const found = createMemo(() => {
    const q = url.get('q').toLowerCase()
    return (clients.value()?.items ?? []).filter((c) => !q || `${c.client_id} ${c.thing} ${c.address} ${c.last_error ?? ''}`.toLowerCase().includes(q))
  })
  const connected = (): number => (clients.value()?.items ?? []).filter((c) => c.connected).length
  return (
    <div class="page page-fill">
      <header class="page-head">
        <h1>{t('page.devices')}</h1>
        <Show when={clients.value()}>{(value) => <p class="soft page-note">{t('device.summary', { connected: connected(), count: value().items.length })}</p>}</Show>
        <span class="grow" />
        <span class="search">
          <Search size={16} />
          <input data-search type="search" class="input" aria-label={t('device.search')} placeholder={t('device.search')} value={url.get('q')} onInput={(event) => url.set({ q: event.currentTarget.value })} />
        </span>
        <Show when={may('trace:write')}>
          <A class="button" href="/devices/trace">
            {t('trace.title')}
          </A>
        </Show>
      </header>
      <div class="devices">
        <section class="devices-list" aria-label={t('device.clients')}>
          <Failure error={clients.error()} retry={() => void clients.again()} stale={!!clients.value()} />
          <Show when={clients.value()} fallback={<Show when={!clients.error()}><Skeleton rows={12} /></Show>}>
            <Show when={found().length > 0} fallback={<Empty text={url.get('q') ? t('filter.none') : t('device.none')} />}>
              <Table main tools name="devices" label={t('device.clients')} rows={found()} columns={columns()} rowKey={(c) => c.client_id} sort="client" onOpen={(c) => navigate(clientPath(c.client_id))} />
            </Show>
          </Show>
          <Show when={clients.value()?.more}>
            <p class="small soft">{t('device.more', { count: most })}</p>
          </Show>
        </section>
        <section class="devices-events" aria-label={t('event.title')}>
          <div class="section-head">
            <h2>{t('event.title')}</h2>
          </div>
          <Failure error={events.error()} stale={!!events.value()} />
          <Show when={events.value()} fallback={<Show when={!events.error()}><Skeleton rows={10} /></Show>}>
            {(value) => <EventList events={value().items} empty={t('event.none')} />}
          </Show>
        </section>
      </div>
    </div>
  )
}
