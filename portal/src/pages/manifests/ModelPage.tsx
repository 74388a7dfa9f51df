// A vehicle model: the signals of the catalog that its vehicles have. A draft's can be chosen; an active one is fixed.
import { useParams } from '@solidjs/router'
import { For, Show, createEffect, createMemo, createSignal, on, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { pages, textOf } from '../../api/document'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import { t } from '../../text/text'
import { Fqn } from '../../ui/Fqn'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { SignalPicker } from '../campaigns/SignalPicker'
import { editable, modelChange, signalOfNode } from './document'
import { ManifestHead } from './ManifestHead'

export default function ModelPage(): JSX.Element {
  const params = useParams()
  const name = (): string => decodeURIComponent(params.name ?? '')
  const [chosen, setChosen] = createSignal<string[]>([])
  const [busy, setBusy] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const model = useLoad(name, (n, signal) => call('model_get', { path: { name: n } }, signal))
  const nodes = useLoad(name, (n, signal) => pages((after) => call('model_nodes', { path: { name: n }, query: { limit: 1000, after } }, signal)))
  const before = createMemo(() => (nodes.value()?.items ?? []).flatMap((node) => signalOfNode(node)?.fqn ?? []))
  createEffect(on(before, (list) => setChosen([...list])))
  const change = createMemo(() => modelChange(before(), chosen()))
  const dirty = (): boolean => Object.keys(change()).length > 0
  const canEdit = (): boolean => may('signal:write') && editable(textOf(model.value() ?? {}, 'status'))
  async function save(): Promise<void> {
    setBusy(true)
    setError(undefined)
    try {
      await call('model_update', { path: { name: name() }, body: { ...change() } })
      await Promise.all([model.again(), nodes.again()])
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    } finally {
      setBusy(false)
    }
  }
  return (
    <div class="page">
      <Show when={model.value()} fallback={<Show when={model.error()} fallback={<Skeleton rows={8} />}><Failure error={model.error()} retry={() => void model.again()} /></Show>}>
        {(document) => (
          <>
            <ManifestHead kind="model" document={document()} dirty={dirty()} onChange={model.again} />
            <Failure error={nodes.error()} retry={() => void nodes.again()} />
            <Show when={nodes.value()} fallback={<Show when={!nodes.error()}><Skeleton rows={8} /></Show>}>
              <Show
                when={canEdit()}
                fallback={
                  <Show when={before().length > 0} fallback={<Empty text={t('manifest.nosignals')} />}>
                    <h2>{t('tree.count', { count: before().length })}</h2>
                    <ul class="collected model-signals" tabindex={0} aria-label={t('tree.count', { count: before().length })}>
                      <For each={before()}>{(fqn) => <li><Fqn class="grow" name={fqn} /></li>}</For>
                    </ul>
                  </Show>
                }
              >
                <SignalPicker plain manifest="" chosen={chosen().map((fqn) => ({ fqn, max: '', period: '' }))} onChange={(next) => setChosen(next.map((s) => s.fqn))} error={undefined} />
                <Failure error={error()} />
                <footer class="editor-foot">
                  <p class="soft grow" role="status">
                    {dirty() ? t('manifest.change', { added: change().nodesToAdd?.length ?? 0, updated: 0, removed: change().nodesToRemove?.length ?? 0 }) : t('manifest.nochange')}
                  </p>
                  <button type="button" class="button" disabled={!dirty()} onClick={() => setChosen([...before()])}>
                    {t('manifest.undo')}
                  </button>
                  <button type="button" class="button primary" disabled={!dirty() || busy()} onClick={() => void save()}>
                    {t('action.save')}
                  </button>
                </footer>
              </Show>
            </Show>
          </>
        )}
      </Show>
    </div>
  )
}
