// A button with a small sheet under it. Closes on Escape, on a click elsewhere, and when the focus leaves.
import { Show, createSignal, createUniqueId, onCleanup, type JSX } from 'solid-js'

export function Menu(props: { label: string; icon?: JSX.Element; children: JSX.Element; class?: string; hideLabel?: boolean; end?: JSX.Element }): JSX.Element {
  const [open, setOpen] = createSignal(false)
  const id = createUniqueId()
  let box!: HTMLDivElement
  let button!: HTMLButtonElement
  const outside = (event: PointerEvent): void => {
    if (!box.contains(event.target as Node)) setOpen(false)
  }
  document.addEventListener('pointerdown', outside)
  onCleanup(() => document.removeEventListener('pointerdown', outside))
  return (
    <div
      class="menu"
      ref={box}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && open()) {
          event.stopPropagation()
          setOpen(false)
          button.focus()
        }
      }}
      onFocusOut={(event) => {
        if (event.relatedTarget instanceof Node && !box.contains(event.relatedTarget)) setOpen(false)
      }}
    >
      <button
        ref={button}
        class={`button quiet ${props.class ?? ''}`}
        aria-expanded={open()}
        aria-controls={open() ? id : undefined}
        aria-label={props.hideLabel ? props.label : undefined}
        title={props.hideLabel ? props.label : undefined}
        onClick={() => setOpen(!open())}
      >
        {props.icon}
        <Show when={!props.hideLabel}>{props.label}</Show>
        {props.end}
      </button>
      <Show when={open()}>
        <div class="menu-sheet" id={id} onClick={(event) => (event.target as HTMLElement).closest('a, button') && setOpen(false)}>
          {props.children}
        </div>
      </Show>
    </div>
  )
}
