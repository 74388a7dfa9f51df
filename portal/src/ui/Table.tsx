// One table for all lists: sticky header, sort, column choice, keyboard rows, copy as CSV, a window of rows beyond 200.
import { For, Index, Show, createEffect, createMemo, createSignal, onCleanup, type JSX } from 'solid-js'
import ArrowDown from 'lucide-solid/icons/arrow-down'
import ArrowUp from 'lucide-solid/icons/arrow-up'
import Columns from 'lucide-solid/icons/columns-3'
import { t } from '../text/text'
import { CopyCsv } from './CopyCsv'
import { csvOf } from './csv'
import { listKeys } from './keys'
import { Menu } from './Menu'
import { rowHeight } from './preferences'

export interface Column<T> {
  id: string
  header: string
  unit?: string
  align?: 'right'
  cell: (row: T) => JSX.Element
  /** For sorting and CSV. */
  value?: (row: T) => string | number
  /** Not shown until chosen. */
  hidden?: boolean
  /** CSS width; what has none shares the rest. */
  width?: string
  /** Its width on narrow screens. */
  narrow?: string
  /** Dropped first on narrow screens. */
  wide?: boolean
}

export interface TableProps<T> {
  name: string
  label: string
  rows: T[]
  columns: Column<T>[]
  rowKey: (row: T) => string | number
  onOpen?: (row: T) => void
  onActive?: (row: T) => void
  activeKey?: string | number | undefined
  sort?: string
  sortDown?: boolean
  onSort?: (id: string, down: boolean) => void
  /** The page's main list, which j and k walk through. */
  main?: boolean
  tools?: boolean
  dim?: (row: T) => boolean
  /** Rows that stand out; what they say must say why. */
  alarm?: (row: T) => boolean
  height?: 'fill' | 'auto'
}

const windowFrom = 200
const narrowScreen = matchMedia('(max-width: 720px)')
const [narrow, setNarrow] = createSignal(narrowScreen.matches)
narrowScreen.addEventListener('change', () => setNarrow(narrowScreen.matches))

function readHidden(name: string): Set<string> | undefined {
  const text = localStorage.getItem(`motorcade.columns.${name}`)
  return text === null ? undefined : new Set(text.split(',').filter(Boolean))
}

