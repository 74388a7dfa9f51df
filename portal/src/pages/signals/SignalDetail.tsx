// One signal of the catalog: what it means, in which unit, between which bounds, by which names.
import { For, Show, type JSX } from 'solid-js'
import type { SignalInfo } from '../../api/types'
import { may } from '../../api/session'
import { signalValue, unitName } from '../../format/number'
import { t } from '../../text/text'
import { Fqn } from '../../ui/Fqn'

export function SignalDetail(props: { signal: SignalInfo }): JSX.Element {
  const bound = (value: number | undefined): string => (value === undefined ? t('signal.nobound') : signalValue(value, props.signal.unit, 'metric'))
  return (
    <section class="signal-detail" aria-label={t('signal.about')}>
      <h2><Fqn name={props.signal.fqn} /></h2>
      <Show when={props.signal.description}>
        <p>{props.signal.description}</p>
      </Show>
      <dl class="facts">
        <div><dt>{t('column.unit')}</dt><dd>{unitName(props.signal.unit, 'metric') || t('signal.nounit')}</dd></div>
        <div><dt>{t('column.type')}</dt><dd class="code">{props.signal.type}</dd></div>
        <div><dt>{t('column.min')}</dt><dd>{bound(props.signal.min)}</dd></div>
        <div><dt>{t('column.max')}</dt><dd>{bound(props.signal.max)}</dd></div>
        <div><dt>{t('column.id')}</dt><dd class="code">{props.signal.id}</dd></div>
      </dl>
      <Show when={props.signal.values?.length}>
        <h3>{t('column.names')}</h3>
        <dl class="signal-names">
          <For each={props.signal.values}>{(v) => <div><dt class="code">{v.value}</dt><dd>{v.name}</dd></div>}</For>
        </dl>
      </Show>
      <Show when={may('campaign:write')}>
        <p><a class="button" href={`/campaigns/new?signal=${encodeURIComponent(props.signal.fqn)}`}>{t('signal.collect')}</a></p>
      </Show>
    </section>
  )
}
