// Keys that work everywhere outside text fields: "/" search, j and k the main list, g then a letter, "?", Ctrl K.
import { onCleanup } from 'solid-js'

export interface ListKeys {
  step: (by: number) => void
  open: () => void
}
const lists: ListKeys[] = []

/** The newest main list of the page answers to j, k and o. */
export function listKeys(list: ListKeys): void {
  lists.push(list)
  onCleanup(() => lists.splice(lists.indexOf(list), 1))
}

export interface GlobalKeys {
  palette: () => void
  help: () => void
  go: (letter: string) => boolean
}

export function writing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

export function installKeys(keys: GlobalKeys): void {
  let lead = 0
  const press = (event: KeyboardEvent): void => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      keys.palette()
      return
    }
    if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || document.querySelector('dialog[open]')) return
    if (lead && Date.now() - lead < 1200) {
      lead = 0
      if (keys.go(event.key.toLowerCase())) event.preventDefault()
      return
    }
    const list = lists[lists.length - 1]
    switch (event.key) {
      case 'g':
        lead = Date.now()
        break
      case '?':
        event.preventDefault()
        keys.help()
        break
      case '/': {
        event.preventDefault()
        const field = document.querySelector<HTMLInputElement>('input[data-search]')
        if (field && field.offsetParent) field.focus()
        else keys.palette()
        break
      }
      case 'j':
        list?.step(1)
        break
      case 'k':
        list?.step(-1)
        break
      case 'o':
        list?.open()
        break
    }
  }
  addEventListener('keydown', press)
  onCleanup(() => removeEventListener('keydown', press))
}
