// A network interface for a draft: saved at once, so that decoders can be put on it.
import { Show, createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { t, word } from '../../text/text'
import { Dialog } from '../../ui/Dialog'
import { SelectField, TextField } from '../../ui/Field'
import { Failure } from '../../ui/Notice'
import { interfaceDocument, interfaceTypes, type InterfaceType } from './document'

export function AddInterface(props: { manifest: string; taken: ReadonlySet<string>; onClose: () => void; onDone: () => void }): JSX.Element {
  const [id, setId] = createSignal('')
  const [name, setName] = createSignal('')
  const [type, setType] = createSignal<InterfaceType>('CAN_INTERFACE')
  const [request, setRequest] = createSignal('2015')
  const [tried, setTried] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const idError = (): string | undefined => (!/^[-a-zA-Z0-9_.]{1,50}$/.test(id()) ? t('interface.id.error') : props.taken.has(id()) ? t('naming.twice', { other: id() }) : undefined)
  const nameError = (): string | undefined => (/^[A-Za-z0-9_:-]{1,100}$/.test(name() || id()) ? undefined : t('editor.name.error'))
  const requestError = (): string | undefined => (type() !== 'OBD_INTERFACE' || (/^\d{1,9}$/.test(request()) && Number(request()) <= 0x1fffffff) ? undefined : t('interface.request.error'))
  async function add(): Promise<void> {
    setTried(true)
    if (idError() || nameError() || requestError()) return
    try {
      await call('decoder_update', { path: { name: props.manifest }, body: { networkInterfacesToAdd: [interfaceDocument(id(), type(), name() || id(), Number(request()))] } })
      props.onDone()
      props.onClose()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={t('interface.add')} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void add()
        }}
      >
        <SelectField label={t('column.type')} value={type()} onChange={setType} choices={interfaceTypes.map((value) => ({ value, label: word('interface.type', value) }))} />
        <TextField label={t('interface.id')} value={id()} onInput={setId} error={idError()} force={tried()} code autofocus />
        <TextField label={t('interface.name')} value={name()} onInput={setName} optional={t('field.optional')} error={nameError()} force={tried()} code />
        <Show when={type() === 'OBD_INTERFACE'}>
          <TextField label={t('interface.request')} value={request()} onInput={setRequest} error={requestError()} force={tried()} class="field-short" code />
        </Show>
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary">{t('interface.add')}</button>
        </div>
      </form>
    </Dialog>
  )
}
