// Device shadows of the vehicle's device: what is desired beside what it reports, what is outstanding, and what was asked before.
import { Show, createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { ShadowChange } from '../../api/types'
import { whole } from '../../format/number'
import { age, moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Confirm, type Question } from '../../ui/Confirm'
import { Dialog } from '../../ui/Dialog'
import { Field, SelectField, TextField } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { changeOf, readDesired, shadowRows, type ShadowDoc, type ShadowRow } from './shadow'

function Editor(props: { thing: string; name: string; isNew: boolean; doc: ShadowDoc; onClose: () => void; onDone: (name: string) => void }): JSX.Element {
  const before = props.doc.state?.desired ?? {}
  const [name, setName] = createSignal(props.name)
  const [text, setText] = createSignal(JSON.stringify(before, null, 2))
  const [error, setError] = createSignal<ApiError>()
  const [tried, setTried] = createSignal(false)
  const read = (): ReturnType<typeof readDesired> => readDesired(text())
  const wrong = (): string | undefined => {
    const r = read()
    return 'wrong' in r ? `${t('shadow.json.error')} ${r.wrong}` : undefined
  }
  const nameError = (): string | undefined => (/^[A-Za-z0-9:_-]{0,64}$/.test(name()) ? undefined : t('shadow.name.error'))
  async function save(): Promise<void> {
    const r = read()
    setTried(true)
    if ('wrong' in r || nameError()) return
    const body: Record<string, unknown> = { state: { desired: changeOf(before, r.change) } }
    if (!props.isNew && props.doc.version !== undefined) body.version = props.doc.version
    try {
      await call('shadow_update', { path: { thing: props.thing }, query: name() ? { name: name() } : {}, body })
      props.onDone(name())
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={props.isNew ? t('shadow.new') : t('shadow.edit')} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void save()
        }}
      >
        <Show when={props.isNew}>
          <TextField label={t('shadow.name')} help={t('shadow.name.help')} value={name()} onInput={setName} error={nameError()} force={tried()} />
        </Show>
        <Field label={t('shadow.desired')} help={t('shadow.desired.help')} error={wrong()} force={tried() || text() !== JSON.stringify(before, null, 2)}>
          {(ids) => (
            <textarea id={ids().id} class="input code" rows={12} spellcheck={false} value={text()} aria-describedby={ids().describedBy} aria-invalid={ids().invalid || undefined} onInput={(event) => setText(event.currentTarget.value)} onBlur={() => ids().leave()} />
          )}
        </Field>
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary">{t('action.save')}</button>
        </div>
      </form>
    </Dialog>
  )
}

