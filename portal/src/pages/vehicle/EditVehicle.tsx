// What a vehicle is: make, model, year, VIN, and the manifest that decodes it. Its name is its identity and stays.
import { createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { Vehicle } from '../../api/types'
import { t } from '../../text/text'
import { Dialog } from '../../ui/Dialog'
import { SelectField, TextField } from '../../ui/Field'
import { Failure } from '../../ui/Notice'

export function EditVehicle(props: { vehicle: Vehicle; onClose: () => void; onDone: () => void }): JSX.Element {
  const manifests = useLoad(
    () => true,
    (_, signal) => call('manifest_list', signal),
  )
  const [vin, setVin] = createSignal(props.vehicle.vin)
  const [make, setMake] = createSignal(props.vehicle.make)
  const [model, setModel] = createSignal(props.vehicle.model)
  const [year, setYear] = createSignal(props.vehicle.year ? String(props.vehicle.year) : '')
  const [manifest, setManifest] = createSignal(props.vehicle.manifest)
  const [error, setError] = createSignal<ApiError>()
  const [tried, setTried] = createSignal(false)
  const [busy, setBusy] = createSignal(false)
  const vinError = (): string | undefined => (/^([A-HJ-NPR-Z0-9]{17})?$/.test(vin()) ? undefined : t('vehicle.vin.error'))
  const yearError = (): string | undefined => (/^((19|20)\d\d)?$/.test(year()) ? undefined : t('vehicle.year.error'))
  // The one that it has stands in the list before the others have come.
  const choices = (): { value: string; label: string }[] => [...new Set(['', props.vehicle.manifest, ...(manifests.value()?.items ?? []).map((m) => m.name)])].map((name) => ({ value: name, label: name || t('vehicle.manifest.none') }))
  async function save(): Promise<void> {
    setTried(true)
    if (vinError() || yearError()) return
    setBusy(true)
    try {
      await call('vehicle_update', { path: { id: props.vehicle.id }, body: { vin: vin(), make: make(), model: model(), manifest: manifest(), ...(year() ? { year: Number(year()) } : {}) } })
      props.onDone()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog title={t('vehicle.editing', { name: props.vehicle.name })} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void save()
        }}
      >
        <SelectField label={t('column.manifest')} value={manifest()} onChange={setManifest} choices={choices()} help={t('vehicle.manifest.help')} />
        <TextField label={t('column.vin')} value={vin()} onInput={(v) => setVin(v.toUpperCase())} optional={t('field.optional')} error={vinError()} force={tried()} code />
        <div class="form-pair">
          <TextField label={t('vehicle.make')} value={make()} onInput={setMake} optional={t('field.optional')} />
          <TextField label={t('vehicle.model')} value={model()} onInput={setModel} optional={t('field.optional')} />
        </div>
        <TextField label={t('column.year')} value={year()} onInput={setYear} optional={t('field.optional')} error={yearError()} force={tried()} class="field-short" />
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button type="submit" class="button primary" disabled={busy()}>
            {t('action.save')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
