// What happened around a trigger: the campaign's signals before and after it, on one time axis with the trigger at zero.
import { A, useParams } from '@solidjs/router'
import { For, Show, createEffect, createMemo, createSignal, onCleanup, type JSX } from 'solid-js'
import ChevronLeft from 'lucide-solid/icons/chevron-left'
import ChevronRight from 'lucide-solid/icons/chevron-right'
import Search from 'lucide-solid/icons/search'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { Series, SignalInfo, VehicleEvent } from '../../api/types'
import { convert, whole } from '../../format/number'
import { momentMs, parse, rfc3339, span } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { SelectField } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { useUrl } from '../../ui/url'
import { triggerWords } from '../campaigns/parts'
import { Chart } from '../vehicle/Chart'
import { columnsOf, type Columns } from '../vehicle/chart-data'
import { batches, eventPath, most, neighbours, perRequest, reaches, sharesOf, signalsOf, windowOf, type Reach } from './event'

/** How long after an event its samples may still come in. */
const settling = 120_000

export default function EventPage(): JSX.Element {
  const params = useParams()
  const url = useUrl()
  const id = (): number => Number(params.id)
  const campaignId = (): number => Number(url.get('campaign'))
  const [words, setWords] = createSignal('')
  const vehicle = useLoad(id, (v, signal) => call('vehicle_get', { path: { id: v } }, signal))
  const known = useLoad(id, (v, signal) => call('vehicle_signals', { path: { id: v } }, signal))
  const campaign = useLoad(
    () => (may('campaign:read') && campaignId() > 0 ? campaignId() : undefined),
    (c, signal) => call('campaign_get', { path: { id: c } }, signal),
    { key: 'fqn' },
  )
  const events = useLoad(
    id,
    (v, signal) => call('vehicle_events', { path: { id: v }, query: { limit: 500 } }, signal),
    { every: 10_000, key: 'offset' },
  )
  const window = createMemo(() => (campaign.value() || campaign.error() ? windowOf(url.get, campaign.value()) : undefined))
  const event = createMemo(() => events.value()?.items.find((e) => e.campaign === campaignId() && String(e.event_id) === url.get('event') && parse(e.time) === window()?.trigger))
  const beside = createMemo(() => neighbours(events.value()?.items ?? [], campaignId(), window()?.trigger ?? 0))
  const signals = createMemo(() => (campaign.value() && known.value() ? signalsOf(campaign.value() ?? { signals: [] }, known.value()?.items ?? []) : undefined))
  const charted = createMemo(() => {
    const sought = words().toLowerCase().split(/\s+/).filter(Boolean)
    return (signals()?.found ?? []).filter((s) => sought.every((word) => `${s.fqn} ${s.description}`.toLowerCase().includes(word))).slice(0, most)
  })

  // Samples of an event arrive for a while after it: asked again until that is over.
  const [beat, setBeat] = createSignal(0)
  createEffect(() => {
    const w = window()
    if (!w) return
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible' && second() < w.to + settling) setBeat((n) => n + 1)
    }, 3000)
    onCleanup(() => clearInterval(timer))
  })
  const history = useLoad(
    () => {
      const w = window()
      const list = charted()
      return w && list.length ? { id: id(), signals: list.map((s) => s.id), from: w.from, to: w.to, beat: beat() } : undefined
    },
    async (input, signal): Promise<{ series: Series[] }> => {
      const parts = await Promise.all(batches(input.signals, perRequest).map((part) => call('vehicle_history', { path: { id: input.id }, query: { signals: part.join(','), from: rfc3339(input.from), to: rfc3339(input.to + 1), points: 2000 } }, signal)))
      return { series: parts.flatMap((part) => part.series) }
    },
    { key: 'signal' },
  )
  // The last answer stays while the next one is on its way: charts must not blink every three seconds.
  const [series, setSeries] = createSignal<ReadonlyMap<number, Series>>(new Map())
  createEffect(() => {
    const answer = history.value()
    if (answer) setSeries(new Map(answer.series.map((s) => [s.signal, { ...s, time: [...s.time], mean: [...s.mean], min: [...s.min], max: [...s.max] }])))
  })
  const columns = createMemo(() => {
    const w = window()
    const out = new Map<number, Columns>()
    if (w) for (const s of charted()) out.set(s.id, columnsOf(series().get(s.id), [], w.from, w.to, (value) => convert(value, s.unit)))
    return out
  })
  const shares = createMemo(() => sharesOf([...columns().values()], window()?.trigger ?? 0))
  const bare = createMemo(() => charted().filter((s) => !columns().get(s.id)?.[0].length))
  const drawn = createMemo(() => charted().filter((s) => columns().get(s.id)?.[0].length))
  const valueName = (s: SignalInfo, value: number): string => s.values?.find((v) => v.value === value)?.name ?? ''
  const reachChoices = (): { value: string; label: string }[] => reaches.map((ms) => ({ value: String(ms), label: span(ms) }))
  const step = (e: VehicleEvent | undefined): string | undefined => (e ? `${eventPath(id(), e)}${url.get('before') ? `&before=${url.get('before')}` : ''}${url.get('after') ? `&after=${url.get('after')}` : ''}` : undefined)

  return (
    <div class="page page-fill event-page">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/vehicles">{t('page.vehicles')}</A> <A href={`/vehicles/${id()}?tab=events`}>{vehicle.value()?.name ?? t('vehicle.number', { id: id() })}</A>
          </p>
          <h1>{campaign.value()?.name ?? event()?.campaign_name ?? t('campaign.number', { id: campaignId() })}</h1>
          <Show when={window()}>
            {(w) => (
              <p class="summary-line">
                <span>{t('event.triggered', { time: momentMs(w().trigger, second()) })}</span>
                <Show when={campaign.value()}>{(c) => <A class="soft" href={`/campaigns/${c().id}`}>{triggerWords(c())}</A>}</Show>
                <Show when={event()}>{(e) => <span class="soft">{t('event.arrived', { ms: whole(Math.max(0, parse(e().arrival) - parse(e().time))), count: e().samples })}</span>}</Show>
              </p>
            )}
          </Show>
        </div>
        <span class="grow" />
        <nav class="deeds" aria-label={t('event.beside')}>
          <Show when={step(beside().older)} fallback={<span class="button" aria-disabled="true"><ChevronLeft size={16} />{t('event.older')}</span>}>
            {(href) => <A class="button" href={href()}><ChevronLeft size={16} />{t('event.older')}</A>}
          </Show>
          <Show when={step(beside().newer)} fallback={<span class="button" aria-disabled="true">{t('event.newer')}<ChevronRight size={16} /></span>}>
            {(href) => <A class="button" href={href()}>{t('event.newer')}<ChevronRight size={16} /></A>}
          </Show>
        </nav>
      </header>
      <Failure error={vehicle.error()} retry={() => void vehicle.again()} />
      <Failure error={campaign.error()} retry={() => void campaign.again()} />
      <Failure error={known.error()} retry={() => void known.again()} />
      <Show when={url.get('at') !== '' && may('campaign:read')} fallback={<Empty text={t('event.unknown')}><A class="button" href={`/vehicles/${id()}?tab=events`}>{t('vehicle.tab.events')}</A></Empty>}>
        <Show when={window()} fallback={<Show when={!campaign.error()}><Skeleton rows={10} /></Show>}>
          {(w) => (
            <>
              <Show when={campaign.value()?.kind === 'condition'}>
                <pre class="expression-shown event-expression" tabindex={0}>
                  {campaign.value()?.expression}
                </pre>
              </Show>
              <div class="event-tools">
                <SelectField label={t('event.before')} value={String(w().before)} choices={reachChoices()} onChange={(ms) => url.set({ before: ms })} />
                <SelectField label={t('event.after')} value={String(w().after)} choices={reachChoices()} onChange={(ms) => url.set({ after: ms })} />
                <span class="search">
                  <Search size={16} />
                  <input data-search type="search" class="input" aria-label={t('signals.search')} placeholder={t('signals.search')} value={words()} onInput={(e) => setWords(e.currentTarget.value)} />
                </span>
                <p class="soft small grow" role="status">
                  {t('event.shares', { before: whole(shares().before), after: whole(shares().after) })}
                  <Show when={second() < w().to + settling}> {t('event.settling')}</Show>
                </p>
              </div>
              <Failure error={history.error()} stale={series().size > 0} retry={() => void history.again()} />
              <div class="event-charts">
                <Show when={signals() && (history.value() || charted().length === 0)} fallback={<Show when={!history.error() && !campaign.error() && !known.error()}><Skeleton rows={10} /></Show>}>
                  <Show when={drawn().length > 0} fallback={<Empty text={words() ? t('signals.nomatch') : t('event.nosample')} />}>
                    <For each={drawn()}>
                      {(s, i) => (
                        <Chart
                          fqn={s.fqn}
                          unit={s.unit}
                          columns={columns().get(s.id) ?? [[], [], [], []]}
                          downsampled={series().get(s.id)?.downsampled ?? false}
                          from={w().from}
                          to={w().to}
                          colour={i()}
                          valueName={(value) => valueName(s, value)}
                          events={[]}
                          trigger={w().trigger}
                          onZoom={(from, to) => {
                            // A drag narrows both reaches to what holds it; the trigger always stays in the picture.
                            const reach = (ms: number): Reach => reaches.find((r) => r >= ms) ?? 600_000
                            url.set({ before: String(reach(w().trigger - from)), after: String(reach(to - w().trigger)) })
                          }}
                          last={i() === 0 || i() === drawn().length - 1 /* the axis stands where one looks first, and below all */}
                          height={110}
                        />
                      )}
                    </For>
                  </Show>
                  <Show when={bare().length > 0}>
                    <p class="small soft event-bare">
                      {t('event.bare', { count: bare().length, names: bare().slice(0, 8).map((s) => s.fqn).join(', ') })}
                    </p>
                  </Show>
                  <Show when={signals()?.missing.length}>
                    <p class="small soft event-bare">
                      <Status tone="notice">{t('event.missing', { count: signals()?.missing.length ?? 0, names: (signals()?.missing ?? []).slice(0, 8).join(', ') })}</Status>
                    </p>
                  </Show>
                </Show>
              </div>
            </>
          )}
        </Show>
      </Show>
    </div>
  )
}
