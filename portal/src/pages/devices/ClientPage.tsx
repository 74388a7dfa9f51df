// One MQTT client: how it is connected, what waits for it, how fast it talks, and why its connections ended.
import { A } from '@solidjs/router'
import { For, Show, createEffect, createMemo, createSignal, on, untrack, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { Client } from '../../api/types'
import { dash, decimal, whole } from '../../format/number'
import { age, dateTime, moment, parse, span } from '../../format/time'
import { second } from '../../live/clock'
import { vehicles } from '../../live/directory'
import { t } from '../../text/text'
import { Mark, Status } from '../../ui/Mark'
import { Failure, Skeleton } from '../../ui/Notice'
import { useUrl } from '../../ui/url'
import { EventList, takeOverWords } from './EventList'
import { ratesOf, takeOverOf, tracePath, type Rates, type Reading } from './client'

const every = 2000

function Figures(props: { client: Client; rates: Rates | undefined }): JSX.Element {
  const rate = (value: number | undefined): string => (value === undefined ? dash : decimal(value, value >= 100 ? 0 : 1))
  const figures = (): [string, string, string][] => [
    [t('client.rate.in'), rate(props.rates?.received), t('client.persecond')],
    [t('client.rate.out'), rate(props.rates?.delivered), t('client.persecond')],
    [t('client.queue'), whole(props.client.queued), t('client.messages')],
    [t('client.inflight'), whole(props.client.inflight), t('client.messages')],
    [t('connection.subscriptions'), whole(props.client.subscriptions), ''],
  ]
  return (
    <dl class="client-figures">
      <For each={figures()}>
        {([name, value, unit]) => (
          <div>
            <dt>{name}</dt>
            <dd>
              {value}
              <Show when={unit}>
                <span class="figure-unit">{unit}</span>
              </Show>
            </dd>
          </div>
        )}
      </For>
    </dl>
  )
}

function Facts(props: { client: Client; rates: Rates | undefined }): JSX.Element {
  const facts = (): [string, string][] => {
    const c = props.client
    second()
    return [
      [t('device.address'), c.address || dash],
      [t('device.version'), c.version],
      [t('connection.keepalive'), c.keep_alive ? `${whole(c.keep_alive)} s` : t('client.nokeepalive')],
      [t('connection.session'), c.clean ? t('connection.clean') : t('connection.kept')],
      [t('client.connected'), c.connected_at ? dateTime(parse(c.connected_at)) : dash],
      [t('client.disconnected'), c.disconnected_at ? dateTime(parse(c.disconnected_at)) : dash],
      [t('connection.packet'), c.last_packet ? age(second() - parse(c.last_packet)) : dash],
      [t('connection.received'), whole(c.received)],
      [t('connection.delivered'), whole(c.delivered)],
      [t('connection.refused'), whole(c.refused)],
      [t('device.error'), c.last_error ?? t('client.noerror')],
    ]
  }
  return (
    <>
      <dl class="facts">
        <For each={facts()}>
          {([name, value]) => (
            <div>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          )}
        </For>
      </dl>
      <p class="small soft">{props.rates ? t('client.over', { span: decimal(props.rates.over / 1000, 1) }) : t('client.norate')}</p>
    </>
  )
}

function Limits(props: { client: Client }): JSX.Element {
  return (
    <section class="client-limits" aria-label={t('limited.title')}>
      <h2>{t('limited.title')}</h2>
      <Show when={props.client.limited.length} fallback={<p class="small soft">{t('limited.none')}</p>}>
        <dl class="facts">
          <For each={props.client.limited}>
            {(l) => (
              <div>
                <dt>{l.meaning}</dt>
                <dd>
                  {whole(l.count)} <span class="code soft">{l.cause}</span>
                </dd>
              </div>
            )}
          </For>
        </dl>
      </Show>
    </section>
  )
}

export default function ClientPage(): JSX.Element {
  const url = useUrl()
  const id = (): string | undefined => url.get('id') || undefined
  const detail = useLoad(id, (client_id, signal) => call('client_detail', { query: { client_id } }, signal), { every, key: 'none' })
  const gone = (): boolean => detail.error()?.status === 404 || !id()
  // Who was refused or has no session any more may still stand in the events of all.
  const others = useLoad(
    () => (gone() && id() ? id() : undefined),
    async (client_id, signal) => ({ items: (await call('connection_events', { query: { limit: 500 } }, signal)).items.filter((e) => e.client_id === client_id) }),
    { key: 'none' },
  )
  const [rates, setRates] = createSignal<Rates>()
  let before: Reading | undefined
  createEffect(on(id, () => (before = undefined), { defer: true }))
  createEffect(
    on(detail.at, (at) => {
      const c = untrack(() => detail.value()?.client)
      if (!c || !at) return
      const reading = { at, received: c.received, delivered: c.delivered, connected_at: c.connected_at }
      setRates(ratesOf(before, reading))
      before = reading
    }),
  )
  const shown = createMemo(() => (gone() ? undefined : detail.value()))
  const events = (): ReturnType<typeof others.value> => (gone() ? others.value() : detail.value() && { items: detail.value()?.events ?? [] })
  const takeOvers = createMemo(() => (events()?.items ?? []).map(takeOverOf).filter((x) => x !== undefined))
  const vehicle = createMemo(() => [...(vehicles()?.values() ?? [])].find((v) => v.name === shown()?.client.thing))
  return (
    <div class="page page-fill">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/devices">{t('page.devices')}</A>
          </p>
          <h1>{id() ?? t('client.unnamed')}</h1>
          <Show when={shown()}>
            {(d) => (
              <p class="summary-line">
                <Status tone={d().client.connected ? 'ok' : 'offline'}>
                  {d().client.connected ? t('device.connected') : t('device.away')}
                  {', '}
                  {t('client.since', { span: span(second() - parse(d().client.connected ? d().client.connected_at : d().client.disconnected_at)) })}
                </Status>
                <Show when={vehicle()}>{(v) => <A href={`/vehicles/${v().id}?tab=device`}>{t('target.vehicle', { name: v().name })}</A>}</Show>
              </p>
            )}
          </Show>
        </div>
        <span class="grow" />
        <Show when={may('trace:write') && id()}>
          {(client) => (
            <A class="button" href={tracePath(client())}>
              {t('trace.this')}
            </A>
          )}
        </Show>
      </header>
      <Failure error={detail.error()} retry={() => void detail.again()} stale={!!shown()} />
      <Show when={takeOvers()[0]}>
        {(last) => (
          <div class="client-alarm" role="status">
            <Mark tone="warning" />
            <div>
              <p>
                <strong>{takeOverWords(last())}</strong>
              </p>
              <p class="small soft">
                {t('takeover.count', { count: takeOvers().length, time: moment(parse(last().time), second()) })} {last().sameHost ? t('takeover.again.cure') : t('takeover.two.cure')}
              </p>
            </div>
          </div>
        )}
      </Show>
      <Show when={shown() || events()} fallback={<Show when={!detail.error() && id()}><Skeleton rows={10} /></Show>}>
        <div class="client" classList={{ 'client-gone': !shown() }}>
          <Show when={shown()}>
            {(d) => (
              <section class="client-facts" aria-label={t('connection.title')}>
                <Figures client={d().client} rates={rates()} />
                <Facts client={d().client} rates={rates()} />
                <Limits client={d().client} />
              </section>
            )}
          </Show>
          <section class="devices-events" aria-label={t('event.title')}>
            <div class="section-head">
              <h2>{t('event.title')}</h2>
            </div>
            <Show when={events()}>{(value) => <EventList events={value().items} of={id()} empty={t('event.none.client')} />}</Show>
          </section>
        </div>
      </Show>
    </div>
  )
}
