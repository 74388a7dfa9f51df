// A complaint that appears on leaving a field moves what stands below it: while a pointer is down its click would miss. So it waits for the release.
let down = false
addEventListener('pointerdown', () => (down = true), true)
for (const name of ['pointerup', 'pointercancel']) addEventListener(name, () => (down = false), true)

/** Now, or when the pointer that is down has been released and its click was delivered. */
export function afterPress(act: () => void): void {
  if (!down) {
    act()
    return
  }
  const released = (): void => {
    removeEventListener('pointerup', released, true)
    removeEventListener('pointercancel', released, true)
    setTimeout(act)
  }
  addEventListener('pointerup', released, true)
  addEventListener('pointercancel', released, true)
}
