// A decoder manifest: its signals on the left, one decoder's form and document on the right, saved together or not at all.
import { useParams } from '@solidjs/router'
import { Show, createEffect, createMemo, createSignal, on, type JSX } from 'solid-js'
import Search from 'lucide-solid/icons/search'
import { ApiError, call } from '../../api/client'
import { pages, textOf } from '../../api/document'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import { t, word } from '../../text/text'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { branch, shortName } from '../vehicle/signal-name'
import { AddDecoder } from './AddDecoder'
import { AddInterface } from './AddInterface'
import { DecoderEditor } from './DecoderEditor'
import { canonical, changeCount, decoderChange, decoderComplaints, editable, fieldValue, typeOf, type Document } from './document'
import { ManifestHead } from './ManifestHead'

const stacked = matchMedia('(max-width: 1180px)')
const fqnOf = (d: Document): string => textOf(d, 'fullyQualifiedName')

/** A decoder's place on its bus in a few words: the identifier of its frame and its bits. */
export function placeOf(d: Document): string {
  switch (typeOf(d)) {
    case 'CAN_SIGNAL': {
      const id = fieldValue(d, 'CAN_SIGNAL', 'messageId')
      return typeof id === 'number' ? `0x${id.toString(16).toUpperCase()} ${String(fieldValue(d, 'CAN_SIGNAL', 'startBit'))}|${String(fieldValue(d, 'CAN_SIGNAL', 'length'))}` : ''
    }
    case 'OBD_SIGNAL':
      return t('decoder.obd', { mode: String(fieldValue(d, 'OBD_SIGNAL', 'serviceMode')), pid: String(fieldValue(d, 'OBD_SIGNAL', 'pid')) })
    case 'MESSAGE_SIGNAL':
      return String(fieldValue(d, 'MESSAGE_SIGNAL', 'topicName') ?? '')
    case 'CUSTOM_DECODING_SIGNAL':
      return String(fieldValue(d, 'CUSTOM_DECODING_SIGNAL', 'id') ?? '')
    default:
      return ''
  }
}

