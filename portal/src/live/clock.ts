// Time as the server has it. Each answer with a server time corrects the difference; a one-second tick redraws ages.
import { createSignal } from 'solid-js'

let difference = 0
let known = false

export function serverSaid(ms: number): void {
  const seen = ms - Date.now()
  // Frames arrive late, never early: keep the largest difference, let it sink slowly when the clocks drift.
  difference = known ? Math.max(seen, difference - 5) : seen
  known = true
}
export const serverNow = (): number => Date.now() + difference

const [second, setSecond] = createSignal(serverNow())
setInterval(() => setSecond(serverNow()), 1000)
/** Reactive: the server's time, renewed each second. */
export { second }
