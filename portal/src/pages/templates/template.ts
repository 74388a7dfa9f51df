// State templates: what stands in the form, what is wrong with it, and commands in words.
import type { StateCommand, VehicleTemplate } from '../../api/types'
import { span } from '../../format/time'
import { t, word } from '../../text/text'
import type { Tone } from '../../ui/Mark'

export interface TemplateDraft {
  name: string
  description: string
  signals: string[]
}

export function complaintsOf(d: TemplateDraft, editing: boolean): { name?: string; signals?: string } {
  return {
    ...(editing || /^[A-Za-z0-9_:-]{1,100}$/.test(d.name) ? {} : { name: t('editor.name.error') }),
    ...(d.signals.length ? {} : { signals: t('editor.signals.error') }),
  }
}

export const templateTone: Record<VehicleTemplate['state'], Tone> = { healthy: 'ok', pending: 'notice', none: 'offline' }

export const commandTone: Record<StateCommand['status'], Tone> = { sent: 'notice', in_progress: 'notice', succeeded: 'ok', failed: 'critical', timed_out: 'warning', no_answer: 'warning' }

/** A command that is under way: the list is asked sooner. */
export const underWay = (c: Pick<StateCommand, 'status'>): boolean => c.status === 'sent' || c.status === 'in_progress'

export function howSent(x: Pick<VehicleTemplate, 'period_ms'>): string {
  return x.period_ms ? t('template.every', { span: x.period_ms % 1000 ? `${x.period_ms} ms` : span(x.period_ms) }) : t('template.onchange')
}

export function commandWords(c: Pick<StateCommand, 'status' | 'reason' | 'text'>): string {
  const said = [c.text ?? '', c.reason ? t('template.reason', { reason: c.reason }) : ''].filter(Boolean).join(', ')
  return said ? `${word('command', c.status)}: ${said}` : word('command', c.status)
}

/** Whole seconds from 0 to a year, or undefined when the text is no such number; empty is 0. */
export function secondsOf(text: string): number | undefined {
  if (text.trim() === '') return 0
  return /^\d{1,8}$/.test(text.trim()) && Number(text) <= 31_536_000 ? Number(text) : undefined
}
