// The head that models and decoder manifests share: where it belongs, its status, and what can be done with the whole of it.
import { A, useNavigate } from '@solidjs/router'
import { Show, createSignal, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { nameOfArn, textOf } from '../../api/document'
import { may } from '../../api/session'
import type { FleetwiseDocument } from '../../api/types'
import { t } from '../../text/text'
import { Confirm, type Question } from '../../ui/Confirm'
import { ManifestStatus } from './Manifests'

interface Props {
  kind: 'model' | 'decoder'
  document: FleetwiseDocument
  /** Changes that are not saved: they must not be lost by another button. */
  dirty: boolean
  onChange: () => Promise<void>
}

export function ManifestHead(props: Props): JSX.Element {
  const navigate = useNavigate()
  const [question, setQuestion] = createSignal<Question>()
  const name = (): string => textOf(props.document, 'name')
  const status = (): string => textOf(props.document, 'status')
  const parent = (): string => nameOfArn(textOf(props.document, props.kind === 'decoder' ? 'modelManifestArn' : 'signalCatalogArn'))
  const update = async (next: 'ACTIVE' | 'DRAFT'): Promise<void> => {
    await (props.kind === 'decoder' ? call('decoder_update', { path: { name: name() }, body: { status: next } }) : call('model_update', { path: { name: name() }, body: { status: next } }))
    await props.onChange()
  }
  const turn = (next: 'ACTIVE' | 'DRAFT'): void => {
    setQuestion({ title: t(`manifest.${next}.title`, { name: name() }), text: t(`manifest.${next}.text.${props.kind}`), deed: t(`manifest.${next}.do`), act: () => update(next) })
  }
  const remove = (): void => {
    setQuestion({
      title: t('manifest.delete.title', { name: name() }),
      text: t(`manifest.delete.text.${props.kind}`),
      deed: t('manifest.delete'),
      danger: true,
      act: async () => {
        await (props.kind === 'decoder' ? call('decoder_delete', { path: { name: name() } }) : call('model_delete', { path: { name: name() } }))
        navigate(`/signals/manifests${props.kind === 'model' ? '?kind=models' : ''}`)
      },
    })
  }
  return (
    <header class="page-head">
      <div class="page-title">
        <p class="crumb small">
          <A href="/signals">{t('page.signals')}</A> <A href={`/signals/manifests${props.kind === 'model' ? '?kind=models' : ''}`}>{t(props.kind === 'model' ? 'manifest.models' : 'manifest.title')}</A>
        </p>
        <h1>{name()}</h1>
        <p class="summary-line">
          <ManifestStatus status={status()} />
          <Show when={props.kind === 'decoder'} fallback={<span class="soft">{t('manifest.of.catalog', { name: parent() })}</span>}>
            <A class="soft" href={`/signals/models/${encodeURIComponent(parent())}`}>{t('manifest.of.model', { name: parent() })}</A>
          </Show>
        </p>
        <Show when={textOf(props.document, 'description')}>
          <p class="soft">{textOf(props.document, 'description')}</p>
        </Show>
        <Show when={textOf(props.document, 'message')}>
          <p class="small">{textOf(props.document, 'message')}</p>
        </Show>
      </div>
      <span class="grow" />
      <Show when={props.kind === 'decoder' && status() === 'ACTIVE'}>
        <A class="button" href={`/signals/decoders/${encodeURIComponent(name())}/compare`}>
          {t('compare.do')}
        </A>
      </Show>
      <Show when={may('signal:write')}>
        <div class="deeds">
          <Show when={status() === 'ACTIVE'} fallback={<button class="button" disabled={props.dirty} title={props.dirty ? t('manifest.savefirst') : undefined} onClick={() => turn('ACTIVE')}>{t('manifest.ACTIVE.do')}</button>}>
            <button class="button" onClick={() => turn('DRAFT')}>
              {t('manifest.DRAFT.do')}
            </button>
          </Show>
          <button class="button danger-text" onClick={remove}>
            {t('manifest.delete')}
          </button>
        </div>
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </header>
  )
}
