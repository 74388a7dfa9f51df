// Connects, ends and refusals, newest first, each with its reason. A take-over stands out: it is what two devices with one id look like.
import { A } from '@solidjs/router'
import { For, Show, type JSX } from 'solid-js'
import type { ConnectionEvent } from '../../api/types'
import { moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Mark, type Tone } from '../../ui/Mark'
import { Empty } from '../../ui/Notice'
import { clientPath, eventWords, takeOverOf, type TakeOver } from './client'

const toneOf = (e: ConnectionEvent): Tone => (e.kind === 'connected' ? 'ok' : takeOverOf(e) ? 'warning' : e.code >= 128 ? 'critical' : 'offline')

export function takeOverWords(what: TakeOver): string {
  const key = what.sameHost ? 'takeover.again' : 'takeover.two'
  return what.to === undefined ? t('takeover.one', { from: what.from }) : t(key, { from: what.from, to: what.to })
}

export function EventList(props: { events: ConnectionEvent[]; of?: string; empty: string }): JSX.Element {
  return (
    <Show when={props.events.length > 0} fallback={<Empty text={props.empty} />}>
      <ol class="event-list" tabindex={0} aria-label={t('event.title')}>
        <For each={props.events}>
          {(e) => (
            <li classList={{ 'event-takeover': !!takeOverOf(e) }}>
              <Mark tone={toneOf(e)} />
              <span class="event-time soft">{moment(parse(e.time), second())}</span>
              <span class="event-what">
                <Show when={props.of === undefined} fallback={<span class="code">{e.address}</span>}>
                  <Show when={e.client_id} fallback={<span class="code">{e.address}</span>}>
                    <A class="code" href={clientPath(e.client_id)}>
                      {e.client_id}
                    </A>
                  </Show>
                </Show>
                <Show when={takeOverOf(e)}>{(what) => <strong class="event-alarm">{takeOverWords(what())}</strong>}</Show>
                <span class="soft">{eventWords(e)}</span>
              </span>
            </li>
          )}
        </For>
      </ol>
    </Show>
  )
}
