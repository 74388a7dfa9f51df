// Where a campaign's data goes beside the platform's own history: object stores and MQTT topics, each with its own complaints.
import { For, Show, type JSX } from 'solid-js'
import Plus from 'lucide-solid/icons/plus'
import { t } from '../../text/text'
import { SelectField, TextField } from '../../ui/Field'
import { destinationComplaint, emptyDestination, type Destination } from './draft'

export function DestinationFields(props: { destinations: readonly Destination[]; onChange: (next: Destination[]) => void; force: boolean; kept: boolean }): JSX.Element {
  const change = (at: number, part: Partial<Destination>): void => props.onChange(props.destinations.map((d, i) => (i === at ? { ...d, ...part } : d)))
  const add = (kind: Destination['kind']): void => props.onChange([...props.destinations, emptyDestination(kind)])
  // By place: while one types, the list's objects are replaced, and the field must stay.
  const places = (): number[] => props.destinations.map((_, i) => i)
  return (
    <div class="destinations">
      <p class="small soft">{t(props.kept ? 'destination.history.shown' : 'destination.history')}</p>
      <For each={places()}>
        {(at) => {
          const own = (): Destination => props.destinations[at] ?? emptyDestination('s3')
          const wrong = (): ReturnType<typeof destinationComplaint> => destinationComplaint(own())
          return (
            <fieldset class="destination">
              <legend>{t(`destination.${own().kind}`)}</legend>
              <Show
                when={own().kind === 's3'}
                fallback={<TextField label={t('destination.topic')} value={own().topic} onInput={(topic) => change(at, { topic })} help={t('destination.topic.help')} error={wrong().topic} force={props.force} code />}
              >
                <div class="form-pair">
                  <TextField label={t('destination.bucket')} value={own().bucket} onInput={(bucket) => change(at, { bucket })} error={wrong().bucket} force={props.force} code />
                  <TextField label={t('destination.prefix')} value={own().prefix} onInput={(prefix) => change(at, { prefix })} optional={t('field.optional')} help={t('destination.prefix.help')} error={wrong().prefix} force={props.force} code />
                </div>
                <div class="form-pair">
                  <SelectField label={t('destination.format')} value={own().format} onChange={(format) => change(at, { format })} choices={[{ value: 'parquet', label: t('destination.format.parquet') }, { value: 'json', label: t('destination.format.json') }]} />
                  <SelectField label={t('destination.compression')} value={own().compression} onChange={(compression) => change(at, { compression })} choices={[{ value: 'gzip', label: t('destination.compression.gzip') }, { value: 'none', label: t('destination.compression.none') }]} />
                </div>
              </Show>
              <button type="button" class="button quiet" onClick={() => props.onChange(props.destinations.filter((_, i) => i !== at))}>
                {t('destination.remove')}
              </button>
            </fieldset>
          )
        }}
      </For>
      <p class="deeds">
        <button type="button" class="button" onClick={() => add('s3')}>
          <Plus size={16} />
          {t('destination.add.s3')}
        </button>
        <button type="button" class="button" onClick={() => add('mqtt')}>
          <Plus size={16} />
          {t('destination.add.mqtt')}
        </button>
      </p>
    </div>
  )
}
