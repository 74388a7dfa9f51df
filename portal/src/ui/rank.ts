/** Lower is better; -1: no match. Starts beat word starts beat anywhere. */
export function rank(text: string, query: string): number {
  const at = text.toLowerCase().indexOf(query.toLowerCase())
  if (at < 0) return -1
  return at === 0 ? 0 : /[^a-z0-9]/i.test(text[at - 1] ?? '') ? 1 : 2
}
