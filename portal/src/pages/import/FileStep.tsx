// First step: the file, the manifest's name, the bus.
import { createSignal, type JSX } from 'solid-js'
import type { SetStoreFunction } from 'solid-js/store'
import { A } from '@solidjs/router'
import { bytes } from '../../format/number'
import { t } from '../../text/text'
import { Field, TextField } from '../../ui/Field'

export interface Chosen {
  file: File | undefined
  name: string
  bus: string
}

const plainName = (file: File): string => file.name.replace(/\.dbc$/i, '').replace(/[^A-Za-z0-9_:-]+/g, '-')
const largest = 16_000_000

export function FileStep(props: { chosen: Chosen; onChange: SetStoreFunction<Chosen>; busy: boolean; onNext: () => void }): JSX.Element {
  const [tried, setTried] = createSignal(false)
  const fileError = (): string | undefined => {
    const file = props.chosen.file
    if (!file) return t('import.file.error')
    return file.size > largest ? t('import.file.large', { size: bytes(file.size), most: bytes(largest) }) : undefined
  }
  const nameError = (): string | undefined => (/^[A-Za-z0-9_:-]{1,100}$/.test(props.chosen.name) ? undefined : t('import.name.error'))
  const busError = (): string | undefined => (/^[-a-zA-Z0-9_.]{1,50}$/.test(props.chosen.bus) ? undefined : t('import.bus.error'))
  return (
    <form
      class="form import-file"
      onSubmit={(event) => {
        event.preventDefault()
        setTried(true)
        if (!fileError() && !nameError() && !busError()) props.onNext()
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
              const file = event.currentTarget.files?.[0]
              // The manifest's name follows the file until someone types another.
              const own = props.chosen.name === '' || (props.chosen.file !== undefined && props.chosen.name === plainName(props.chosen.file))
              // A File is no plain object: the store keeps it as it is.
              props.onChange('file', () => file)
              if (file && own) props.onChange('name', plainName(file))
            }}
          />
        )}
      </Field>
      <div class="form-pair">
        <TextField label={t('import.name')} value={props.chosen.name} onInput={(name) => props.onChange('name', name)} error={nameError()} force={tried()} help={t('import.name.help')} code />
        <TextField label={t('import.bus')} value={props.chosen.bus} onInput={(bus) => props.onChange('bus', bus)} error={busError()} force={tried()} help={t('import.bus.help')} code />
      </div>
      <div class="dialog-deeds">
        <A class="button" href="/signals">
          {t('action.cancel')}
        </A>
        <button class="button primary" disabled={props.busy}>
          {props.busy ? t('import.reading') : t('import.next.names')}
        </button>
      </div>
    </form>
  )
}
