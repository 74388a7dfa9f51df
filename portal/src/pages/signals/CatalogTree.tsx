// The catalog as a tree (WAI-ARIA tree view): arrows walk and open it, letters jump, a search opens the way to what it finds.
import { For, Show, createEffect, createMemo, createSignal, on, type JSX } from 'solid-js'
import ChevronRight from 'lucide-solid/icons/chevron-right'
import type { SignalInfo } from '../../api/types'
import { unitName, whole } from '../../format/number'
import { t } from '../../text/text'
import { pathsTo, rowsIn, treeOf, type Row } from './tree'

/** A search that finds more than this opens nothing by itself: the counts tell where to look. */
const openAtMost = 300

export function CatalogTree(props: { signals: SignalInfo[]; searching: boolean; chosen: string; onChoose: (fqn: string) => void }): JSX.Element {
  let list: HTMLUListElement | undefined
  const [toggled, setToggled] = createSignal<ReadonlyMap<string, boolean>>(new Map())
  const [active, setActive] = createSignal(props.chosen)
  const roots = createMemo(() => treeOf(props.signals))
  const byItself = createMemo(() => (props.searching && props.signals.length <= openAtMost ? pathsTo(props.signals) : pathsTo(props.signals.filter((s) => s.fqn === props.chosen))))
  const isOpen = (path: string): boolean => toggled().get(path) ?? (byItself().has(path) || roots().length === 1 && roots()[0]?.path === path)
  const opened = createMemo(() => rowsIn(roots()))
  const rows = createMemo(() => opened()(isOpen))
  const at = (): number => Math.max(0, rows().findIndex((row) => row.path === active()))
  // Another search begins with the tree as the search opens it.
  createEffect(on(() => props.signals, () => setToggled(new Map()), { defer: true }))

  const set = (path: string, open: boolean): void => {
    setToggled((map) => new Map(map).set(path, open))
  }
  const go = (row: Row | undefined): void => {
    if (!row) return
    setActive(row.path)
    queueMicrotask(() => list?.querySelector<HTMLElement>('[tabindex="0"]')?.focus())
  }
  let typed = ''
  let typedAt = 0
  const jump = (letter: string, now: number): void => {
    typed = now - typedAt < 700 ? typed + letter : letter
    typedAt = now
    const all = rows()
    const start = at() + (typed.length === 1 ? 1 : 0)
    for (let i = 0; i < all.length; i++) {
      const row = all[(start + i) % all.length]
      if (row?.name.toLowerCase().startsWith(typed)) return go(row)
    }
  }
  function onKey(event: KeyboardEvent): void {
    const all = rows()
    const row = all[at()]
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return
    const next = all[at() + 1]
    switch (event.key) {
      case 'ArrowDown': go(next); break
      case 'ArrowUp': go(all[at() - 1]); break
      case 'Home': go(all[0]); break
      case 'End': go(all.at(-1)); break
      case 'ArrowRight':
        if (row.branch && !isOpen(row.path)) set(row.path, true)
        else if (row.branch) go(next)
        break
      case 'ArrowLeft':
        if (row.branch && isOpen(row.path)) set(row.path, false)
        else go(all.find((one) => one.path === row.parent && one.branch))
        break
      case 'Enter':
      case ' ':
        press(row)
        break
      default:
        if (event.key.length !== 1 || !/\S/.test(event.key)) return
        jump(event.key.toLowerCase(), event.timeStamp)
    }
    event.preventDefault()
    event.stopPropagation()
  }
  function press(row: Row): void {
    setActive(row.path)
    if (row.branch) set(row.path, !isOpen(row.path))
    else props.onChoose(row.path)
  }
  return (
    <ul class="tree" role="tree" aria-label={t('tree.label')} ref={list} onKeyDown={onKey}>
      <For each={rows()}>
        {(row, i) => (
          <li
            role="treeitem"
            class="tree-row"
            classList={{ 'tree-leaf': !row.branch }}
            style={{ 'padding-left': `${8 + (row.level - 1) * 18}px` }}
            aria-level={row.level}
            aria-setsize={row.size}
            aria-posinset={row.place}
            aria-expanded={row.branch ? isOpen(row.path) : undefined}
            aria-selected={row.branch ? undefined : row.path === props.chosen}
            tabindex={i() === at() ? 0 : -1}
            onClick={() => press(row)}
            onFocus={() => setActive(row.path)}
          >
            <Show when={row.branch} fallback={<span class="tree-twist" />}>
              <ChevronRight size={16} class="tree-twist" />
            </Show>
            <span class="cut">{row.name}</span>
            <span class="grow" />
            <Show when={row.branch} fallback={<span class="soft small">{unitName(row.signal?.unit ?? '', 'metric') || row.signal?.type}</span>}>
              {(branch) => <span class="soft small" aria-label={t('tree.count', { count: branch().signals })}>{whole(branch().signals)}</span>}
            </Show>
          </li>
        )}
      </For>
    </ul>
  )
}