export function ShadowPanel(props: { thing: string }): JSX.Element {
  const url = useUrl()
  const name = (): string => url.get('shadow')
  const [editing, setEditing] = createSignal<'edit' | 'new'>()
  const [question, setQuestion] = createSignal<Question>()
  const names = useLoad(
    () => props.thing,
    (thing, signal) => call('shadow_list', { path: { thing }, query: { limit: 1000 } }, signal),
    { every: 10_000, key: 'name' },
  )
  const doc = useLoad(
    () => ({ thing: props.thing, name: name() }),
    (of, signal) => call('shadow_get', { path: { thing: of.thing }, query: of.name ? { name: of.name } : {} }, signal),
    { every: 3000 },
  )
  const history = useLoad(
    () => ({ thing: props.thing, name: name() }),
    (of, signal) => call('shadow_history', { path: { thing: of.thing }, query: of.name ? { name: of.name, limit: 50 } : { limit: 50 } }, signal),
    { every: 5000 },
  )
  const none = (): boolean => doc.error()?.status === 404
  const shown = (): ShadowDoc => (none() ? {} : ((doc.value() ?? {}) as ShadowDoc))
  const rows = (): ShadowRow[] => shadowRows(shown())
  const outstanding = (): number => rows().filter((r) => r.outstanding).length
  const again = async (): Promise<void> => {
    await Promise.all([names.again(), doc.again(), history.again()])
  }
  const choices = (): { value: string; label: string }[] => {
    const known = names.value()?.items.map((s) => s.name) ?? []
    return ['', ...[...new Set([...known, name()])].filter(Boolean).sort()].map((value) => ({ value, label: value || t('shadow.classic') }))
  }
  const when = (at: number | undefined): string => (at === undefined ? '' : age(Math.max(0, second() - at)))
  const columns = (): Column<ShadowRow>[] => [
    { id: 'path', header: t('shadow.path'), cell: (r) => <span class="code">{r.path}</span>, value: (r) => r.path },
    { id: 'state', header: t('shadow.state'), width: '9rem', narrow: '8.5rem', cell: (r) => <Show when={r.outstanding} fallback={<span class="soft">{r.desired === undefined ? t('shadow.only') : t('shadow.agreed')}</span>}><Status tone="notice">{t('shadow.outstanding')}</Status></Show>, value: (r) => (r.outstanding ? 1 : 0) },
    { id: 'desired', header: t('shadow.desired'), cell: (r) => <span class="code" title={r.desired}>{r.desired ?? '–'}</span>, value: (r) => r.desired ?? '' },
    { id: 'reported', header: t('shadow.reported'), cell: (r) => <span class="code" title={r.reported}>{r.reported ?? '–'}</span>, value: (r) => r.reported ?? '' },
    { id: 'desired-at', header: t('shadow.desired.at'), width: '9rem', wide: true, cell: (r) => when(r.desiredAt), value: (r) => r.desiredAt ?? 0 },
    { id: 'reported-at', header: t('shadow.reported.at'), width: '9rem', wide: true, cell: (r) => when(r.reportedAt), value: (r) => r.reportedAt ?? 0 },
  ]
  const changes = (): Column<ShadowChange>[] => [
    { id: 'version', header: t('shadow.version'), align: 'right', width: '5rem', cell: (c) => whole(c.version), value: (c) => c.version },
    { id: 'time', header: t('column.time'), width: '11rem', narrow: '8rem', cell: (c) => moment(parse(c.time), second()), value: (c) => parse(c.time) },
    { id: 'by', header: t('shadow.by'), width: '7rem', wide: true, cell: (c) => t(c.by === 'device' ? 'shadow.by.device' : 'shadow.by.platform'), value: (c) => c.by },
    { id: 'change', header: t('shadow.change'), cell: (c) => (c.deleted ? <Status tone="warning">{t('shadow.deleted')}</Status> : <span class="code" title={JSON.stringify(c.state)}>{JSON.stringify(c.state)}</span>), value: (c) => (c.deleted ? '' : JSON.stringify(c.state)) },
  ]
  const remove = (): void => {
    setQuestion({
      title: t('shadow.delete.title'),
      text: t('shadow.delete.text', { name: name() || t('shadow.classic'), thing: props.thing }),
      deed: t('shadow.delete.deed'),
      danger: true,
      act: async () => {
        await call('shadow_delete', { path: { thing: props.thing }, query: name() ? { name: name() } : {} })
        await again()
      },
    })
  }
  return (
    <div class="shadow-panel">
      <div class="section-head">
        <SelectField label={t('shadow.one')} value={name()} onChange={(v) => url.set({ shadow: v || undefined })} choices={choices()} />
        <Show when={shown().version !== undefined}>
          <p class="soft" aria-live="polite">
            {t('shadow.summary', { version: shown().version ?? 0 })}{' '}
            <Show when={outstanding()} fallback={t('shadow.nothing')}>
              {t('shadow.open', { count: outstanding() })}
            </Show>
          </p>
        </Show>
        <span class="grow" />
        <Show when={may('shadow:write')}>
          <Show when={!none() && doc.value()}>
            <button class="button quiet danger-text" onClick={remove}>
              {t('shadow.delete.deed')}
            </button>
            <button class="button primary" onClick={() => setEditing('edit')}>
              {t('shadow.edit')}
            </button>
          </Show>
          <button class="button" onClick={() => setEditing('new')}>
            {t('shadow.new')}
          </button>
        </Show>
      </div>
      <Failure error={names.error()} retry={() => void names.again()} stale={!!names.value()} />
      <Show when={!none()} fallback={<Empty text={t('shadow.none')} />}>
        <Failure error={doc.error()} retry={() => void doc.again()} stale={!!doc.value()} />
        <Show when={doc.value()} fallback={<Show when={!doc.error()}><Skeleton rows={6} /></Show>}>
          <Table main tools name="shadow" label={t('shadow.one')} rows={rows()} columns={columns()} rowKey={(r) => r.path} height="auto" />
        </Show>
      </Show>
      <section aria-label={t('shadow.history')}>
        <h2>{t('shadow.history')}</h2>
        <Failure error={history.error()} retry={() => void history.again()} stale={!!history.value()} />
        <Show when={history.value()?.items.length} fallback={<Show when={history.value()}><Empty text={t('shadow.history.none')} /></Show>}>
          <Table name="shadow-history" label={t('shadow.history')} rows={history.value()?.items ?? []} columns={changes()} rowKey={(c) => `${c.version}${c.deleted ? 'd' : ''}`} height="auto" />
        </Show>
      </section>
      <Show when={editing()}>
        {(kind) => (
          <Editor
            thing={props.thing}
            name={kind() === 'new' ? '' : name()}
            isNew={kind() === 'new'}
            doc={kind() === 'new' ? {} : shown()}
            onClose={() => setEditing(undefined)}
            onDone={(made) => {
              setEditing(undefined)
              url.set({ shadow: made || undefined })
              void again()
            }}
          />
        )}
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </div>
  )
}
