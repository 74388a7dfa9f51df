// What the editor holds while one types, how it becomes a request, and what is wrong with it.
import type { Campaign, CampaignCreate, CampaignDestination, CampaignReachAsk, CampaignUpdate } from '../../api/types'
import { t } from '../../text/text'

export interface Collected {
  fqn: string
  max: string
  period: string
}
export interface Destination {
  kind: 's3' | 'mqtt'
  bucket: string
  prefix: string
  format: 'parquet' | 'json'
  compression: 'gzip' | 'none'
  topic: string
}
export interface Draft {
  name: string
  description: string
  targetKind: 'all' | 'fleet' | 'manifest' | 'vehicle'
  target: string
  kind: 'time' | 'condition'
  period: string
  expression: string
  interval: string
  edge: boolean
  after: string
  compress: boolean
  persist: boolean
  priority: string
  start: string
  expiry: string
  signals: Collected[]
  destinations: Destination[]
  /** Names of vehicle attributes, separated by commas or spaces. */
  dimensions: string
}

export const emptyDestination = (kind: Destination['kind']): Destination => ({ kind, bucket: '', prefix: '', format: 'parquet', compression: 'gzip', topic: '' })

export const emptyDraft = (): Draft => ({
  name: '', description: '', targetKind: 'all', target: '', kind: 'time', period: '10000', expression: '', interval: '1000', edge: true, after: '0',
  compress: true, persist: true, priority: '0', start: '', expiry: '', signals: [], destinations: [], dimensions: '',
})

export function draftOf(c: Campaign, local: (ms: number) => string): Draft {
  return {
    name: c.name,
    description: c.description ?? '',
    targetKind: c.target_kind,
    target: c.target ?? '',
    kind: c.kind,
    period: String(c.period_ms ?? 10000),
    expression: c.expression ?? '',
    interval: String(c.min_interval_ms ?? 0),
    edge: c.rising_edge ?? false,
    after: String(c.after_ms ?? 0),
    compress: c.compress ?? false,
    persist: c.persist ?? false,
    priority: String(c.priority ?? 0),
    start: c.start ? local(Date.parse(c.start)) : '',
    expiry: c.expiry ? local(Date.parse(c.expiry)) : '',
    signals: c.signals.map((s) => ({ fqn: s.fqn, max: s.max_samples ? String(s.max_samples) : '', period: s.min_period_ms ? String(s.min_period_ms) : '' })),
    // Time series are kept of every campaign: that one cannot be taken away, so it is no field.
    destinations: c.destinations.flatMap((d) => (d.kind === 'timeseries' ? [] : [{ ...emptyDestination(d.kind), bucket: d.bucket ?? '', prefix: d.prefix ?? '', format: d.format ?? 'parquet', compression: d.compression ?? 'gzip', topic: d.topic ?? '' }])),
    dimensions: c.dimensions.join(', '),
  }
}

const whole = (text: string, low: number, high: number): boolean => /^\d+$/.test(text) && Number(text) >= low && Number(text) <= high

export const dimensionsOf = (text: string): string[] => [...new Set(text.split(/[\s,;]+/).filter(Boolean))]

