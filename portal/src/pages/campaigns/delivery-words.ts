// How a destination does, in words and as a mark.
import type { DestinationStatus } from '../../api/types'
import { age, parse } from '../../format/time'
import { t } from '../../text/text'
import type { Tone } from '../../ui/Mark'

export function deliveryTone(d: DestinationStatus): Tone {
  if (d.error) return 'critical'
  return d.waiting > 0 ? 'notice' : d.last ? 'ok' : 'offline'
}

export function deliveryWords(d: DestinationStatus, now: number): string {
  const parts = d.kind === 'mqtt' ? [t('delivery.messages', { count: d.messages })] : [t('delivery.rows', { count: d.rows }), ...(d.kind === 's3' ? [t('delivery.objects', { count: d.objects })] : [])]
  if (d.waiting > 0) parts.push(t('delivery.waiting', { count: d.waiting }))
  parts.push(d.last ? t('delivery.last', { age: age(now - parse(d.last)) }) : t('delivery.nothing'))
  return parts.join(', ')
}
