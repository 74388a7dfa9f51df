// The catalog as a tree of its names: built once, flattened into the rows that are open.
import type { SignalInfo } from '../../api/types'

export interface Branch {
  path: string
  name: string
  level: number // 1 is the root's
  branches: Branch[]
  leaves: SignalInfo[]
  signals: number // below it, all levels
}
export interface Row {
  path: string
  name: string
  level: number
  parent: string // '' for the roots
  size: number // among its siblings
  place: number // from 1
  branch?: Branch
  signal?: SignalInfo
}

const byName = new Intl.Collator('en', { numeric: true, sensitivity: 'base' })

/** The roots of the names, each branch with its sub-branches and then its signals, by name. */
export function treeOf(signals: readonly SignalInfo[]): Branch[] {
  const roots: Branch[] = []
  const known = new Map<string, Branch>()
  for (const signal of signals) {
    const parts = signal.fqn.split('.')
    let siblings = roots
    let inner: Branch | undefined
    for (let i = 0; i < parts.length - 1; i++) {
      const path = parts.slice(0, i + 1).join('.')
      let branch = known.get(path)
      if (!branch) {
        branch = { path, name: parts[i] ?? '', level: i + 1, branches: [], leaves: [], signals: 0 }
        known.set(path, branch)
        siblings.push(branch)
      }
      branch.signals++
      siblings = branch.branches
      inner = branch
    }
    if (inner) inner.leaves.push(signal)
    else roots.push({ path: signal.fqn, name: signal.fqn, level: 1, branches: [], leaves: [signal], signals: 1 })
  }
  const order = (list: Branch[]): void => {
    list.sort((a, b) => byName.compare(a.name, b.name))
    for (const branch of list) {
      branch.leaves.sort((a, b) => byName.compare(a.fqn, b.fqn))
      order(branch.branches)
    }
  }
  order(roots)
  return roots
}

/** The rows of a tree. A row is one object for as long as its tree lives: what opens and shuts beside it leaves its element, and the focus on it, alone. */
export function rowsIn(roots: readonly Branch[]): (open: (path: string) => boolean) => Row[] {
  const below = new Map<string, Row[]>()
  const fill = (branches: readonly Branch[], leaves: readonly SignalInfo[], parent: string, level: number): Row[] => {
    const size = branches.length + leaves.length
    for (const branch of branches) below.set(branch.path, fill(branch.branches, branch.leaves, branch.path, level + 1))
    return [
      ...branches.map((branch, i): Row => ({ path: branch.path, name: branch.name, level, parent, size, place: i + 1, branch })),
      ...leaves.map((signal, i): Row => ({ path: signal.fqn, name: signal.fqn.split('.').at(-1) ?? signal.fqn, level, parent, size, place: branches.length + i + 1, signal })),
    ]
  }
  const top = fill(roots, [], '', 1)
  return (open) => {
    const rows: Row[] = []
    const walk = (list: readonly Row[]): void => {
      for (const row of list) {
        rows.push(row)
        if (row.branch && open(row.path)) walk(below.get(row.path) ?? [])
      }
    }
    walk(top)
    return rows
  }
}

/** Every branch on the way to these signals. */
export function pathsTo(signals: readonly SignalInfo[]): Set<string> {
  const paths = new Set<string>()
  for (const { fqn } of signals) {
    for (let dot = fqn.indexOf('.'); dot > 0; dot = fqn.indexOf('.', dot + 1)) paths.add(fqn.slice(0, dot))
  }
  return paths
}
