// Third step: what the import will do, before it does it. Only a unit that changes under a name can surprise anybody.
import { For, Show, type JSX } from 'solid-js'
import { unitName, whole } from '../../format/number'
import { t } from '../../text/text'
import { Fqn } from '../../ui/Fqn'
import { Status } from '../../ui/Mark'
import type { DbcFile } from './dbc'
import type { Outcome } from './naming'

interface Props {
  name: string
  bus: string
  file: DbcFile | undefined
  count: number
  outcome: Outcome
  busy: boolean
  onBack: () => void
  onNext: () => void
}

export function CheckStep(props: Props): JSX.Element {
  const facts = (): [string, string][] => [
    [t('import.name'), props.name],
    [t('import.bus'), props.bus],
    [t('import.messages'), whole(props.file?.messages.length ?? 0)],
    [t('column.signals'), whole(props.count)],
    [t('import.known'), whole(props.outcome.known)],
    [t('import.fresh'), whole(props.outcome.fresh)],
  ]
  return (
    <div class="form import-check">
      <dl class="facts">
        <For each={facts()}>
          {([name, value]) => (
            <div>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          )}
        </For>
      </dl>
      <Show when={props.outcome.units.length > 0} fallback={<Status tone="ok">{t('import.units.none')}</Status>}>
        <h2>{t('import.units', { count: props.outcome.units.length })}</h2>
        <p class="soft">{t('import.units.why')}</p>
        <ul class="warnings" tabindex={0} aria-label={t('import.units', { count: props.outcome.units.length })}>
          <For each={props.outcome.units}>
            {(change) => (
              <li>
                <Status tone={change.foreign ? 'critical' : 'warning'}>
                  <Fqn name={change.name} /> {t(change.foreign ? 'import.unit.foreign' : 'import.unit', { before: unitName(change.before, 'metric') || t('signal.nounit'), after: unitName(change.after, 'metric') || t('signal.nounit'), source: change.source })}
                </Status>
              </li>
            )}
          </For>
        </ul>
      </Show>
      <div class="dialog-deeds">
        <button type="button" class="button" onClick={() => props.onBack()}>
          {t('action.back')}
        </button>
        <button type="button" class="button primary" disabled={props.busy} onClick={() => props.onNext()}>
          {props.busy ? t('import.busy') : t('import.run', { count: props.count })}
        </button>
      </div>
    </div>
  )
}
