// The status marks: each colour has its own shape, so that none depends on hue.
import type { JSX } from 'solid-js'
import type { Motion } from '../live/frame'
import { t, word } from '../text/text'

export type Tone = 'ok' | 'notice' | 'warning' | 'critical' | 'offline' | 'plain'

export function Mark(props: { tone: Tone }): JSX.Element {
  return (
    <svg class={`mark mark-${props.tone}`} viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
      {props.tone === 'ok' && <circle cx="8" cy="8" r="5" fill="currentColor" />}
      {props.tone === 'plain' && <circle cx="8" cy="8" r="4" fill="currentColor" />}
      {props.tone === 'notice' && <circle cx="8" cy="8" r="4.5" fill="none" stroke="currentColor" stroke-width="3" />}
      {props.tone === 'warning' && <path d="M8 2l6.5 12h-13z" fill="currentColor" />}
      {props.tone === 'critical' && <path d="M8 1l7 7-7 7-7-7z" fill="currentColor" />}
      {props.tone === 'offline' && <circle cx="8" cy="8" r="4.5" fill="none" stroke="currentColor" stroke-width="2" />}
    </svg>
  )
}

export function Status(props: { tone: Tone; children: JSX.Element }): JSX.Element {
  return (
    <span class="status">
      <Mark tone={props.tone} />
      <span>{props.children}</span>
    </span>
  )
}

export const motionTone: Record<Motion, Tone> = { moving: 'ok', idle: 'notice', parked: 'plain', offline: 'offline', unknown: 'offline' }

export function MotionStatus(props: { motion: Motion; late?: boolean }): JSX.Element {
  return <Status tone={props.late ? 'warning' : motionTone[props.motion]}>{props.late ? t('motion.late') : word('motion', props.motion)}</Status>
}
