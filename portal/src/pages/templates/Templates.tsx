// State templates: sets of signals whose last values a vehicle sends on change or at a period, once it is told to.
import { A, useNavigate, useParams } from '@solidjs/router'
import { For, Show, createEffect, createMemo, createSignal, on, type JSX } from 'solid-js'
import { createStore } from 'solid-js/store'
import Plus from 'lucide-solid/icons/plus'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { StateTemplate } from '../../api/types'
import { moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { SignalPicker } from '../campaigns/SignalPicker'
import { Confirm, type Question } from '../../ui/Confirm'
import { Fqn } from '../../ui/Fqn'
import { TextField } from '../../ui/Field'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { complaintsOf, type TemplateDraft } from './template'

function Editor(props: { template: StateTemplate | undefined; onDone: (name: string) => void; onCancel: () => void }): JSX.Element {
  const [draft, setDraft] = createStore<TemplateDraft>({ name: '', description: '', signals: [] })
  const [tried, setTried] = createSignal(false)
  const [busy, setBusy] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  createEffect(
    on(
      () => props.template?.id,
      () => setDraft(props.template ? { name: props.template.name, description: props.template.description, signals: [...props.template.signals] } : { name: '', description: '', signals: [] }),
    ),
  )
  const complaints = createMemo(() => complaintsOf(draft, !!props.template))
  async function save(): Promise<void> {
    setTried(true)
    if (Object.keys(complaints()).length) return
    setBusy(true)
    setError(undefined)
    const what = { description: draft.description, signals: [...draft.signals] }
    try {
      const kept = props.template ? await call('template_update', { path: { template: props.template.name }, body: what }) : await call('template_create', { body: { name: draft.name, ...what } })
      props.onDone(kept.name)
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    } finally {
      setBusy(false)
    }
  }
  return (
    <form
      class="form template-form"
      onSubmit={(event) => {
        event.preventDefault()
        void save()
      }}
    >
      <Show when={!props.template}>
        <TextField label={t('editor.name')} value={draft.name} onInput={(v) => setDraft('name', v)} error={complaints().name} force={tried()} code autofocus />
      </Show>
      <TextField label={t('editor.description')} value={draft.description} onInput={(v) => setDraft('description', v)} optional={t('field.optional')} />
      <SignalPicker plain manifest="" chosen={draft.signals.map((fqn) => ({ fqn, max: '', period: '' }))} onChange={(next) => setDraft('signals', next.map((s) => s.fqn))} error={tried() ? complaints().signals : undefined} />
      <Failure error={error()} />
      <div class="dialog-deeds">
        <button type="button" class="button" onClick={() => props.onCancel()}>
          {t('action.cancel')}
        </button>
        <button class="button primary" disabled={busy()}>
          {props.template ? t('action.save') : t('template.add')}
        </button>
      </div>
    </form>
  )
}

export default function Templates(): JSX.Element {
  const params = useParams()
  const navigate = useNavigate()
  const [editing, setEditing] = createSignal(false)
  const [question, setQuestion] = createSignal<Question>()
  const list = useLoad(
    () => true,
    (_, signal) => call('template_list', signal),
  )
  const wanted = (): string => (params.template ? decodeURIComponent(params.template) : '')
  const adding = (): boolean => wanted() === 'new' && may('campaign:write')
  const chosen = createMemo(() => list.value()?.items.find((x) => x.name === wanted() || x.id === wanted()))
  createEffect(on(wanted, () => setEditing(false), { defer: true }))
  const remove = (x: StateTemplate): void => {
    setQuestion({
      title: t('template.delete.title', { name: x.name }),
      text: t('template.delete.text'),
      deed: t('template.delete'),
      danger: true,
      act: async () => {
        await call('template_delete', { path: { template: x.name } })
        navigate('/templates')
        await list.again()
      },
    })
  }
  const done = (name: string): void => {
    setEditing(false)
    void list.again().then(() => navigate(`/templates/${encodeURIComponent(name)}`))
  }
  return (
    <div class="page page-fill">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/campaigns">{t('page.campaigns')}</A>
          </p>
          <h1>{t('template.title')}</h1>
        </div>
        <span class="grow" />
        <Show when={may('campaign:write')}>
          <A class="button primary" href="/templates/new">
            <Plus size={16} />
            {t('template.add')}
          </A>
        </Show>
      </header>
      <Failure error={list.error()} stale={!!list.value()} retry={() => void list.again()} />
      <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={8} /></Show>}>
        {(value) => (
          <Show when={value().items.length > 0 || adding()} fallback={<Empty text={t('template.none')} />}>
            <div class="vocabulary">
              <nav class="manifests" aria-label={t('template.title')}>
                <ul>
                  <For each={value().items}>
                    {(x) => (
                      <li>
                        <A class="side-item" href={`/templates/${encodeURIComponent(x.name)}`}>
                          <span class="grow">
                            <span class="cut side-name">{x.name}</span>
                            <span class="soft small cut">{t('tree.count', { count: x.signals.length })}</span>
                          </span>
                        </A>
                      </li>
                    )}
                  </For>
                </ul>
              </nav>
              <section class="vocabulary-list template-detail" aria-label={chosen()?.name ?? t('template.title')}>
                <Show when={!adding()} fallback={<Editor template={undefined} onDone={done} onCancel={() => navigate('/templates')} />}>
                  <Show when={chosen()} fallback={<p class="soft catalog-none">{wanted() ? t('template.unknown') : t('template.choose')}</p>}>
                    {(x) => (
                      <Show when={!editing()} fallback={<Editor template={x()} onDone={done} onCancel={() => setEditing(false)} />}>
                        <div class="section-head">
                          <h2 class="grow">{x().name}</h2>
                          <Show when={may('campaign:write')}>
                            <button class="button" onClick={() => setEditing(true)}>
                              {t('action.edit')}
                            </button>
                            <button class="button danger-text" onClick={() => remove(x())}>
                              {t('template.delete')}
                            </button>
                          </Show>
                        </div>
                        <Show when={x().description}>
                          <p>{x().description}</p>
                        </Show>
                        <p class="soft small">{t('template.facts', { id: x().id, time: moment(parse(x().updated), second()) })}</p>
                        <h3>{t('tree.count', { count: x().signals.length })}</h3>
                        <ul class="collected" tabindex={0} aria-label={t('tree.count', { count: x().signals.length })}>
                          <For each={x().signals}>
                            {(fqn) => (
                              <li>
                                <Fqn class="grow" name={fqn} />
                              </li>
                            )}
                          </For>
                        </ul>
                        <p class="soft small">{t('template.where')}</p>
                      </Show>
                    )}
                  </Show>
                </Show>
              </section>
            </div>
          </Show>
        )}
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </div>
  )
}
