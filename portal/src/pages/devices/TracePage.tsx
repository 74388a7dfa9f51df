// Messages as they pass, live: from clients, to clients, and those that were refused with the reason. Ends when it is left.
import { A } from '@solidjs/router'
import { Show, createMemo, createSignal, onCleanup, onMount, type JSX } from 'solid-js'
import ArrowIn from 'lucide-solid/icons/arrow-right-to-line'
import ArrowOut from 'lucide-solid/icons/arrow-left-from-line'
import { ApiError, call } from '../../api/client'
import { may } from '../../api/session'
import type { TraceEntry } from '../../api/types'
import { whole } from '../../format/number'
import { clockMs, parse } from '../../format/time'
import { t, word } from '../../text/text'
import { TextField } from '../../ui/Field'
import { Mark, Status } from '../../ui/Mark'
import { Empty, Failure } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { clientPath } from './client'
import { filterValid, mostRows, nothingSeen, shownBytes, spaced, taken, type Seen } from './trace'

const every = 400
const perRead = 200
/** The longest a trace may last; it ends before when the page is left. */
const seconds = 3600

function Direction(props: { kind: TraceEntry['kind'] }): JSX.Element {
  return (
    <span class="trace-kind">
      {props.kind === 'refused' ? <Mark tone="critical" /> : props.kind === 'in' ? <ArrowIn size={14} aria-hidden="true" /> : <ArrowOut size={14} aria-hidden="true" />}
      {word('trace.kind', props.kind)}
    </span>
  )
}

const payload = (e: TraceEntry): string => e.text ?? (e.hex === undefined ? '' : spaced(e.hex))

function columns(): Column<TraceEntry>[] {
  return [
    { id: 'time', header: t('column.time'), width: '7.5rem', narrow: '7.25rem', cell: (e) => <span class="code">{clockMs(parse(e.time))}</span>, value: (e) => e.time },
    { id: 'kind', header: t('trace.kind'), width: '6.5rem', narrow: '6.25rem', cell: (e) => <Direction kind={e.kind} />, value: (e) => e.kind },
    { id: 'qos', header: t('trace.qos'), align: 'right', wide: true, width: '4.5rem', cell: (e) => e.qos, value: (e) => e.qos },
    { id: 'client', header: t('connection.client'), wide: true, width: '10rem', cell: (e) => <A href={clientPath(e.client_id)} tabindex={-1} class="code cut">{e.client_id}</A>, value: (e) => e.client_id },
    { id: 'topic', header: t('trace.topic'), cell: (e) => <span class="code cut cut-start" title={e.topic}><bdi dir="ltr">{e.topic}</bdi></span>, value: (e) => e.topic },
    { id: 'size', header: t('trace.size'), unit: 'B', align: 'right', wide: true, width: '5.5rem', cell: (e) => whole(e.size), value: (e) => e.size },
    {
      id: 'payload', header: t('trace.payload'), wide: true,
      cell: (e) => (
        <span class="cut" title={e.note}>
          <Show when={e.note}>
            <strong class="trace-note">{e.note}</strong>{' '}
          </Show>
          <span class="code">{payload(e)}</span>
        </span>
      ),
      value: (e) => [e.note, payload(e)].filter(Boolean).join(' | '),
    },
  ]
}

function Entry(props: { entry: TraceEntry }): JSX.Element {
  const e = (): TraceEntry => props.entry
  return (
    <div class="trace-entry">
      <p class="summary-line">
        <Direction kind={e().kind} />
        <span>{clockMs(parse(e().time))}</span>
        <span>{t('trace.qos.is', { qos: e().qos })}</span>
        <Show when={e().retain}>
          <span>{t('trace.retained')}</span>
        </Show>
        <A class="code" href={clientPath(e().client_id)}>{e().client_id}</A>
      </p>
      <p class="code trace-topic">{e().topic}</p>
      <Show when={e().note}>
        <p class="trace-note">{e().note}</p>
      </Show>
      <Show when={e().size > 0} fallback={<p class="soft small">{t('trace.empty')}</p>}>
        <p class="soft small">
          {t(e().hex === undefined ? 'trace.text' : 'trace.hex', { count: e().size })} {shownBytes(e()) < e().size ? t('trace.cut', { count: shownBytes(e()) }) : ''}
        </p>
        <pre class="trace-payload" tabindex={0} role="region" aria-label={t('trace.payload')}>{payload(e())}</pre>
      </Show>
    </div>
  )
}

type State = 'off' | 'starting' | 'on' | 'ended'

