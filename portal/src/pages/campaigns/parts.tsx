// What list, page and editor of campaigns share: status, target and trigger in words, the bar of vehicle states.
import { Show, type JSX } from 'solid-js'
import type { Campaign } from '../../api/types'
import { call } from '../../api/client'
import { span } from '../../format/time'
import { t, word } from '../../text/text'
import type { Question } from '../../ui/Confirm'
import { Mark, Status, type Tone } from '../../ui/Mark'

export const statusTone: Record<Campaign['status'], Tone> = { draft: 'plain', running: 'ok', suspended: 'notice', ended: 'offline' }

export function CampaignStatus(props: { status: Campaign['status'] }): JSX.Element {
  return <Status tone={statusTone[props.status]}>{word('campaign', props.status)}</Status>
}

export function targetWords(c: Pick<Campaign, 'target_kind' | 'target'>): string {
  return c.target_kind === 'all' ? t('target.all') : c.target_kind === 'fleet' ? t('target.fleet', { name: c.target ?? '' }) : c.target_kind === 'manifest' ? t('target.manifest', { name: c.target ?? '' }) : t('target.vehicle', { name: c.target ?? '' })
}

export function period(ms: number): string {
  return ms < 1000 ? `${ms} ms` : ms % 1000 === 0 ? span(ms) : `${ms / 1000} s`
}

export function triggerWords(c: Pick<Campaign, 'kind' | 'period_ms' | 'expression'>): string {
  return c.kind === 'time' ? t('trigger.time', { period: period(c.period_ms ?? 0) }) : t('trigger.condition')
}

/** One bar, three shares; the numbers stand beside it, so that nothing depends on colour. */
export function Shares(props: { healthy: number; pending: number; refused: number }): JSX.Element {
  const total = (): number => Math.max(1, props.healthy + props.pending + props.refused)
  const percent = (n: number): string => `${(n * 100) / total()}%`
  return (
    <span class="shares">
      <span class="shares-bar" aria-hidden="true">
        <span class="share share-ok" style={{ width: percent(props.healthy) }} />
        <span class="share share-notice" style={{ width: percent(props.pending) }} />
        <span class="share share-critical" style={{ width: percent(props.refused) }} />
      </span>
      <span class="shares-words">
        <span>{t('share.healthy', { count: props.healthy })}</span>
        <Show when={props.pending}>
          <span>
            <Mark tone="notice" /> {t('share.pending', { count: props.pending })}
          </span>
        </Show>
        <Show when={props.refused}>
          <span class="critical-text">
            <Mark tone="critical" /> {t('share.refused', { count: props.refused })}
          </span>
        </Show>
      </span>
    </span>
  )
}

export type Deed = 'run' | 'suspend' | 'end' | 'delete'

export function deedsOf(c: Campaign): Deed[] {
  switch (c.status) {
    case 'draft':
      return ['run', 'delete']
    case 'running':
      return ['suspend', 'end', 'delete']
    case 'suspended':
      return ['run', 'end', 'delete']
    case 'ended':
      return ['delete']
  }
}

export function questionOf(c: Campaign, deed: Deed, after: () => Promise<void>): Question {
  const count = c.vehicles
  const resume = deed === 'run' && c.status === 'suspended'
  const key = resume ? 'resume' : deed
  return {
    title: t(`deed.${key}.title` as 'deed.run.title', { name: c.name }),
    text: t(`deed.${key}.text` as 'deed.run.text', { count }),
    deed: t(`deed.${key}.do` as 'deed.run.do', { count }),
    danger: deed === 'delete' || deed === 'end',
    act: async () => {
      if (deed === 'delete') await call('campaign_delete', { path: { id: c.id } })
      else await call('campaign_status', { path: { id: c.id }, body: { status: deed === 'run' ? 'running' : deed === 'suspend' ? 'suspended' : 'ended' } })
      await after()
    },
  }
}
