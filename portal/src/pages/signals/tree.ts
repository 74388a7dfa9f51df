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

/** What is on screen: every branch whose ancestors are all open, and the signals of open ones. */
export function rowsOf(roots: readonly Branch[], open: (path: string) => boolean): Row[] {
  const rows: Row[] = []
  const walk = (branches: readonly Branch[], leaves: readonly SignalInfo[], parent: string, level: number): void => {
    const size = branches.length + leaves.length
    branches.forEach((branch, i) => {
      rows.push({ path: branch.path, name: branch.name, level, parent, size, place: i + 1, branch })
      if (open(branch.path)) walk(branch.branches, branch.leaves, branch.path, level + 1)
    })
    leaves.forEach((signal, i) => {
      rows.push({ path: signal.fqn, name: signal.fqn.split('.').at(-1) ?? signal.fqn, level, parent, size, place: branches.length + i + 1, signal })
    })
  }
  walk(roots, [], '', 1)
  return rows
}

/** Every branch on the way to these signals. */
export function pathsTo(signals: readonly SignalInfo[]): Set<string> {
  const paths = new Set<string>()
  for (const { fqn } of signals) {
    for (let dot = fqn.indexOf('.'); dot > 0; dot = fqn.indexOf('.', dot + 1)) paths.add(fqn.slice(0, dot))
  }
  return paths
}