/** What is wrong with one destination, by its field. */
export function destinationComplaint(d: Destination): { bucket?: string; topic?: string; prefix?: string } {
  if (d.kind === 'mqtt') return /[#+]/.test(d.topic) || !d.topic.trim() || d.topic.length > 256 ? { topic: t('destination.topic.error') } : {}
  return {
    ...(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(d.bucket) ? {} : { bucket: t('destination.bucket.error') }),
    ...(d.prefix.length <= 512 && /^[a-zA-Z0-9_:./!*'()-]*$/.test(d.prefix) ? {} : { prefix: t('destination.prefix.error') }),
  }
}

const sent = (d: Destination): CampaignDestination => (d.kind === 'mqtt' ? { kind: 'mqtt', topic: d.topic } : { kind: 's3', bucket: d.bucket, format: d.format, compression: d.compression, ...(d.prefix ? { prefix: d.prefix } : {}) })

export type Complaints = Partial<Record<keyof Draft, string>>

export function complaintsOf(d: Draft, editing: boolean): Complaints {
  const out: Complaints = {}
  if (!editing && !/^[A-Za-z0-9_:-]{1,100}$/.test(d.name)) out.name = t('editor.name.error')
  if (d.targetKind !== 'all' && !d.target) out.target = t(d.targetKind === 'manifest' ? 'editor.target.manifest.error' : d.targetKind === 'fleet' ? 'editor.target.fleet.error' : 'editor.target.vehicle.error')
  if (d.kind === 'time' && !whole(d.period, 10, 86_400_000)) out.period = t('editor.period.error')
  if (d.kind === 'condition' && !d.expression.trim()) out.expression = t('editor.expression.error')
  if (d.kind === 'condition' && !whole(d.interval, 0, 86_400_000)) out.interval = t('editor.ms.error')
  if (!whole(d.after, 0, 86_400_000)) out.after = t('editor.ms.error')
  if (!whole(d.priority, 0, 1000)) out.priority = t('editor.priority.error')
  if (d.start && d.expiry && Date.parse(d.expiry) <= Date.parse(d.start)) out.expiry = t('editor.expiry.error')
  if (d.signals.length === 0) out.signals = t('editor.signals.error')
  else if (d.signals.some((s) => (s.max && !whole(s.max, 0, 4294967295)) || (s.period && !whole(s.period, 0, 4294967295)))) out.signals = t('editor.signals.number')
  if (d.destinations.some((one) => Object.keys(destinationComplaint(one)).length)) out.destinations = t('destination.error')
  if (dimensionsOf(d.dimensions).some((name) => !/^[A-Za-z0-9._]{1,150}$/.test(name))) out.dimensions = t('editor.dimensions.error')
  return out
}

/** Where the data goes: only what was changed is sent, so that a destination this form cannot show stays as it is. */
function outOf(d: Draft, was: Draft | undefined): Pick<CampaignUpdate, 'destinations' | 'dimensions'> {
  const now = { destinations: d.destinations.map(sent), dimensions: dimensionsOf(d.dimensions) }
  const before = was ? { destinations: was.destinations.map(sent), dimensions: dimensionsOf(was.dimensions) } : { destinations: [], dimensions: [] }
  return JSON.stringify(now) === JSON.stringify(before) ? {} : now
}

export function requestOf(d: Draft, was?: Draft): CampaignUpdate {
  return {
    description: d.description,
    target_kind: d.targetKind,
    target: d.targetKind === 'all' ? '' : d.target,
    kind: d.kind,
    ...(d.kind === 'time' ? { period_ms: Number(d.period) } : { expression: d.expression, min_interval_ms: Number(d.interval), rising_edge: d.edge }),
    after_ms: Number(d.after),
    compress: d.compress,
    persist: d.persist,
    priority: Number(d.priority),
    ...(d.start ? { start: new Date(d.start).toISOString() } : {}),
    ...(d.expiry ? { expiry: new Date(d.expiry).toISOString() } : {}),
    signals: d.signals.map((s) => ({ fqn: s.fqn, ...(s.max ? { max_samples: Number(s.max) } : {}), ...(s.period ? { min_period_ms: Number(s.period) } : {}) })),
    ...outOf(d, was),
  }
}

/** What decides on which vehicles it would run. */
export function reachAsk(d: Draft): CampaignReachAsk {
  return {
    target_kind: d.targetKind,
    target: d.targetKind === 'all' ? '' : d.target,
    signals: d.signals.map((s) => s.fqn),
    ...(d.kind === 'condition' ? { expression: d.expression } : {}),
  }
}

export function createOf(d: Draft, startNow: boolean): CampaignCreate {
  return { name: d.name, start_now: startNow, ...requestOf(d) }
}
