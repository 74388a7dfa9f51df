/** Pause before try n (0 first): between half of and the whole of a doubling step from 0.5 s to 15 s. */
export function pause(attempt: number, random: () => number = Math.random): number {
  const step = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10))
  return step / 2 + (random() * step) / 2
}
