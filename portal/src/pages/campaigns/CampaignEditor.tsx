// Create or edit a campaign: whom, when, what, how. The last line says what the button will do, and to how many.
import { A, useNavigate, useParams } from '@solidjs/router'
import { For, Show, createEffect, createMemo, createSignal, type JSX } from 'solid-js'
import { createStore } from 'solid-js/store'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { ExpressionResult } from '../../api/types'
import { localField } from '../../format/time'
import { vehicles } from '../../live/directory'
import { loadFleets } from '../fleets/fleet'
import { t } from '../../text/text'
import { Check, Field, Segments, SelectField, TextField } from '../../ui/Field'
import { Failure, Skeleton } from '../../ui/Notice'
import { DestinationFields } from './DestinationFields'
import { complaintsOf, createOf, draftOf, emptyDraft, requestOf, type Draft } from './draft'
import { ExpressionField } from './ExpressionField'
import { ReachParts, reachWords, reachedBy, useReach } from './Reach'
import { SignalPicker } from './SignalPicker'
import { TryPanel } from './TryPanel'

export default function CampaignEditor(): JSX.Element {
  const params = useParams()
  const navigate = useNavigate()
  const editing = (): number | undefined => (params.id ? Number(params.id) : undefined)
  const existing = useLoad(editing, (id, signal) => call('campaign_get', { path: { id } }, signal), { key: 'fqn' })
  const manifests = useLoad(
    () => true,
    (_, signal) => call('manifest_list', signal),
    { key: 'name' },
  )
  // A signal's page leads here with that signal.
  const wanted = new URLSearchParams(location.search).get('signal')
  const [draft, setDraft] = createStore<Draft>(wanted && !params.id ? { ...emptyDraft(), signals: [{ fqn: wanted, max: '', period: '' }] } : emptyDraft())
  const fleets = useLoad(
    () => draft.targetKind === 'fleet' || undefined,
    (_, signal) => loadFleets(signal),
  )
  // A draft may name a fleet that is beyond the list, or gone: it stays to be seen.
  const fleetChoices = (): { value: string; label: string }[] => {
    const listed = (fleets.value()?.items ?? []).map((f) => ({ value: f.id, label: f.description ? `${f.id} – ${f.description}` : f.id }))
    const choices = !draft.target || listed.some((f) => f.value === draft.target) ? listed : [...listed, { value: draft.target, label: draft.target }]
    return choices.sort((a, b) => (a.value < b.value ? -1 : 1))
  }
  const [filled, setFilled] = createSignal(false)
  const [loaded, setLoaded] = createSignal<Draft>()
  const [tried, setTried] = createSignal(false)
  const [busy, setBusy] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const [checked, setChecked] = createSignal<ExpressionResult>()

  createEffect(() => {
    const c = existing.value()
    if (!c || filled()) return
    setDraft(draftOf(c, localField))
    setLoaded(draftOf(c, localField))
    setFilled(true)
  })

  const complaints = createMemo(() => complaintsOf(draft, editing() !== undefined))
  const targetName = (): string => {
    if (draft.targetKind === 'manifest') return draft.target
    if (draft.targetKind === 'vehicle') for (const v of vehicles()?.values() ?? []) if (v.name === draft.target) return v.manifest
    return ''
  }
  const reach = useReach(draft)
  const known = (name: string): boolean => [...(vehicles()?.values() ?? [])].some((v) => v.name === name)
  // The number stands on the button only when the manifests have been looked at.
  const deed = (): string => {
    const count = reachedBy(reach)
    if (editing() === undefined) return count === undefined ? t('editor.run.unknown') : t('editor.run', { count })
    return count === undefined || existing.value()?.status !== 'running' ? t('action.save') : t('editor.save', { count })
  }
  const insertable = createMemo(() => draft.signals.map((s) => s.fqn))
  // A trigger's signals need not be collected; people mostly want both.
  const missing = createMemo(() => (draft.kind === 'condition' && checked()?.valid ? (checked()?.signals ?? []).filter((fqn) => !draft.signals.some((s) => s.fqn === fqn)) : []))

  /** The id of what is saved; undefined: it was refused, and the form says why. */
  async function store(startNow: boolean): Promise<number | undefined> {
    setTried(true)
    setError(undefined)
    if (Object.keys(complaints()).length) {
      queueMicrotask(() => document.querySelector<HTMLElement>('[aria-invalid="true"], .field-error')?.scrollIntoView({ block: 'center' }))
      return undefined
    }
    setBusy(true)
    try {
      const id = editing()
      return (id === undefined ? await call('campaign_create', { body: createOf(draft, startNow) }) : await call('campaign_update', { path: { id }, body: requestOf(draft, loaded()) })).id
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
      return undefined
    } finally {
      setBusy(false)
    }
  }
  async function save(startNow: boolean): Promise<void> {
    const id = await store(startNow)
    if (id !== undefined) navigate(`/campaigns/${id}`)
  }
  /** What is tried is what the server has: a draft is saved before, anything else is tried as it is saved. */
  const isDraft = (): boolean => existing.value()?.status === 'draft'
  async function saveDraft(): Promise<boolean> {
    if (!isDraft()) return true
    if ((await store(false)) === undefined) return false
    setLoaded(JSON.parse(JSON.stringify(draft)) as Draft)
    return true
  }
  async function saveAndTry(): Promise<void> {
    const id = await store(false)
    if (id !== undefined) navigate(`/campaigns/${id}/edit?try=1`)
  }

  return (
    <div class="page page-editor">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/campaigns">{t('page.campaigns')}</A>
          </p>
          <h1>{editing() === undefined ? t('campaign.new') : t('campaign.editing', { name: existing.value()?.name ?? '' })}</h1>
        </div>
      </header>
      <Failure error={existing.error()} retry={() => void existing.again()} />
      <Show when={editing() === undefined || filled()} fallback={<Show when={!existing.error()}><Skeleton rows={12} /></Show>}>
        <form
          class="editor"
          onSubmit={(event) => event.preventDefault() /* Enter in a field must not run it on the fleet */}
        >
          <section class="editor-part">
            <h2>{t('editor.what')}</h2>
            <div class="editor-fields">
              <Show when={editing() === undefined}>
                <TextField label={t('editor.name')} value={draft.name} onInput={(v) => setDraft('name', v)} help={t('editor.name.help')} error={complaints().name} force={tried()} code autofocus />
              </Show>
              <TextField label={t('editor.description')} value={draft.description} onInput={(v) => setDraft('description', v)} optional={t('field.optional')} />
            </div>
          </section>
          <section class="editor-part">
            <h2>{t('editor.whom')}</h2>
            <div class="editor-fields">
              <Segments
                label={t('column.target')}
                value={draft.targetKind}
                choices={[
                  { value: 'all', label: t('editor.target.all') },
                  { value: 'fleet', label: t('editor.target.fleet') },
                  { value: 'manifest', label: t('editor.target.manifest') },
                  { value: 'vehicle', label: t('editor.target.vehicle') },
                ]}
                onChange={(kind) => setDraft({ targetKind: kind, target: '' })}
              />
              <Show when={draft.targetKind === 'fleet'}>
                <Failure error={fleets.error()} retry={() => void fleets.again()} />
                <SelectField
                  label={t('column.fleet')}
                  value={draft.target}
                  onChange={(v) => setDraft('target', v)}
                  error={complaints().target}
                  force={tried()}
                  help={fleets.value()?.items.length === 0 ? t('editor.fleet.none') : undefined}
                  choices={[{ value: '', label: t('editor.choose') }, ...fleetChoices()]}
                />
              </Show>
              <Show when={draft.targetKind === 'manifest'}>
                <SelectField
                  label={t('column.manifest')}
                  value={draft.target}
                  onChange={(v) => setDraft('target', v)}
                  error={complaints().target}
                  force={tried()}
                  choices={[{ value: '', label: t('editor.choose') }, ...(manifests.value()?.items ?? []).map((m) => ({ value: m.name, label: t('editor.manifest.choice', { name: m.name, count: m.vehicles }) }))]}
                />
              </Show>
              <Show when={draft.targetKind === 'vehicle'}>
                <Field label={t('column.vehicle')} error={complaints().target ?? (vehicles() && !known(draft.target) ? t('editor.vehicle.unknown') : undefined)} force={tried()}>
                  {(ids) => (
                    <>
                      <input id={ids().id} class="input code" list="vehicle-names" value={draft.target} aria-describedby={ids().describedBy} aria-invalid={ids().invalid || undefined} onBlur={() => ids().leave()} onInput={(event) => setDraft('target', event.currentTarget.value)} />
                      <datalist id="vehicle-names">
                        <For each={[...(vehicles()?.values() ?? [])].slice(0, 1000)}>{(v) => <option value={v.name} />}</For>
                      </datalist>
                    </>
                  )}
                </Field>
              </Show>
            </div>
          </section>
          <section class="editor-part">
            <h2>{t('editor.when')}</h2>
            <div class="editor-fields">
              <Segments
                label={t('column.trigger')}
                value={draft.kind}
                choices={[
                  { value: 'time', label: t('editor.kind.time') },
                  { value: 'condition', label: t('editor.kind.condition') },
                ]}
                onChange={(kind) => setDraft('kind', kind)}
              />
              <Show
                when={draft.kind === 'condition'}
                fallback={<TextField label={t('editor.period')} value={draft.period} onInput={(v) => setDraft('period', v)} unit="ms" error={complaints().period} force={tried()} help={t('editor.period.help')} class="field-short" />}
              >
                <ExpressionField value={draft.expression} onInput={(v) => setDraft('expression', v)} error={complaints().expression} force={tried()} insertable={insertable()} onResult={setChecked} />
                <Show when={missing().length > 0}>
                  <p class="small editor-missing">
                    {t('editor.missing', { names: missing().join(', ') })}{' '}
                    <button type="button" class="link-button" onClick={() => setDraft('signals', [...draft.signals, ...missing().map((fqn) => ({ fqn, max: '', period: '' }))])}>
                      {t('editor.missing.add')}
                    </button>
                  </p>
                </Show>
                <div class="form-pair">
                  <TextField label={t('editor.interval')} value={draft.interval} onInput={(v) => setDraft('interval', v)} unit="ms" error={complaints().interval} force={tried()} help={t('editor.interval.help')} />
                  <TextField label={t('editor.after')} value={draft.after} onInput={(v) => setDraft('after', v)} unit="ms" error={complaints().after} force={tried()} help={t('editor.after.help')} />
                </div>
                <Check label={t('editor.edge')} help={t('editor.edge.help')} checked={draft.edge} onChange={(v) => setDraft('edge', v)} />
              </Show>
            </div>
          </section>
          <section class="editor-part">
            <h2>{t('editor.signals')}</h2>
            <div class="editor-wide">
              <SignalPicker manifest={targetName()} chosen={draft.signals} onChange={(next) => setDraft('signals', next)} error={tried() ? complaints().signals : undefined} />
              <ReachParts reach={reach} />
            </div>
          </section>
          <section class="editor-part">
            <h2>{t('editor.how')}</h2>
            <div class="editor-fields">
              <Check label={t('editor.compress')} help={t('editor.compress.help')} checked={draft.compress} onChange={(v) => setDraft('compress', v)} />
              <Check label={t('editor.persist')} help={t('editor.persist.help')} checked={draft.persist} onChange={(v) => setDraft('persist', v)} />
              <TextField label={t('editor.priority')} value={draft.priority} onInput={(v) => setDraft('priority', v)} error={complaints().priority} force={tried()} help={t('editor.priority.help')} class="field-short" />
              <div class="form-pair">
                <TextField label={t('editor.start')} type="datetime-local" value={draft.start} onInput={(v) => setDraft('start', v)} optional={t('field.optional')} />
                <TextField label={t('editor.expiry')} type="datetime-local" value={draft.expiry} onInput={(v) => setDraft('expiry', v)} optional={t('field.optional')} error={complaints().expiry} force={tried()} />
              </div>
            </div>
          </section>
          <section class="editor-part">
            <h2>{t('editor.out')}</h2>
            <div class="editor-fields">
              <DestinationFields destinations={draft.destinations} onChange={(next) => setDraft('destinations', next)} force={tried()} kept={existing.value()?.destinations.some((d) => d.kind === 'timeseries') ?? false} />
              <TextField label={t('editor.dimensions')} value={draft.dimensions} onInput={(v) => setDraft('dimensions', v)} optional={t('field.optional')} help={t('editor.dimensions.help')} error={complaints().dimensions} force={tried()} code />
            </div>
          </section>
          <section class="editor-part" id="try">
            <h2>{t('editor.try')}</h2>
            <div class="editor-wide">
              <Show
                when={editing()}
                fallback={
                  <>
                    <p class="soft small">{t('try.what')}</p>
                    <p class="deeds">
                      <button type="button" class="button" disabled={busy()} onClick={() => void saveAndTry()}>
                        {t('try.save')}
                      </button>
                    </p>
                  </>
                }
              >
                {(id) => <TryPanel id={id()} atOnce={new URLSearchParams(location.search).has('try')} before={saveDraft} note={t(isDraft() ? 'try.savefirst' : 'try.asis')} />}
              </Show>
            </div>
          </section>
          <Failure error={error()} />
          <footer class="editor-foot">
            <p class="soft grow" role="status">
              {reachWords(reach, draft.signals.length > 0)}
            </p>
            <A class="button" href={editing() === undefined ? '/campaigns' : `/campaigns/${editing() ?? ''}`}>
              {t('action.cancel')}
            </A>
            <Show when={editing() === undefined}>
              <button type="button" class="button" disabled={busy()} onClick={() => void save(false)}>
                {t('editor.draft')}
              </button>
            </Show>
            <button type="button" class="button primary" disabled={busy()} onClick={() => void save(true)}>
              {deed()}
            </button>
          </footer>
        </form>
      </Show>
    </div>
  )
}
