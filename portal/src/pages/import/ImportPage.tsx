// A DBC file becomes catalog entries, a vehicle model and a decoder manifest, in four steps: file, names, check, done.
import { A } from '@solidjs/router'
import { For, Match, Show, Switch, createMemo, createSignal, type JSX } from 'solid-js'
import { createStore } from 'solid-js/store'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { DbcImportResult } from '../../api/types'
import { bytes } from '../../format/number'
import { t } from '../../text/text'
import { Failure } from '../../ui/Notice'
import { loadCatalog } from '../signals/catalog'
import { CheckStep } from './CheckStep'
import { readDbc, signalsOf, type DbcFile } from './dbc'
import { DoneStep } from './DoneStep'
import { FileStep, type Chosen } from './FileStep'
import { mapOf, namingsOf, outcomeOf, problemsOf, type Naming } from './naming'
import { NamesStep } from './NamesStep'
import { suggest } from './suggest'

const steps = ['file', 'names', 'check', 'done'] as const
type Step = (typeof steps)[number]

/** DBC files come as UTF-8 or as Windows-1252 from older tools. */
export function decodeText(data: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data)
  } catch {
    return new TextDecoder('windows-1252').decode(data)
  }
}

export default function ImportPage(): JSX.Element {
  const [step, setStep] = createSignal<Step>('file')
  const [chosen, setChosen] = createStore<Chosen>({ file: undefined, name: '', bus: 'can0' })
  const [text, setText] = createSignal('')
  const [read, setRead] = createSignal<DbcFile>()
  const [namings, setNamings] = createStore<Naming[]>([])
  const [busy, setBusy] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const [result, setResult] = createSignal<DbcImportResult>()
  const catalog = useLoad(
    () => true,
    (_, signal) => loadCatalog('', signal),
    { key: 'fqn' },
  )
  const known = createMemo(() => catalog.value()?.items ?? [])
  const problems = createMemo(() => problemsOf(namings, known()))
  const outcome = createMemo(() => outcomeOf(namings, known()))

  async function open(): Promise<void> {
    const file = chosen.file
    if (!file) return
    setBusy(true)
    setError(undefined)
    try {
      // Suggestions come from the catalog as it is: without it every signal would look new.
      if (!catalog.value()) await catalog.again()
      if (!catalog.value()) throw catalog.error() ?? new ApiError(0, t('error.unreachable'), '', '', '')
      setText(decodeText(await file.arrayBuffer()))
      const found = readDbc(text())
      const signals = signalsOf(found)
      if (signals.length === 0) throw new ApiError(422, t('import.empty', { file: file.name, size: bytes(file.size) }), t('import.empty.cure'), '', '')
      setRead(found)
      setNamings(namingsOf(signals, suggest(signals, known())))
      setStep('names')
    } catch (cause) {
      setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause), '', '', ''))
    } finally {
      setBusy(false)
    }
  }

  async function send(): Promise<void> {
    setBusy(true)
    setError(undefined)
    try {
      const map = mapOf(namings)
      setResult(await call('manifest_import', { body: { name: chosen.name, interface: chosen.bus, dbc: text(), ...(map ? { map } : {}) } }))
      setStep('done')
    } catch (cause) {
      // The server knows the text only; people know the file.
      if (cause instanceof ApiError) setError(new ApiError(cause.status, cause.title, cause.detail.replace(/^dbc:/, `${chosen.file?.name ?? 'dbc'}:`), cause.requestId, cause.field))
    } finally {
      setBusy(false)
    }
  }

  const rename = (source: string, name: string): void => {
    const at = namings.findIndex((n) => n.signal.source === source)
    const naming = namings[at]
    if (!naming) return
    setNamings(at, { name, origin: !name ? 'file' : naming.candidates.some((c) => c.fqn === name) ? 'taken' : 'typed' })
  }

  return (
    <div class="page page-fill import">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/signals">{t('page.signals')}</A>
          </p>
          <h1>{t('import.title')}</h1>
        </div>
        <span class="grow" />
        <ol class="steps" aria-label={t('import.steps')}>
          <For each={steps}>{(one) => <li aria-current={step() === one ? 'step' : undefined}>{t(`import.step.${one}`)}</li>}</For>
        </ol>
      </header>
      <Failure error={error()} />
      <Failure error={catalog.error()} retry={() => void catalog.again()} />
      <Switch>
        <Match when={step() === 'file'}>
          <FileStep chosen={chosen} onChange={setChosen} busy={busy()} onNext={() => void open()} />
        </Match>
        <Match when={step() === 'names'}>
          <NamesStep namings={namings} problems={problems()} catalog={known()} partly={catalog.value()?.more ?? false} passed={read()?.passed ?? []} onRename={rename} onBack={() => setStep('file')} onNext={() => setStep('check')} />
        </Match>
        <Match when={step() === 'check'}>
          <CheckStep name={chosen.name} bus={chosen.bus} file={read()} count={namings.length} outcome={outcome()} busy={busy()} onBack={() => setStep('names')} onNext={() => void send()} />
        </Match>
        <Match when={step() === 'done'}>
          <Show when={result()}>{(done) => <DoneStep result={done()} />}</Show>
        </Match>
      </Switch>
    </div>
  )
}
