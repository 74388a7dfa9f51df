// All vehicles as one table: filter and sort live in the address; opening a row leads to the vehicle.
import { A, useNavigate } from '@solidjs/router'
import { Show, createMemo, createSignal, type JSX } from 'solid-js'
import Plus from 'lucide-solid/icons/plus'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import { failure, refresh, rows, vehicles, type Row } from '../../live/directory'
import { convert, decimal, unitName, whole } from '../../format/number'
import { t } from '../../text/text'
import { Dialog } from '../../ui/Dialog'
import { SelectField, TextField } from '../../ui/Field'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { FleetFilter, matcher } from '../centre/FleetFilter'
import { fleetColumns } from '../centre/Centre'

function number(value: number | undefined, digits: number): JSX.Element {
  return value === undefined || Number.isNaN(value) ? <span class="faint">–</span> : decimal(value, digits)
}

function columns(): Column<Row>[] {
  return [
    ...fleetColumns().map((column) => ({ ...column, ...(column.id === 'name' ? { width: '14rem', narrow: '9rem' } : {}) })),
    { id: 'make', header: t('column.make'), wide: true, cell: (row) => <span class="cut">{`${row.vehicle.make} ${row.vehicle.model}`.trim()}</span>, value: (row) => `${row.vehicle.make} ${row.vehicle.model}`.trim() },
    { id: 'kind', header: t('column.kind'), wide: true, width: '7rem', cell: (row) => <span class="cut">{row.vehicle.kind}</span>, value: (row) => row.vehicle.kind },
    { id: 'fuel', header: t('column.fuel'), unit: '%', align: 'right', wide: true, width: '5.5rem', cell: (row) => number(row.vehicle.fuel, 0), value: (row) => row.vehicle.fuel ?? NaN },
    { id: 'charge', header: t('column.charge'), unit: '%', align: 'right', wide: true, width: '6.5rem', cell: (row) => number(row.vehicle.charge, 0), value: (row) => row.vehicle.charge ?? NaN },
    { id: 'odometer', header: t('column.odometer'), unit: unitName('km'), align: 'right', wide: true, width: '8.5rem', cell: (row) => (row.vehicle.odometer === undefined ? <span class="faint">–</span> : whole(convert(row.vehicle.odometer, 'km'))), value: (row) => Math.round(convert(row.vehicle.odometer ?? NaN, 'km')) },
    { id: 'vin', header: t('column.vin'), wide: true, width: '12rem', cell: (row) => <span class="code">{row.vehicle.vin}</span>, value: (row) => row.vehicle.vin },
    { id: 'manifest', header: t('column.manifest'), wide: true, hidden: true, cell: (row) => <span class="cut">{row.vehicle.manifest}</span>, value: (row) => row.vehicle.manifest },
    { id: 'year', header: t('column.year'), align: 'right', wide: true, hidden: true, width: '5rem', cell: (row) => row.vehicle.year ?? '', value: (row) => row.vehicle.year ?? NaN },
  ]
}

function AddVehicle(props: { onClose: () => void; onDone: (id: number) => void }): JSX.Element {
  const manifests = useLoad(
    () => true,
    (_, signal) => call('manifest_list', signal),
  )
  const [name, setName] = createSignal('')
  const [vin, setVin] = createSignal('')
  const [make, setMake] = createSignal('')
  const [model, setModel] = createSignal('')
  const [manifest, setManifest] = createSignal('')
  const [error, setError] = createSignal<ApiError>()
  const [tried, setTried] = createSignal(false)
  const nameError = (): string | undefined => (/^[A-Za-z0-9_:-]{1,128}$/.test(name()) ? undefined : t('vehicle.name.error'))
  const vinError = (): string | undefined => (/^([A-HJ-NPR-Z0-9]{17})?$/.test(vin()) ? undefined : t('vehicle.vin.error'))
  async function create(): Promise<void> {
    setTried(true)
    if (nameError() || vinError()) return
    try {
      const made = await call('vehicle_create', { body: { name: name(), vin: vin(), make: make(), model: model(), manifest: manifest() } })
      await refresh()
      props.onDone(made.id)
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={t('vehicle.add')} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void create()
        }}
      >
        <TextField label={t('column.vehicle')} value={name()} onInput={setName} help={t('vehicle.name.help')} error={nameError()} force={tried()} code autofocus />
        <TextField label={t('column.vin')} value={vin()} onInput={(v) => setVin(v.toUpperCase())} optional={t('field.optional')} error={vinError()} force={tried()} code />
        <div class="form-pair">
          <TextField label={t('vehicle.make')} value={make()} onInput={setMake} optional={t('field.optional')} />
          <TextField label={t('vehicle.model')} value={model()} onInput={setModel} optional={t('field.optional')} />
        </div>
        <SelectField
          label={t('column.manifest')}
          value={manifest()}
          onChange={setManifest}
          choices={[{ value: '', label: t('vehicle.manifest.none') }, ...(manifests.value()?.items ?? []).map((m) => ({ value: m.name, label: m.name }))]}
          help={t('vehicle.manifest.help')}
        />
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button type="submit" class="button primary">
            {t('vehicle.add')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

export default function Vehicles(): JSX.Element {
  const url = useUrl()
  const navigate = useNavigate()
  const [adding, setAdding] = createSignal(false)
  const asked = (): boolean => adding() || (url.get('add') === '1' && may('vehicle:write'))
  const all = createMemo(rows)
  const found = createMemo(() => all().filter(matcher(url.get('q'), url.get('motion'))))
  return (
    <div class="page page-fill">
      <header class="page-head">
        <h1>{t('page.vehicles')}</h1>
        <span class="grow" />
        <FleetFilter q={url.get('q')} motion={url.get('motion')} onChange={(next) => url.set(next)} />
        <A class="button" href="/fleets">
          {t('fleet.title')}
        </A>
        <Show when={may('vehicle:write')}>
          <button class="button primary" onClick={() => setAdding(true)}>
            <Plus size={16} />
            {t('vehicle.add')}
          </button>
        </Show>
      </header>
      <Failure error={failure()} retry={() => void refresh()} stale={!!vehicles()} />
      <Show when={vehicles()} fallback={<Show when={!failure()}><Skeleton rows={16} /></Show>}>
        <Show when={found().length > 0} fallback={<Empty text={all().length ? t('filter.none') : t('vehicles.none')} />}>
          <Table
            main
            tools
            name="vehicles"
            label={t('page.vehicles')}
            rows={found()}
            columns={columns()}
            rowKey={(row) => row.id}
            sort={url.get('sort') || 'name'}
            sortDown={url.get('down') === '1'}
            onSort={(id, down) => url.set({ sort: id === 'name' && !down ? undefined : id, down: down ? '1' : undefined })}
            onOpen={(row) => navigate(`/vehicles/${row.id}`)}
          />
        </Show>
      </Show>
      <Show when={asked()}>
        <AddVehicle
          onClose={() => {
            setAdding(false)
            url.set({ add: undefined })
          }}
          onDone={(id) => navigate(`/vehicles/${id}`)} />
      </Show>
    </div>
  )
}
