// Last step: what the server made, with its warnings, and where to go on.
import { A } from '@solidjs/router'
import { For, Show, type JSX } from 'solid-js'
import type { DbcImportResult } from '../../api/types'
import { whole } from '../../format/number'
import { t } from '../../text/text'
import { Status } from '../../ui/Mark'

export function DoneStep(props: { result: DbcImportResult }): JSX.Element {
  return (
    <div class="form import-done">
      <p>
        <Status tone={props.result.warnings.length ? 'warning' : 'ok'}>{t('import.done', { name: props.result.name, count: props.result.signals, messages: whole(props.result.messages) })}</Status>
      </p>
      <dl class="facts">
        <div>
          <dt>{t('import.multiplexed')}</dt>
          <dd>{whole(props.result.multiplexed)}</dd>
        </div>
        <div>
          <dt>{t('import.ieee')}</dt>
          <dd>{whole(props.result.ieee)}</dd>
        </div>
        <div>
          <dt>{t('import.sync')}</dt>
          <dd class="code">{props.result.sync_id}</dd>
        </div>
      </dl>
      <Show when={props.result.warnings.length > 0}>
        <h2>{t('import.warnings', { count: props.result.warnings.length })}</h2>
        <ul class="warnings" tabindex={0} aria-label={t('import.warnings', { count: props.result.warnings.length })}>
          <For each={props.result.warnings}>{(warning) => <li>{warning}</li>}</For>
        </ul>
      </Show>
      <div class="dialog-deeds">
        <A class="button" href={`/signals?manifest=${encodeURIComponent(props.result.name)}`}>
          {t('import.see')}
        </A>
        <A class="button primary" href="/signals">
          {t('action.done')}
        </A>
      </div>
    </div>
  )
}
