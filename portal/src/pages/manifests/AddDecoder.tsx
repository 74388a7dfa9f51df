// A decoder for a signal of the model that has none yet.
import { For, createMemo, createSignal, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { nameOfArn, pages, textOf } from '../../api/document'
import { useLoad } from '../../api/load'
import { t, word } from '../../text/text'
import { Dialog } from '../../ui/Dialog'
import { Field, SelectField } from '../../ui/Field'
import { Failure } from '../../ui/Notice'
import { decoderTypes, emptyDecoder, interfaceFor, signalOfNode, type DecoderType, type Document } from './document'

export function AddDecoder(props: { model: string; taken: ReadonlySet<string>; interfaces: readonly Document[]; onClose: () => void; onAdd: (decoder: Document) => void }): JSX.Element {
  const [fqn, setFqn] = createSignal('')
  const [type, setType] = createSignal<DecoderType>('CAN_SIGNAL')
  const [tried, setTried] = createSignal(false)
  const nodes = useLoad(
    () => nameOfArn(props.model) || undefined,
    (name, signal) => pages((after) => call('model_nodes', { path: { name }, query: { limit: 1000, after } }, signal)),
  )
  const free = createMemo(() => (nodes.value()?.items ?? []).flatMap((node) => signalOfNode(node)?.fqn ?? []).filter((name) => !props.taken.has(name)))
  const nameError = (): string | undefined => (props.taken.has(fqn()) ? t('decoder.taken') : nodes.value() && !free().includes(fqn()) ? t('decoder.notinmodel') : undefined)
  const bus = (): string => textOf(props.interfaces.find((one) => one.type === interfaceFor[type()]) ?? {}, 'interfaceId')
  const busError = (): string | undefined => (bus() ? undefined : t('decoder.nobus'))
  return (
    <Dialog title={t('decoder.add')} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          setTried(true)
          if (!nameError() && !busError()) props.onAdd(emptyDecoder(fqn(), bus(), type()))
        }}
      >
        <Failure error={nodes.error()} retry={() => void nodes.again()} />
        <Field label={t('column.signal')} error={nameError()} force={tried()} help={t('decoder.free', { count: free().length })}>
          {(ids) => (
            <>
              <input id={ids().id} class="input code" list="decoder-free" autocomplete="off" spellcheck={false} value={fqn()} aria-describedby={ids().describedBy} aria-invalid={ids().invalid || undefined} onBlur={() => ids().leave()} onInput={(event) => setFqn(event.currentTarget.value)} />
              <datalist id="decoder-free">
                <For each={free().slice(0, 2000)}>{(name) => <option value={name} />}</For>
              </datalist>
            </>
          )}
        </Field>
        <SelectField label={t('column.type')} value={type()} onChange={setType} choices={decoderTypes.map((value) => ({ value, label: word('decoder.type', value) }))} error={busError()} force />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary">{t('decoder.add')}</button>
        </div>
      </form>
    </Dialog>
  )
}
