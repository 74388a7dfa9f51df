// A device shadow as rows: one for each leaf that is desired or reported. Arrays are leaves: AWS takes them as a whole.
export interface ShadowState {
  desired?: Record<string, unknown>
  reported?: Record<string, unknown>
}

export interface ShadowDoc {
  state?: ShadowState
  metadata?: ShadowState
  version?: number
  timestamp?: number
}

export interface ShadowRow {
  path: string
  desired?: string
  reported?: string
  /** When each was last set, in ms. */
  desiredAt?: number
  reportedAt?: number
  /** It is desired, and not reported so: what the device is told. */
  outstanding: boolean
}

type Tree = Record<string, unknown>
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Numbers by value, members in any order: as the server compares. */
export function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]))
  if (isTree(a) && isTree(b)) {
    const keys = Object.keys(a)
    return keys.length === Object.keys(b).length && keys.every((key) => key in b && same(a[key], b[key]))
  }
  return a === b
}

function leaves(tree: unknown, stamps: unknown, path: string, out: Map<string, { value: unknown; at: number | undefined }>): void {
  if (isTree(tree) && Object.keys(tree).length) {
    for (const [key, value] of Object.entries(tree)) leaves(value, isTree(stamps) ? stamps[key] : undefined, path ? `${path}.${key}` : key, out)
    return
  }
  const at = isTree(stamps) && typeof stamps.timestamp === 'number' ? stamps.timestamp * 1000 : undefined
  if (path) out.set(path, { value: tree, at })
}

export function shadowRows(doc: ShadowDoc): ShadowRow[] {
  const desired = new Map<string, { value: unknown; at: number | undefined }>()
  const reported = new Map<string, { value: unknown; at: number | undefined }>()
  leaves(doc.state?.desired ?? {}, doc.metadata?.desired, '', desired)
  leaves(doc.state?.reported ?? {}, doc.metadata?.reported, '', reported)
  return [...new Set([...desired.keys(), ...reported.keys()])].sort().map((path) => {
    const want = desired.get(path)
    const have = reported.get(path)
    const row: ShadowRow = { path, outstanding: !!want && !(have && same(want.value, have.value)) }
    if (want) row.desired = JSON.stringify(want.value)
    if (have) row.reported = JSON.stringify(have.value)
    if (want?.at !== undefined) row.desiredAt = want.at
    if (have?.at !== undefined) row.reportedAt = have.at
    return row
  })
}

/** What an editor's text asks for: the change, or why it is none. */
export function readDesired(text: string): { change: Record<string, unknown> } | { wrong: string } {
  try {
    const value: unknown = JSON.parse(text)
    return isTree(value) ? { change: value } : { wrong: '' }
  } catch (cause) {
    return { wrong: cause instanceof Error ? cause.message : String(cause) }
  }
}

/** The smallest change that makes `to` of `from`: what is gone becomes null. */
export function changeOf(from: Tree, to: Tree): Tree {
  const out: Tree = {}
  for (const key of Object.keys(from)) if (!(key in to)) out[key] = null
  for (const [key, value] of Object.entries(to)) {
    const old = from[key]
    if (isTree(value) && isTree(old)) {
      const inner = changeOf(old, value)
      if (Object.keys(inner).length) out[key] = inner
    } else if (!same(old, value)) out[key] = value
  }
  return out
}