export default function TracePage(): JSX.Element {
  const url = useUrl()
  const [filter, setFilter] = createSignal(url.get('filter') || '#')
  const [client, setClient] = createSignal(url.get('client'))
  const [sample, setSample] = createSignal(url.get('sample') || '1')
  const [tried, setTried] = createSignal(false)
  const [state, setState] = createSignal<State>('off')
  const [error, setError] = createSignal<ApiError>()
  const [seen, setSeen] = createSignal<Seen>(nothingSeen)
  const [frozen, setFrozen] = createSignal<Seen>()
  const [chosen, setChosen] = createSignal<TraceEntry>()
  let id: number | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let left = false

  const filterError = (): string | undefined => (filterValid(filter()) ? undefined : t('trace.filter.error'))
  const sampleError = (): string | undefined => (/^\d{1,7}$/.test(sample()) && Number(sample()) >= 1 && Number(sample()) <= 1e6 ? undefined : t('trace.sample.error'))
  const fieldError = (name: string): string | undefined => (error()?.field === `/${name}` ? error()?.detail : undefined)
  const running = (): boolean => state() === 'on' || state() === 'starting'

  const failed = (cause: unknown): ApiError => (cause instanceof ApiError ? cause : new ApiError(0, String(cause), '', '', ''))

  async function read(mine: number): Promise<void> {
    let pause = every
    try {
      const reply = await call('trace_read', { path: { id: mine }, query: { after: seen().after } })
      if (id !== mine) return
      setSeen((before) => taken(before, reply))
      setError(undefined)
      if (reply.items.length >= perRead) pause = 0
    } catch (cause) {
      if (id !== mine) return
      setError(failed(cause))
      if (failed(cause).status === 404) {
        id = undefined
        setState('ended')
        return
      }
      pause = 2000
    }
    timer = setTimeout(() => void read(mine), pause)
  }

  function end(): void {
    clearTimeout(timer)
    const mine = id
    id = undefined
    // One that is gone already needs no end; one that cannot be reached ends by itself when nobody reads it.
    if (mine !== undefined) call('trace_end', { path: { id: mine } }).catch(() => undefined)
  }

  async function start(): Promise<void> {
    setTried(true)
    if (filterError() || sampleError() || running()) return
    setState('starting')
    setError(undefined)
    setFrozen(undefined)
    setChosen(undefined)
    setSeen(nothingSeen)
    url.set({ filter: filter(), client: client(), sample: sample() === '1' ? '' : sample() })
    try {
      const made = await call('trace_start', { body: { filter: filter(), sample: Number(sample()), seconds, ...(client() ? { client_id: client() } : {}) } })
      id = made.id
      if (left) return end()
      setState('on')
      void read(made.id)
    } catch (cause) {
      setError(failed(cause))
      setState('off')
    }
  }

  function stop(): void {
    end()
    setError(undefined)
    setState('off')
  }

  onMount(() => addEventListener('pagehide', stop))
  onCleanup(() => {
    left = true
    removeEventListener('pagehide', stop)
    end()
  })

  const shown = createMemo(() => frozen() ?? seen())
  const waiting = (): number => (frozen() ? seen().after - (frozen()?.after ?? 0) : 0)
  const stateWords = (): JSX.Element => (
    <Show when={running()} fallback={<Status tone="offline">{state() === 'ended' ? t('trace.ended') : t('trace.off')}</Status>}>
      <Status tone={frozen() ? 'notice' : 'ok'}>{frozen() ? t('trace.paused', { count: waiting() }) : t('trace.on')}</Status>
    </Show>
  )
  return (
    <div class="page page-fill">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/devices">{t('page.devices')}</A>
          </p>
          <h1>{t('trace.title')}</h1>
        </div>
      </header>
      <Show when={may('trace:write')} fallback={<Empty text={t('trace.forbidden')} />}>
        <form
          class="trace-form"
          onSubmit={(event) => {
            event.preventDefault()
            if (running()) stop()
            else void start()
          }}
        >
          <fieldset class="trace-fields" disabled={running()}>
            <legend class="hidden-text">{t('trace.what')}</legend>
            <TextField label={t('trace.filter')} code value={filter()} onInput={setFilter} help={t('trace.filter.help')} error={filterError() ?? fieldError('filter')} force={tried()} />
            <TextField label={t('trace.client')} code value={client()} onInput={setClient} optional={t('field.optional')} help={t('trace.client.help')} error={fieldError('client_id')} force={tried()} />
            <TextField label={t('trace.sample')} type="number" min={1} max={1000000} value={sample()} onInput={setSample} help={t('trace.sample.help')} error={sampleError() ?? fieldError('sample')} force={tried()} />
          </fieldset>
          <div class="deeds">
            <button class="button" classList={{ primary: !running() }} disabled={state() === 'starting'}>
              {running() ? t('trace.stop') : t('trace.start')}
            </button>
            <button type="button" class="button" disabled={!running() && !frozen()} aria-pressed={!!frozen()} onClick={() => setFrozen(frozen() ? undefined : seen())}>
              {frozen() ? t('trace.resume') : t('trace.pause')}
            </button>
            <button
              type="button"
              class="button"
              disabled={seen().rows.length === 0 && seen().missed === 0}
              onClick={() => {
                setSeen((before) => ({ rows: [], after: before.after, missed: 0 }))
                if (frozen()) setFrozen(seen())
                setChosen(undefined)
              }}
            >
              {t('trace.clear')}
            </button>
            <span class="trace-state small">
              {stateWords()}
              <Show when={shown().missed > 0}>
                <Status tone="warning">{t('trace.missed', { count: shown().missed })}</Status>
              </Show>
            </span>
          </div>
        </form>
        <Failure error={error()?.field ? undefined : error()} stale={seen().rows.length > 0} />
        <Show when={shown().rows.length > 0} fallback={<Empty text={running() ? t('trace.waiting') : t('trace.none')} />}>
          <div class="trace">
            <section class="trace-list" aria-label={t('trace.rows')}>
              <Table main tools name="trace" label={t('trace.rows')} rows={shown().rows} columns={columns()} rowKey={(e) => e.sequence} alarm={(e) => e.kind === 'refused'} onActive={setChosen} activeKey={chosen()?.sequence} />
              <Show when={shown().rows.length >= mostRows}>
                <p class="trace-most small soft">{t('trace.most', { count: mostRows })}</p>
              </Show>
            </section>
            <section class="trace-detail" aria-label={t('trace.one')}>
              <Show when={chosen()} fallback={<p class="soft small trace-entry">{t('trace.choose')}</p>}>{(e) => <Entry entry={e()} />}</Show>
            </section>
          </div>
        </Show>
      </Show>
    </div>
  )
}