export default function DecoderPage(): JSX.Element {
  const params = useParams()
  const url = useUrl()
  const name = (): string => decodeURIComponent(params.name ?? '')
  const [edited, setEdited] = createSignal<readonly Document[]>([])
  const [busy, setBusy] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  let side!: HTMLDivElement
  /** On narrow screens a decoder stands below the list. */
  const reveal = (): void => queueMicrotask(() => stacked.matches && side.scrollIntoView({ block: 'start' }))
  const [adding, setAdding] = createSignal<'decoder' | 'interface'>()
  const manifest = useLoad(name, (n, signal) => call('decoder_get', { path: { name: n } }, signal))
  const decoders = useLoad(name, (n, signal) => pages((after) => call('decoder_signals', { path: { name: n }, query: { limit: 1000, after } }, signal)), { key: 'fullyQualifiedName' })
  const interfaces = useLoad(name, (n, signal) => pages((after) => call('decoder_interfaces', { path: { name: n }, query: { limit: 1000, after } }, signal)), { key: 'interfaceId' })
  // Plain copies: what is edited must not be the store that the next answer is merged into.
  const before = createMemo((): readonly Document[] => JSON.parse(JSON.stringify(decoders.value()?.items ?? [])) as Document[])
  createEffect(on(before, (list) => setEdited(list)))
  const was = createMemo(() => new Map(before().map((d) => [fqnOf(d), canonical(d)])))
  const change = createMemo(() => decoderChange(before(), edited()))
  const dirty = (): boolean => changeCount(change()) > 0
  const canEdit = (): boolean => may('signal:write') && editable(textOf(manifest.value() ?? {}, 'status'))
  const wrong = createMemo(() => new Map(edited().map((d) => [fqnOf(d), decoderComplaints(d, interfaces.value()?.items ?? [])[0]?.text])))
  const wrongCount = (): number => [...wrong().values()].filter(Boolean).length
  const chosen = createMemo(() => edited().find((d) => fqnOf(d) === url.get('signal')))
  const rows = createMemo(() => {
    const words = url.get('q').toLowerCase().split(/\s+/).filter(Boolean)
    return edited().filter((d) => words.every((w) => `${fqnOf(d)} ${placeOf(d)} ${textOf(d, 'interfaceId')}`.toLowerCase().includes(w)))
  })
  /** "…; Vehicle.Speed: the start bit …" of a refusal: what it says of one decoder. */
  const refusedOf = (fqn: string): string | undefined => (error()?.detail.includes(`${fqn}:`) ? error()?.detail.slice(error()?.detail.indexOf(`${fqn}:`)).split(',')[0] : undefined)
  const put = (fqn: string, next: Document): void => {
    setEdited(edited().map((d) => (fqnOf(d) === fqn ? next : d)))
    if (fqnOf(next) !== fqn) url.set({ signal: fqnOf(next) })
  }
  async function save(): Promise<void> {
    setBusy(true)
    setError(undefined)
    try {
      await call('decoder_update', { path: { name: name() }, body: { ...change() } })
      await Promise.all([manifest.again(), decoders.again()])
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    } finally {
      setBusy(false)
    }
  }
  const columns = (): Column<Document>[] => [
    { id: 'name', header: t('column.signal'), cell: (d) => <span class="cut" title={fqnOf(d)}><span class="signals-name">{shortName(fqnOf(d))}</span> <span class="faint small">{branch(fqnOf(d))}</span></span>, value: fqnOf },
    { id: 'place', header: t('decoder.place'), width: '10rem', cell: (d) => <span class="code small cut">{placeOf(d)}</span>, value: placeOf },
    { id: 'interface', header: t('decoder.interface'), width: '7rem', wide: true, hidden: true, cell: (d) => <span class="cut">{textOf(d, 'interfaceId')}</span>, value: (d) => textOf(d, 'interfaceId') },
    {
      id: 'state', header: t('column.state'), width: '8rem',
      cell: (d) => {
        const bad = (): string | undefined => wrong().get(fqnOf(d))
        const state = (): 'wrong' | 'new' | 'changed' | 'same' => (bad() ? 'wrong' : !was().has(fqnOf(d)) ? 'new' : was().get(fqnOf(d)) !== canonical(d) ? 'changed' : 'same')
        return <span title={bad()}><Show when={state() !== 'same'}><Status tone={state() === 'wrong' ? 'critical' : 'notice'}>{word('decoder.state', state())}</Status></Show></span>
      },
      value: (d) => (wrong().get(fqnOf(d)) ? 0 : was().get(fqnOf(d)) === canonical(d) ? 2 : 1),
    },
  ]
  return (
    <div class="page page-fill">
      <Show when={manifest.value()} fallback={<Show when={manifest.error()} fallback={<Skeleton rows={10} />}><Failure error={manifest.error()} retry={() => void manifest.again()} /></Show>}>
        {(document) => (
          <>
            <ManifestHead kind="decoder" document={document()} dirty={dirty()} onChange={manifest.again} />
            <Failure error={decoders.error()} retry={() => void decoders.again()} />
            <Failure error={interfaces.error()} retry={() => void interfaces.again()} />
            <Failure error={error()} />
            <div class="decoder-page">
              <section class="vocabulary-list" aria-label={t('column.signals')} onClick={(event) => event.target.closest('tbody tr') && reveal()}>
                <div class="import-tools">
                  <span class="search">
                    <Search size={16} />
                    <input data-search type="search" class="input" aria-label={t('signals.search')} placeholder={t('signals.search')} value={url.get('q')} onInput={(event) => url.set({ q: event.currentTarget.value })} />
                  </span>
                  <Show when={canEdit()}>
                    <button class="button" onClick={() => setAdding('decoder')}>
                      {t('decoder.add')}
                    </button>
                    <button class="button" onClick={() => setAdding('interface')}>
                      {t('interface.add')}
                    </button>
                  </Show>
                </div>
                <Show when={decoders.value()} fallback={<Show when={!decoders.error()}><Skeleton rows={10} /></Show>}>
                  <Show when={rows().length > 0} fallback={<Empty text={url.get('q') ? t('signals.nomatch') : t('manifest.nosignals')} />}>
                    <Table main tools name="decoders" label={t('column.signals')} rows={rows()} columns={columns()} rowKey={fqnOf} activeKey={url.get('signal')} sort="name" onActive={(d) => url.set({ signal: fqnOf(d) })} onOpen={reveal} />
                  </Show>
                </Show>
              </section>
              <div class="decoder-side" ref={side}>
                <Show when={chosen()} fallback={<p class="soft catalog-none">{t(canEdit() ? 'decoder.choose' : 'decoder.choose.fixed')}</p>}>
                  {(decoder) => (
                    <DecoderEditor
                      decoder={decoder()}
                      interfaces={interfaces.value()?.items ?? []}
                      readonly={!canEdit()}
                      refused={refusedOf(fqnOf(decoder()))}
                      onChange={(next) => put(fqnOf(decoder()), next)}
                      onRemove={() => setEdited(edited().filter((d) => d !== decoder()))}
                    />
                  )}
                </Show>
              </div>
            </div>
            <Show when={canEdit()}>
              <footer class="editor-foot">
                <p class="soft grow" role="status">
                  {wrongCount() > 0 ? t('decoder.wrong', { count: wrongCount() }) : dirty() ? t('manifest.change', { added: change().signalDecodersToAdd?.length ?? 0, updated: change().signalDecodersToUpdate?.length ?? 0, removed: change().signalDecodersToRemove?.length ?? 0 }) : t('manifest.nochange')}
                </p>
                <button type="button" class="button" disabled={!dirty()} onClick={() => setEdited(before())}>
                  {t('manifest.undo')}
                </button>
                <button type="button" class="button primary" disabled={!dirty() || wrongCount() > 0 || busy()} onClick={() => void save()}>
                  {t('action.save')}
                </button>
              </footer>
            </Show>
            <Show when={adding() === 'interface'}>
              <AddInterface manifest={name()} taken={new Set((interfaces.value()?.items ?? []).map((one) => textOf(one, 'interfaceId')))} onClose={() => setAdding(undefined)} onDone={() => void interfaces.again()} />
            </Show>
            <Show when={adding() === 'decoder'}>
              <AddDecoder
                model={textOf(document(), 'modelManifestArn')}
                taken={new Set(edited().map(fqnOf))}
                interfaces={interfaces.value()?.items ?? []}
                onClose={() => setAdding(undefined)}
                onAdd={(decoder) => {
                  setEdited([...edited(), decoder])
                  setAdding(undefined)
                  url.set({ signal: fqnOf(decoder) })
                }}
              />
            </Show>
          </>
        )}
      </Show>
    </div>
  )
}
