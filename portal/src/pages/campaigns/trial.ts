// A dry run in words: what it would have sent, of whom, and what that comes to in a day. Every number is the server's.
import type { CampaignDryRun, CampaignDryRunVehicle } from '../../api/types'
import { bytes, decimal, whole } from '../../format/number'
import { t } from '../../text/text'
import type { Tone } from '../../ui/Mark'

export const spans = { hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const
export type Span = keyof typeof spans

export const vehicleTone: Record<CampaignDryRunVehicle['state'], Tone> = { done: 'ok', cut: 'notice', no_data: 'offline', not_reached: 'warning' }

/** Small sums keep the digits that make them one; nothing at all for what has no price: 0 would be a claim. */
export function moneyWords(amount: number, currency: string): string {
  if (!(amount > 0)) return ''
  const digits = amount >= 1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(amount)))
  return `${decimal(amount, digits)} ${currency}`
}

export interface Figure {
  name: string
  value: string
}

const withMoney = (list: Figure[], amount: number, currency: string): Figure[] => {
  const words = moneyWords(amount, currency)
  return words ? [...list, { name: t('cost.money'), value: words }] : list
}

/** What the vehicles that were looked at would have sent. */
export function triedOf(run: CampaignDryRun): Figure[] {
  return withMoney(
    [
      { name: t('try.triggers'), value: whole(run.triggers) },
      { name: t('column.messages'), value: whole(run.messages) },
      { name: t('try.rows'), value: whole(run.rows) },
      { name: t('cost.bytes'), value: bytes(run.bytes) },
    ],
    run.money,
    run.currency,
  )
}

/** The same for a day of all that the campaign is for; nothing when no vehicle had data. */
export function dailyOf(run: CampaignDryRun): Figure[] {
  if (!(run.days > 0)) return []
  return withMoney(
    [
      { name: t('column.messages'), value: whole(run.messages_a_day) },
      { name: t('try.rows'), value: whole(run.rows_a_day) },
      { name: t('cost.bytes'), value: bytes(run.bytes_a_day) },
    ],
    run.money_a_day,
    run.currency,
  )
}
