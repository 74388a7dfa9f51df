// The browser's own dialog: it keeps the focus inside and closes on Escape. One at a time.
import { onCleanup, onMount, type JSX } from 'solid-js'
import X from 'lucide-solid/icons/x'
import { t } from '../text/text'

export function Dialog(props: { title: string; onClose: () => void; children: JSX.Element; wide?: boolean }): JSX.Element {
  let box!: HTMLDialogElement
  onMount(() => box.showModal())
  onCleanup(() => box.close())
  return (
    <dialog
      ref={box}
      class="dialog"
      classList={{ 'dialog-wide': props.wide }}
      aria-label={props.title}
      onCancel={(event) => {
        event.preventDefault()
        props.onClose()
      }}
      onClick={(event) => event.target === box && props.onClose()}
    >
      <div class="dialog-in">
        <header class="dialog-head">
          <h2>{props.title}</h2>
          <button class="button quiet icon-only" onClick={() => props.onClose()} aria-label={t('action.close')} title={t('action.close')}>
            <X size={16} />
          </button>
        </header>
        {props.children}
      </div>
    </dialog>
  )
}
