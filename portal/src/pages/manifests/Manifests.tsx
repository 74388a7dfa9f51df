// Vehicle models and decoder manifests in any state: what each is made for, and whether it is fixed or may still change.
import { A, useNavigate } from '@solidjs/router'
import { Show, createMemo, createSignal, type JSX } from 'solid-js'
import Plus from 'lucide-solid/icons/plus'
import { ApiError, call } from '../../api/client'
import { nameOfArn, pages, textOf, timeOf } from '../../api/document'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { FleetwiseDocument } from '../../api/types'
import { moment } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { Dialog } from '../../ui/Dialog'
import { Segments, SelectField, TextField } from '../../ui/Field'
import { Status, type Tone } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'

type Kind = 'decoders' | 'models'

export const manifestTone = (status: string): Tone => (status === 'ACTIVE' ? 'ok' : status === 'DRAFT' ? 'notice' : status === 'INVALID' ? 'critical' : 'offline')

export function ManifestStatus(props: { status: string }): JSX.Element {
  return <Status tone={manifestTone(props.status)}>{word('manifest.status', props.status)}</Status>
}

/** A decoder manifest is made for an active model; a model for a catalog. Both begin as drafts. */
function CreateDialog(props: { kind: Kind; onClose: () => void; onDone: (name: string) => void }): JSX.Element {
  const [name, setName] = createSignal('')
  const [parent, setParent] = createSignal('')
  const [tried, setTried] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const parents = useLoad(
    () => props.kind,
    async (kind, signal) => pages((after) => (kind === 'decoders' ? call('model_list', { query: { limit: 1000, after } }, signal) : call('catalog_list', { query: { limit: 1000, after } }, signal))),
    { key: 'name' },
  )
  const usable = createMemo(() => (parents.value()?.items ?? []).filter((p) => props.kind === 'models' || p.status === 'ACTIVE'))
  const chosen = (): string => parent() || textOf(usable()[0] ?? {}, 'arn')
  const nameError = (): string | undefined => (/^[A-Za-z0-9_:-]{1,100}$/.test(name()) ? undefined : t('editor.name.error'))
  async function create(): Promise<void> {
    setTried(true)
    if (nameError() || !chosen()) return
    try {
      if (props.kind === 'decoders') await call('decoder_create', { body: { name: name(), modelManifestArn: chosen() } })
      else await call('model_create', { body: { name: name(), signalCatalogArn: chosen(), nodes: [] } })
      props.onDone(name())
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={t(`manifest.add.${props.kind}`)} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void create()
        }}
      >
        <TextField label={t('editor.name')} value={name()} onInput={setName} error={nameError()} force={tried()} code autofocus />
        <Failure error={parents.error()} retry={() => void parents.again()} />
        <SelectField label={t(props.kind === 'decoders' ? 'manifest.model' : 'fleet.catalog')} value={chosen()} onChange={setParent} help={parents.value() && usable().length === 0 ? t(props.kind === 'decoders' ? 'manifest.nomodel' : 'fleet.catalog.none') : undefined} choices={usable().map((p) => ({ value: textOf(p, 'arn'), label: textOf(p, 'name') }))} />
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary" disabled={!chosen()}>
            {t('manifest.create')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

export default function Manifests(): JSX.Element {
  const url = useUrl()
  const navigate = useNavigate()
  const [adding, setAdding] = createSignal(false)
  const kind = (): Kind => (url.get('kind') === 'models' ? 'models' : 'decoders')
  const list = useLoad(
    kind,
    (which, signal) => pages((after) => (which === 'decoders' ? call('decoder_list', { query: { limit: 1000, after } }, signal) : call('model_list', { query: { limit: 1000, after } }, signal))),
    { key: 'name' },
  )
  const parentKey = (): string => (kind() === 'decoders' ? 'modelManifestArn' : 'signalCatalogArn')
  const pathOf = (d: FleetwiseDocument): string => `/signals/${kind()}/${encodeURIComponent(textOf(d, 'name'))}`
  const columns = (): Column<FleetwiseDocument>[] => [
    { id: 'name', header: t('editor.name'), cell: (d) => <A class="cut cell-name" tabindex={-1} href={pathOf(d)}>{textOf(d, 'name')}</A>, value: (d) => textOf(d, 'name') },
    { id: 'status', header: t('column.status'), width: '9rem', cell: (d) => <ManifestStatus status={textOf(d, 'status')} />, value: (d) => textOf(d, 'status') },
    { id: 'parent', header: t(kind() === 'decoders' ? 'manifest.model' : 'fleet.catalog'), wide: true, cell: (d) => <span class="cut">{nameOfArn(textOf(d, parentKey()))}</span>, value: (d) => nameOfArn(textOf(d, parentKey())) },
    { id: 'description', header: t('column.description'), wide: true, cell: (d) => <span class="cut soft">{textOf(d, 'description')}</span>, value: (d) => textOf(d, 'description') },
    { id: 'updated', header: t('column.updated'), align: 'right', wide: true, width: '10rem', cell: (d) => <span class="soft">{moment(timeOf(d, 'lastModificationTime'), second())}</span>, value: (d) => timeOf(d, 'lastModificationTime') },
  ]
  return (
    <div class="page page-fill">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/signals">{t('page.signals')}</A>
          </p>
          <h1>{t('manifest.all')}</h1>
        </div>
        <span class="grow" />
        <Segments label={t('manifest.kind')} hideLabel value={kind()} choices={[{ value: 'decoders', label: t('manifest.title') }, { value: 'models', label: t('manifest.models') }]} onChange={(next) => url.set({ kind: next === 'models' ? next : undefined })} />
        <Show when={may('signal:write')}>
          <button class="button primary" onClick={() => setAdding(true)}>
            <Plus size={16} />
            {t(`manifest.add.${kind()}`)}
          </button>
        </Show>
      </header>
      <Failure error={list.error()} stale={!!list.value()} retry={() => void list.again()} />
      <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={8} /></Show>}>
        {(value) => (
          <Show when={value().items.length > 0} fallback={<Empty text={t(`manifest.none.${kind()}`)} />}>
            <Table main tools name={`manifests-${kind()}`} label={t('manifest.all')} rows={value().items} columns={columns()} rowKey={(d) => textOf(d, 'name')} sort="name" onOpen={(d) => navigate(pathOf(d))} />
          </Show>
        )}
      </Show>
      <Show when={adding()}>
        <CreateDialog kind={kind()} onClose={() => setAdding(false)} onDone={(name) => navigate(`/signals/${kind()}/${encodeURIComponent(name)}`)} />
      </Show>
    </div>
  )
}
