// Help around trigger expressions. The server alone judges them; this finds the place it means and writes signal names.
const encoder = new TextEncoder()

/** The server counts bytes of UTF-8, text fields count UTF-16 units: the index in the text of byte `at`. */
export function indexOfByte(text: string, at: number): number {
  let bytes = 0
  let index = 0
  for (const character of text) {
    if (bytes >= at) return index
    bytes += encoder.encode(character).length
    index += character.length
  }
  return index
}

export interface Place {
  line: number
  column: number
  before: string
  mark: string
  after: string
}

/** The line of the error, cut around it: what stands before, the character it points at, what follows. */
export function placeOf(text: string, at: number): Place {
  const index = Math.min(indexOfByte(text, at), text.length)
  const start = text.lastIndexOf('\n', index - 1) + 1
  const stop = text.indexOf('\n', index)
  const line = text.slice(start, stop < 0 ? undefined : stop)
  const within = index - start
  const from = Math.max(0, within - 32)
  return {
    line: text.slice(0, start).split('\n').length,
    column: within + 1,
    before: (from > 0 ? '…' : '') + line.slice(from, within),
    mark: [...line.slice(within)][0] ?? '',
    after: line.slice(within + ([...line.slice(within)][0] ?? '').length, within + 32),
  }
}

export const variable = (fqn: string): string => `$variable.\`${fqn}\``

/** Puts text where the caret is, with the spaces it needs; gives the new text and caret. */
export function insert(text: string, from: number, to: number, piece: string): { text: string; caret: number } {
  const before = text.slice(0, from)
  const after = text.slice(to)
  const left = before && !/[\s(!]$/.test(before) ? ' ' : ''
  const right = after && !/^[\s)]/.test(after) ? ' ' : ''
  return { text: before + left + piece + right + after, caret: before.length + left.length + piece.length }
}

export const operators: { piece: string; word: 'and' | 'or' | 'not' | 'compare' | 'isnull' | 'window' }[] = [
  { piece: '&&', word: 'and' },
  { piece: '||', word: 'or' },
  { piece: '!', word: 'not' },
  { piece: '>', word: 'compare' },
  { piece: '<', word: 'compare' },
  { piece: '==', word: 'compare' },
  { piece: '!=', word: 'compare' },
  { piece: 'isNull()', word: 'isnull' },
  { piece: 'last_window_avg()', word: 'window' },
]

/** The server's words name the byte; people see the place itself, as line, column and mark. */
export function errorWords(error: string | undefined): string {
  const plain = (error ?? '').replace(/^expression(, byte \d+)?: /, '').trim()
  return plain && `${plain.charAt(0).toUpperCase()}${plain.slice(1)}${/[.?]$/.test(plain) ? '' : '.'}`
}
