// A DBC file becomes catalog entries, a vehicle model and a decoder manifest. Its result, warnings and errors stay readable.
import { For, Show, createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import type { DbcImportResult } from '../../api/types'
import { bytes, whole } from '../../format/number'
import { t } from '../../text/text'
import { Dialog } from '../../ui/Dialog'
import { Field, TextField } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Failure } from '../../ui/Notice'

const largest = 16_000_000

/** DBC files come as UTF-8 or as Windows-1252 from older tools. */
export function decodeText(data: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(data)
  } catch {
    return new TextDecoder('windows-1252').decode(data)
  }
}

export function ImportDialog(props: { onClose: () => void; onDone: () => void }): JSX.Element {
  const [file, setFile] = createSignal<File>()
  const [name, setName] = createSignal('')
  let suggested = '' // from the file's name; follows the file until someone types another
  const [bus, setBus] = createSignal('can0')
  const [map, setMap] = createSignal('')
  const [tried, setTried] = createSignal(false)
  const [busy, setBusy] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const [result, setResult] = createSignal<DbcImportResult>()

  const fileError = (): string | undefined => {
    const chosen = file()
    if (!chosen) return t('import.file.error')
    return chosen.size > largest ? t('import.file.large', { size: bytes(chosen.size), most: bytes(largest) }) : undefined
  }
  const nameError = (): string | undefined => (/^[A-Za-z0-9_:-]{1,100}$/.test(name()) ? undefined : t('import.name.error'))
  const busError = (): string | undefined => (/^[-a-zA-Z0-9_.]{1,50}$/.test(bus()) ? undefined : t('import.bus.error'))
  const mapError = (): string | undefined => {
    if (!map().trim()) return undefined
    try {
      JSON.parse(map())
      return undefined
    } catch {
      return t('import.map.error')
    }
  }
  async function send(): Promise<void> {
    setTried(true)
    const chosen = file()
    if (!chosen || fileError() || nameError() || busError() || mapError()) return
    setBusy(true)
    setError(undefined)
    try {
      const dbc = decodeText(await chosen.arrayBuffer())
      setResult(await call('manifest_import', { body: { name: name(), interface: bus(), dbc, ...(map().trim() ? { map: map() } : {}) } }))
      props.onDone()
    } catch (cause) {
      // The server knows the text only; people know the file.
      if (cause instanceof ApiError) setError(new ApiError(cause.status, cause.title, cause.detail.replace(/^dbc:/, `${file()?.name ?? 'dbc'}:`), cause.requestId, cause.field))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog title={t('import.title')} onClose={() => props.onClose()} wide>
      <Show
        when={result()}
        fallback={
          <form
            class="form"
            onSubmit={(event) => {
              event.preventDefault()
              void send()
            }}
          >
            <Field label={t('import.file')} help={t('import.file.help')} error={fileError()} force={tried()}>
              {(ids) => (
                <input
                  id={ids().id}
                  class="input file"
                  type="file"
                  accept=".dbc,text/plain"
                  aria-describedby={ids().describedBy}
                  aria-invalid={ids().invalid || undefined}
                  onChange={(event) => {
                    const chosen = event.currentTarget.files?.[0]
                    setFile(chosen)
                    if (!chosen || (name() && name() !== suggested)) return
                    suggested = chosen.name.replace(/\.dbc$/i, '').replace(/[^A-Za-z0-9_:-]+/g, '-')
                    setName(suggested)
                  }}
                />
              )}
            </Field>
            <div class="form-pair">
              <TextField label={t('import.name')} value={name()} onInput={setName} error={nameError()} force={tried()} help={t('import.name.help')} code />
              <TextField label={t('import.bus')} value={bus()} onInput={setBus} error={busError()} force={tried()} help={t('import.bus.help')} code />
            </div>
            <Field label={t('import.map')} optional={t('field.optional')} help={t('import.map.help')} error={mapError()} force={tried()}>
              {(ids) => <textarea id={ids().id} class="input code" rows={3} spellcheck={false} value={map()} aria-describedby={ids().describedBy} aria-invalid={ids().invalid || undefined} onInput={(event) => setMap(event.currentTarget.value)} onBlur={() => ids().leave()} />}
            </Field>
            <Failure error={error()} />
            <div class="dialog-deeds">
              <button type="button" class="button" onClick={() => props.onClose()}>
                {t('action.cancel')}
              </button>
              <button class="button primary" disabled={busy()}>
                {busy() ? t('import.busy') : t('import.do')}
              </button>
            </div>
          </form>
        }
      >
        {(done) => (
          <div class="form">
            <p>
              <Status tone={done().warnings.length ? 'warning' : 'ok'}>{t('import.done', { name: done().name, count: done().signals, messages: whole(done().messages) })}</Status>
            </p>
            <dl class="facts">
              <div>
                <dt>{t('import.multiplexed')}</dt>
                <dd>{whole(done().multiplexed)}</dd>
              </div>
              <div>
                <dt>{t('import.ieee')}</dt>
                <dd>{whole(done().ieee)}</dd>
              </div>
              <div>
                <dt>{t('import.sync')}</dt>
                <dd class="code">{done().sync_id}</dd>
              </div>
            </dl>
            <Show when={done().warnings.length > 0}>
              <h3>{t('import.warnings', { count: done().warnings.length })}</h3>
              <ul class="warnings" tabindex={0} aria-label={t('import.warnings', { count: done().warnings.length })}>
                <For each={done().warnings}>{(warning) => <li>{warning}</li>}</For>
              </ul>
            </Show>
            <div class="dialog-deeds">
              <button class="button primary" onClick={() => props.onClose()}>
                {t('action.done')}
              </button>
            </div>
          </div>
        )}
      </Show>
    </Dialog>
  )
}
