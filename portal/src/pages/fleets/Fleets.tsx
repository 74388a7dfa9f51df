// Fleets: named sets of vehicles that campaigns can be for. The list on the left, one fleet's vehicles on the right.
import { A, useNavigate, useParams } from '@solidjs/router'
import { For, Show, createMemo, createSignal, type JSX } from 'solid-js'
import Plus from 'lucide-solid/icons/plus'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import { textOf } from '../../api/document'
import { dateTime } from '../../format/time'
import { vehicles } from '../../live/directory'
import { t } from '../../text/text'
import { Confirm, type Question } from '../../ui/Confirm'
import { Dialog } from '../../ui/Dialog'
import { Field, SelectField, TextField } from '../../ui/Field'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { fleetIdValid, loadFleets, loadMembers, namesOf, type Fleet } from './fleet'

function CreateDialog(props: { onClose: () => void; onDone: (id: string) => void }): JSX.Element {
  const [id, setId] = createSignal('')
  const [description, setDescription] = createSignal('')
  const [catalog, setCatalog] = createSignal('')
  const [tried, setTried] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const catalogs = useLoad(
    () => true,
    (_, signal) => call('catalog_list', { query: { limit: 1000 } }, signal),
    { key: 'name' },
  )
  const chosen = (): string => catalog() || textOf(catalogs.value()?.items[0] ?? {}, 'arn')
  const idError = (): string | undefined => (fleetIdValid(id()) ? undefined : t('fleet.id.error'))
  async function create(): Promise<void> {
    setTried(true)
    if (idError() || !chosen()) return
    try {
      await call('fleet_create', { body: { fleetId: id(), signalCatalogArn: chosen(), ...(description().trim() ? { description: description().trim() } : {}) } })
      props.onDone(id())
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={t('fleet.add')} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void create()
        }}
      >
        <TextField label={t('fleet.id')} value={id()} onInput={setId} help={t('fleet.id.help')} error={idError()} force={tried()} code autofocus />
        <TextField label={t('editor.description')} value={description()} onInput={setDescription} optional={t('field.optional')} />
        <Failure error={catalogs.error()} retry={() => void catalogs.again()} />
        <SelectField label={t('fleet.catalog')} value={chosen()} onChange={setCatalog} help={catalogs.value()?.items.length === 0 ? t('fleet.catalog.none') : undefined} choices={(catalogs.value()?.items ?? []).map((c) => ({ value: textOf(c, 'arn'), label: textOf(c, 'name') }))} />
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary" disabled={!chosen()}>
            {t('fleet.add')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

interface Refused {
  name: string
  why: string
}

/** Vehicles are put in one by one: what one of them is refused for does not keep the others out. */
function JoinDialog(props: { fleet: string; inside: ReadonlySet<string>; onClose: () => void; onDone: () => void }): JSX.Element {
  const [text, setText] = createSignal('')
  const [busy, setBusy] = createSignal(false)
  const [done, setDone] = createSignal<number>()
  const [refused, setRefused] = createSignal<Refused[]>([])
  const names = createMemo(() => namesOf(text()).filter((name) => !props.inside.has(name)))
  const known = createMemo(() => new Set([...(vehicles()?.values() ?? [])].map((v) => v.name)))
  const unknown = createMemo(() => (vehicles() ? names().filter((name) => !known().has(name)) : []))
  async function join(): Promise<void> {
    setBusy(true)
    const bad: Refused[] = []
    let count = 0
    for (const name of names()) {
      try {
        await call('fleet_join', { path: { fleet: props.fleet, vehicle: name } })
        count++
      } catch (cause) {
        bad.push({ name, why: cause instanceof ApiError ? cause.detail || cause.title : String(cause) })
        if (cause instanceof ApiError && (cause.status === 0 || cause.status === 401)) break
      }
    }
    setRefused(bad)
    setDone(count)
    setBusy(false)
    props.onDone()
    if (bad.length === 0) props.onClose()
  }
  return (
    <Dialog title={t('fleet.join.title', { fleet: props.fleet })} onClose={() => props.onClose()} wide>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          if (names().length && !busy()) void join()
        }}
      >
        <Field label={t('fleet.join.names')} help={t('fleet.join.help')} error={unknown().length ? t('fleet.join.unknown', { count: unknown().length, names: unknown().slice(0, 6).join(', ') }) : undefined}>
          {(ids) => (
            <>
              <textarea ref={(box) => queueMicrotask(() => box.focus())} id={ids().id} class="input code" rows={6} spellcheck={false} value={text()} aria-describedby={ids().describedBy} aria-invalid={ids().invalid || undefined} onBlur={() => ids().leave()} onInput={(event) => setText(event.currentTarget.value)} />
            </>
          )}
        </Field>
        <Show when={done() !== undefined}>
          <p role="status">{t('fleet.joined', { count: done() ?? 0 })}</p>
          <ul class="warnings" tabindex={0} aria-label={t('fleet.refused', { count: refused().length })}>
            <For each={refused()}>
              {(one) => (
                <li>
                  <span class="code">{one.name}</span> {one.why}
                </li>
              )}
            </For>
          </ul>
        </Show>
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t(done() === undefined ? 'action.cancel' : 'action.done')}
          </button>
          <button class="button primary" disabled={busy() || names().length === 0}>
            {names().length ? t('fleet.join.do', { count: names().length }) : t('fleet.join')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function Members(props: { fleet: Fleet; onChange: () => void; onGone: () => void }): JSX.Element {
  const navigate = useNavigate()
  const [joining, setJoining] = createSignal(false)
  const [question, setQuestion] = createSignal<Question>()
  const [describing, setDescribing] = createSignal<string>()
  const [error, setError] = createSignal<ApiError>()
  const members = useLoad(
    () => props.fleet.id,
    (fleet, signal) => loadMembers(fleet, signal),
    { every: 15_000 },
  )
  const byName = createMemo(() => new Map([...(vehicles()?.values() ?? [])].map((v) => [v.name, v])))
  const idOf = (name: string): number | undefined => byName().get(name)?.id
  const inside = createMemo(() => new Set(members.value()?.items ?? []))
  const leave = (name: string): void => {
    setQuestion({
      title: t('fleet.leave.title', { name, fleet: props.fleet.id }),
      text: t('fleet.leave.text', { name }),
      deed: t('fleet.leave'),
      act: async () => {
        await call('fleet_leave', { path: { fleet: props.fleet.id, vehicle: name } })
        await members.again()
      },
    })
  }
  const remove = (): void => {
    setQuestion({
      title: t('fleet.delete.title', { fleet: props.fleet.id }),
      text: t('fleet.delete.text'),
      deed: t('fleet.delete'),
      danger: true,
      act: async () => {
        await call('fleet_delete', { path: { fleet: props.fleet.id } })
        props.onGone()
      },
    })
  }
  async function describe(): Promise<void> {
    setError(undefined)
    try {
      await call('fleet_update', { path: { fleet: props.fleet.id }, body: { description: describing()?.trim() ?? '' } })
      setDescribing(undefined)
      props.onChange()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  const columns = (): Column<string>[] => [
    { id: 'name', header: t('column.vehicle'), cell: (name) => <Show when={idOf(name)} fallback={<span class="cell-name">{name}</span>}>{(id) => <A href={`/vehicles/${id()}`} tabindex={-1} class="cut cell-name">{name}</A>}</Show>, value: (name) => name },
    { id: 'manifest', header: t('column.manifest'), wide: true, cell: (name) => <span class="cut soft">{byName().get(name)?.manifest ?? ''}</span>, value: (name) => byName().get(name)?.manifest ?? '' },
    {
      id: 'deeds', header: t('column.deeds'), width: '8rem',
      cell: (name) => (
        <Show when={may('vehicle:write')}>
          <button class="button quiet" onClick={() => leave(name)}>
            {t('fleet.leave')}
          </button>
        </Show>
      ),
    },
  ]
  return (
    <>
      <div class="section-head">
        <div class="grow">
          <h2>{props.fleet.id}</h2>
          <Show
            when={describing() !== undefined}
            fallback={
              <p class="soft small">
                <Show when={props.fleet.description}>
                  {props.fleet.description}
                  <br />
                </Show>
                {Number.isFinite(props.fleet.created) ? t('fleet.created', { time: dateTime(props.fleet.created), catalog: props.fleet.catalog }) : ''}
                <Show when={may('vehicle:write')}>
                  {' '}
                  <button class="link-button" onClick={() => setDescribing(props.fleet.description)}>
                    {t('fleet.describe')}
                  </button>
                </Show>
              </p>
            }
          >
            <form
              class="fleet-describe"
              onSubmit={(event) => {
                event.preventDefault()
                void describe()
              }}
            >
              <input class="input" aria-label={t('editor.description')} value={describing() ?? ''} onInput={(event) => setDescribing(event.currentTarget.value)} />
              <button class="button primary">{t('action.save')}</button>
              <button type="button" class="button" onClick={() => setDescribing(undefined)}>
                {t('action.cancel')}
              </button>
            </form>
          </Show>
        </div>
        <Show when={may('vehicle:write')}>
          <button class="button" onClick={() => setJoining(true)}>
            <Plus size={16} />
            {t('fleet.join')}
          </button>
          <button class="button danger-text" disabled={inside().size > 0} title={inside().size > 0 ? t('fleet.delete.full') : undefined} onClick={remove}>
            {t('fleet.delete')}
          </button>
        </Show>
      </div>
      <Failure error={error()} />
      <Failure error={members.error()} stale={!!members.value()} retry={() => void members.again()} />
      <Show when={members.value()} fallback={<Show when={!members.error()}><Skeleton rows={8} /></Show>}>
        {(list) => (
          <Show when={list().items.length > 0} fallback={<Empty text={t('fleet.empty')}><Show when={may('vehicle:write')}><button class="button" onClick={() => setJoining(true)}>{t('fleet.join')}</button></Show></Empty>}>
            <Table main tools name="fleet" label={t('column.vehicles')} rows={list().items} columns={columns()} rowKey={(name) => name} sort="name" onOpen={(name) => idOf(name) !== undefined && navigate(`/vehicles/${idOf(name) ?? ''}`)} />
          </Show>
        )}
      </Show>
      <Show when={joining()}>
        <JoinDialog fleet={props.fleet.id} inside={inside()} onClose={() => setJoining(false)} onDone={() => void members.again()} />
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </>
  )
}

export default function Fleets(): JSX.Element {
  const params = useParams()
  const navigate = useNavigate()
  const [adding, setAdding] = createSignal(false)
  const fleets = useLoad(
    () => true,
    (_, signal) => loadFleets(signal),
  )
  const chosen = createMemo(() => fleets.value()?.items.find((f) => f.id === (params.fleet ? decodeURIComponent(params.fleet) : '')))
  return (
    <div class="page page-fill">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/vehicles">{t('page.vehicles')}</A>
          </p>
          <h1>{t('fleet.title')}</h1>
        </div>
        <span class="grow" />
        <Show when={may('vehicle:write')}>
          <button class="button primary" onClick={() => setAdding(true)}>
            <Plus size={16} />
            {t('fleet.add')}
          </button>
        </Show>
      </header>
      <Failure error={fleets.error()} stale={!!fleets.value()} retry={() => void fleets.again()} />
      <Show when={fleets.value()} fallback={<Show when={!fleets.error()}><Skeleton rows={8} /></Show>}>
        {(list) => (
          <Show when={list().items.length > 0} fallback={
              <Empty text={t('fleet.none')}>
                <Show when={may('vehicle:write')}>
                  <button class="button" onClick={() => setAdding(true)}>
                    {t('fleet.add')}
                  </button>
                </Show>
              </Empty>
            }>
            <div class="vocabulary">
              <nav class="manifests" aria-label={t('fleet.title')}>
                <ul>
                  <For each={list().items}>
                    {(fleet) => (
                      <li>
                        <A class="side-item" href={`/fleets/${encodeURIComponent(fleet.id)}`}>
                          <span class="grow">
                            <span class="cut side-name">{fleet.id}</span>
                            <span class="soft small cut">{fleet.description}</span>
                          </span>
                        </A>
                      </li>
                    )}
                  </For>
                </ul>
              </nav>
              <section class="vocabulary-list" aria-label={chosen()?.id ?? t('fleet.title')}>
                <Show when={chosen()} fallback={<p class="soft catalog-none">{params.fleet ? t('fleet.unknown') : t('fleet.choose')}</p>}>
                  {(fleet) => (
                    <Members
                      fleet={fleet()}
                      onChange={() => void fleets.again()}
                      onGone={() => {
                        navigate('/fleets')
                        void fleets.again()
                      }}
                    />
                  )}
                </Show>
              </section>
            </div>
          </Show>
        )}
      </Show>
      <Show when={adding()}>
        <CreateDialog
          onClose={() => setAdding(false)}
          onDone={(id) => {
            setAdding(false)
            void fleets.again().then(() => navigate(`/fleets/${encodeURIComponent(id)}`))
          }}
        />
      </Show>
    </div>
  )
}
