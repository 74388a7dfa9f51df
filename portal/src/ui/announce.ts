// One polite live region for the whole portal; at most one sentence in five seconds, the newest wins.
import { createSignal } from 'solid-js'

const [message, setMessage] = createSignal('')
export { message }
let last = 0
let waiting: ReturnType<typeof setTimeout> | undefined

export function announce(text: string): void {
  clearTimeout(waiting)
  const wait = Math.max(0, last + 5000 - Date.now())
  waiting = setTimeout(() => {
    last = Date.now()
    setMessage(text)
  }, wait)
}
