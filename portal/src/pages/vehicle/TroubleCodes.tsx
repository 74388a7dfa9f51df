// The vehicle's trouble codes with their history: which are set now, since when, how often they came back.
import { For, Show, createMemo, createSignal, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { TroubleCode } from '../../api/types'
import { whole } from '../../format/number'
import { dateTime, moment, parse, span } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { Segments } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'

/** How long it has stood, or stood before it was cleared. */
export function stoodFor(code: Pick<TroubleCode, 'first' | 'cleared' | 'active'>, now: number): string {
  const end = code.active ? now : parse(code.cleared)
  const ms = end - parse(code.first)
  return Number.isFinite(ms) ? span(ms) : '–'
}

function Detail(props: { code: TroubleCode }): JSX.Element {
  const facts = (): [string, string][] => [
    [t('dtc.meaning'), props.code.text || t('dtc.nomeaning')],
    [t('dtc.system'), word('dtc.system', props.code.system)],
    [t('dtc.from'), t(props.code.generic ? 'dtc.generic' : 'dtc.own')],
    [t('dtc.ecu'), props.code.ecu || t('dtc.obd')],
    [t('dtc.first'), dateTime(parse(props.code.first))],
    [t('dtc.last'), dateTime(parse(props.code.last))],
    ...(props.code.cleared ? ([[t('dtc.cleared'), dateTime(parse(props.code.cleared))]] as [string, string][]) : []),
    [t('dtc.reports'), whole(props.code.reports)],
    [t('dtc.episodes'), whole(props.code.episodes)],
  ]
  return (
    <section class="dtc-detail" aria-label={props.code.code}>
      <h2 class="code">{props.code.code}</h2>
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
      <Show when={props.code.snapshot}>
        <h3>{t('dtc.snapshot')}</h3>
        <code class="dtc-bytes">{props.code.snapshot}</code>
      </Show>
      <Show when={props.code.extended}>
        <h3>{t('dtc.extended')}</h3>
        <code class="dtc-bytes">{props.code.extended}</code>
      </Show>
    </section>
  )
}

const keyOf = (c: TroubleCode): string => `${c.code} ${c.ecu}`

export function TroubleCodes(props: { vehicle: number }): JSX.Element {
  const url = useUrl()
  const [chosen, setChosen] = createSignal<string>()
  const state = (): 'active' | 'any' => (url.get('codes') === 'any' ? 'any' : 'active')
  const list = useLoad(
    () => ({ id: props.vehicle, state: state() }),
    (input, signal) => call('vehicle_trouble_codes', { path: { id: input.id }, query: { state: input.state, limit: 500 } }, signal),
    { every: 10_000, key: 'code' },
  )
  const detail = createMemo(() => list.value()?.items.find((c) => keyOf(c) === chosen()))
  const columns = (): Column<TroubleCode>[] => [
    { id: 'code', header: t('dtc.code'), width: '7rem', cell: (c) => <span class="code">{c.code}</span>, value: (c) => c.code },
    { id: 'state', header: t('column.state'), width: '7rem', cell: (c) => <Status tone={c.active ? 'warning' : 'offline'}>{t(c.active ? 'dtc.active' : 'dtc.gone')}</Status>, value: (c) => (c.active ? 0 : 1) },
    { id: 'text', header: t('dtc.meaning'), cell: (c) => <span class="cut" title={c.text}>{c.text || t('dtc.nomeaning')}</span>, value: (c) => c.text },
    { id: 'ecu', header: t('dtc.ecu'), wide: true, width: '8rem', cell: (c) => <span class="cut soft">{c.ecu || t('dtc.obd')}</span>, value: (c) => c.ecu },
    { id: 'stood', header: t('dtc.stood'), align: 'right', wide: true, width: '8rem', cell: (c) => <span class="soft">{stoodFor(c, second())}</span>, value: (c) => (c.active ? second() : parse(c.cleared)) - parse(c.first) },
    { id: 'episodes', header: t('dtc.episodes'), align: 'right', width: '7rem', cell: (c) => whole(c.episodes), value: (c) => c.episodes },
    { id: 'last', header: t('dtc.last'), align: 'right', width: '10rem', cell: (c) => <span class="soft">{moment(parse(c.last), second())}</span>, value: (c) => parse(c.last) },
  ]
  return (
    <>
      <div class="section-head">
        <h2>{t('dtc.title')}</h2>
        <span class="grow" />
        <Segments label={t('dtc.show')} hideLabel value={state()} choices={[{ value: 'active', label: t('dtc.show.active') }, { value: 'any', label: t('dtc.show.any') }]} onChange={(value) => url.set({ codes: value === 'any' ? value : undefined })} />
      </div>
      <Failure error={list.error()} stale={!!list.value()} retry={() => void list.again()} />
      <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={5} /></Show>}>
        {(value) => (
          <Show when={value().items.length > 0} fallback={<Empty text={t(state() === 'active' ? 'dtc.none.active' : 'dtc.none')} />}>
            <div class="dtc">
              <Table main tools name="trouble-codes" label={t('dtc.title')} rows={value().items} columns={columns()} rowKey={keyOf} activeKey={chosen()} sort="state" onActive={(c) => setChosen(keyOf(c))} />
              <Show when={detail()} fallback={<p class="soft catalog-none">{t('dtc.choose')}</p>}>
                {(code) => <Detail code={code()} />}
              </Show>
            </div>
          </Show>
        )}
      </Show>
    </>
  )
}
