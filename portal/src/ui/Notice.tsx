// What a page says when it has nothing, waits, or failed. Errors: what happened, what still works, what to try, request id.
import { For, Show, type JSX } from 'solid-js'
import type { ApiError } from '../api/client'
import { t } from '../text/text'
import { Mark } from './Mark'

export function Failure(props: { error: ApiError | undefined; retry?: () => void; stale?: boolean }): JSX.Element {
  return (
    <Show when={props.error}>
      {(error) => (
        <div class="failure" role="alert">
          <Mark tone="critical" />
          <div class="grow">
            <p>
              <strong>{error().title}</strong>
              <Show when={error().detail}>
                {' '}
                <span>{error().detail}</span>
              </Show>
            </p>
            <p class="small soft">
              {/* A refusal says itself what to do; only failures get advice. */}
              {props.stale ? t('error.stale') : error().status === 0 || error().status >= 500 ? t('error.try') : ''}
              <Show when={error().requestId}>
                {' '}
                {t('error.request')} <code>{error().requestId}</code>
              </Show>
            </p>
          </div>
          <Show when={props.retry}>
            {(retry) => (
              <button class="button" onClick={() => retry()()}>
                {t('action.retry')}
              </button>
            )}
          </Show>
        </div>
      )}
    </Show>
  )
}

export function Empty(props: { text: string; children?: JSX.Element }): JSX.Element {
  return (
    <div class="empty">
      <p>{props.text}</p>
      {props.children}
    </div>
  )
}

/** Grey bars where rows will stand. */
export function Skeleton(props: { rows: number }): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label={t('state.loading')}>
      <For each={Array.from({ length: props.rows })}>{(_, i) => <div class={`skeleton-row skeleton-${i() % 4}`} />}</For>
    </div>
  )
}
