// Asks once, naming what will be hit. The button says the deed, not "OK".
import { Show, createSignal, type JSX } from 'solid-js'
import { ApiError } from '../api/client'
import { t } from '../text/text'
import { Dialog } from './Dialog'
import { Failure } from './Notice'

export interface Question {
  title: string
  text: string
  deed: string
  danger?: boolean
  act: () => Promise<void>
}

export function Confirm(props: { question: Question; onClose: () => void }): JSX.Element {
  const [busy, setBusy] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  async function act(): Promise<void> {
    setBusy(true)
    try {
      await props.question.act()
      props.onClose()
    } catch (cause) {
      setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause), '', '', ''))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog title={props.question.title} onClose={() => props.onClose()}>
      <p class="dialog-text">{props.question.text}</p>
      <Show when={error()}>
        <Failure error={error()} />
      </Show>
      <div class="dialog-deeds">
        <button class="button" onClick={() => props.onClose()} autofocus>
          {t('action.cancel')}
        </button>
        <button class={`button ${props.question.danger ? 'danger' : 'primary'}`} disabled={busy()} onClick={() => void act()}>
          {props.question.deed}
        </button>
      </div>
    </Dialog>
  )
}