export function Table<T>(props: TableProps<T>): JSX.Element {
  let scroller!: HTMLDivElement
  const [sort, setSort] = createSignal(props.sort ?? '')
  const [down, setDown] = createSignal(props.sortDown ?? false)
  const [hidden, setHidden] = createSignal(readHidden(props.name) ?? new Set(props.columns.filter((c) => c.hidden).map((c) => c.id)))
  const [active, setActive] = createSignal<string | number>()
  const [top, setTop] = createSignal(0)
  const [view, setView] = createSignal(600)

  createEffect(() => {
    if (props.sort !== undefined) setSort(props.sort)
    if (props.sortDown !== undefined) setDown(props.sortDown)
  })
  createEffect(() => {
    if (props.activeKey !== undefined) setActive(props.activeKey)
  })

  const columns = createMemo(() => props.columns.filter((c) => !hidden().has(c.id) && !(c.wide && narrow())))
  const widthOf = (c: Column<T>): string | undefined => (narrow() ? (c.narrow ?? c.width) : c.width)
  /** Columns without a width share the rest, but never vanish: below this the table scrolls sideways. */
  const leastWidth = createMemo(() => `${columns().reduce((sum, c) => sum + (parseFloat(widthOf(c) ?? '') || 8.5), 0)}rem`)
  const sorted = createMemo(() => {
    const column = props.columns.find((c) => c.id === sort())
    const value = column?.value
    if (!value) return props.rows
    const sign = down() ? -1 : 1
    return [...props.rows].sort((a, b) => {
      const x = value(a)
      const y = value(b)
      if (typeof x === 'number' && typeof y === 'number') {
        // What is not known stands last, whichever way it is sorted.
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : -1
        return (x - y) * sign
      }
      return String(x).localeCompare(String(y), undefined, { numeric: true }) * sign
    })
  })
  const windowed = (): boolean => sorted().length > windowFrom
  const range = createMemo(() => {
    const n = sorted().length
    if (!windowed()) return { from: 0, to: n }
    const from = Math.max(0, Math.floor(top() / rowHeight()) - 8)
    return { from, to: Math.min(n, from + Math.ceil(view() / rowHeight()) + 16) }
  })
  const visible = createMemo(() => sorted().slice(range().from, range().to))
  const activeIndex = (): number => sorted().findIndex((row) => props.rowKey(row) === active())

  function chooseSort(column: Column<T>): void {
    if (!column.value) return
    const turn = sort() === column.id ? !down() : column.align === 'right'
    setSort(column.id)
    setDown(turn)
    props.onSort?.(column.id, turn)
  }

  function reveal(index: number): void {
    const row = rowHeight()
    const head = row
    const y = index * row
    if (y < scroller.scrollTop) scroller.scrollTop = y
    else if (y + row + head > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = y + row + head - scroller.clientHeight
    setTop(scroller.scrollTop)
  }

  function move(to: number, focus: boolean): void {
    const all = sorted()
    const index = Math.max(0, Math.min(all.length - 1, to))
    const row = all[index]
    if (!row) return
    setActive(props.rowKey(row))
    reveal(index)
    props.onActive?.(row)
    if (focus) queueMicrotask(() => scroller.querySelector<HTMLElement>('tr[data-active="true"]')?.focus({ preventScroll: true }))
  }

  function key(event: KeyboardEvent): void {
    const at = activeIndex()
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight()) - 2)
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: sorted().length - 1, PageDown: at + page, PageUp: at - page }
    const to = steps[event.key]
    if (to !== undefined && (event.target as HTMLElement).tagName === 'TR') {
      event.preventDefault()
      move(to, true)
    } else if (event.key === 'Enter' && (event.target as HTMLElement).tagName === 'TR') {
      const row = sorted()[at]
      if (row) props.onOpen?.(row)
    }
  }

  if (props.main) {
    listKeys({
      step: (by) => move(activeIndex() + by, true),
      open: () => {
        const row = sorted()[activeIndex()]
        if (row) props.onOpen?.(row)
      },
    })
  }
  queueMicrotask(() => {
    if (!scroller) return
    const watch = new ResizeObserver(() => setView(scroller.clientHeight))
    watch.observe(scroller)
    onCleanup(() => watch.disconnect())
  })

  function toggle(id: string): void {
    const next = new Set(hidden())
    if (next.has(id)) next.delete(id)
    else next.add(id)
    setHidden(next)
    localStorage.setItem(`motorcade.columns.${props.name}`, [...next].join(','))
  }

  const tabRow = (): string | number | undefined => {
    const first = visible()[0]
    return active() !== undefined && activeIndex() >= 0 ? active() : first === undefined ? undefined : props.rowKey(first)
  }

  return (
    <div class="table-frame" classList={{ 'table-auto': props.height === 'auto' }}>
      <Show when={props.tools}>
        <div class="table-tools">
          <span class="soft small">{t('table.rows', { count: sorted().length })}</span>
          <span class="grow" />
          <Menu label={t('table.columns')} icon={<Columns size={16} />}>
            <For each={props.columns}>
              {(column, i) => (
                <label class="menu-check">
                  <input type="checkbox" checked={!hidden().has(column.id)} disabled={i() === 0} onChange={() => toggle(column.id)} />
                  {column.header}
                </label>
              )}
            </For>
          </Menu>
          <CopyCsv text={() => csvOf(columns(), sorted())} rows={sorted().length} />
        </div>
      </Show>
      {/* The rows inside take the focus, so the region itself need not. */}
      <div class="table-scroll" ref={scroller} onScroll={() => setTop(scroller.scrollTop)} onKeyDown={key} tabindex={sorted().length ? undefined : 0} role="group" aria-label={props.label}>
        <table aria-rowcount={sorted().length + 1} style={{ 'min-width': leastWidth() }}>
          <thead>
            <tr>
              <For each={columns()}>
                {(column) => (
                  <th
                    scope="col"
                    class={column.align === 'right' ? 'right' : ''}
                    style={{ width: widthOf(column) }}
                    aria-sort={sort() === column.id ? (down() ? 'descending' : 'ascending') : undefined}
                  >
                    <Show when={column.value} fallback={<span class="th-text">{column.header}</span>}>
                      <button class="th-button" onClick={() => chooseSort(column)}>
                        <span>{column.header}</span>
                        <Show when={column.unit}>
                          <span class="th-unit">{column.unit}</span>
                        </Show>
                        <Show when={sort() === column.id}>{down() ? <ArrowDown size={12} /> : <ArrowUp size={12} />}</Show>
                      </button>
                    </Show>
                  </th>
                )}
              </For>
            </tr>
          </thead>
          <tbody>
            <Show when={windowed() && range().from > 0}>
              <tr class="table-space" aria-hidden="true">
                <td colspan={columns().length} style={{ height: `${range().from * rowHeight()}px` }} />
              </tr>
            </Show>
            <Index each={visible()}>
              {(row, i) => (
                <tr
                  aria-rowindex={range().from + i + 2}
                  data-active={active() === props.rowKey(row())}
                  aria-selected={props.onActive ? active() === props.rowKey(row()) : undefined}
                  classList={{ openable: !!props.onOpen || !!props.onActive, dim: props.dim?.(row()), alarm: props.alarm?.(row()) }}
                  tabindex={tabRow() === props.rowKey(row()) ? 0 : -1}
                  onFocus={() => setActive(props.rowKey(row()))}
                  onClick={(event) => {
                    if ((event.target as HTMLElement).closest('a, button, input, select')) return
                    setActive(props.rowKey(row()))
                    if (props.onActive) props.onActive(row())
                    else props.onOpen?.(row())
                  }}
                  onDblClick={() => props.onOpen?.(row())}
                >
                  <For each={columns()}>
                    {(column) => (
                      <td class={column.align === 'right' ? 'right' : ''}>
                        {column.cell(row())}
                      </td>
                    )}
                  </For>
                </tr>
              )}
            </Index>
            <Show when={windowed() && range().to < sorted().length}>
              <tr class="table-space" aria-hidden="true">
                <td colspan={columns().length} style={{ height: `${(sorted().length - range().to) * rowHeight()}px` }} />
              </tr>
            </Show>
          </tbody>
        </table>
      </div>
    </div>
  )
}
