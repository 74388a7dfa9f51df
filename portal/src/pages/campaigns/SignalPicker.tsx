// Signals to collect: searched in the manifest the campaign targets, or in the whole catalog; chosen ones with their limits.
import { For, Show, createMemo, createSignal, type JSX } from 'solid-js'
import Plus from 'lucide-solid/icons/plus'
import Search from 'lucide-solid/icons/search'
import X from 'lucide-solid/icons/x'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { SignalInfo } from '../../api/types'
import { unitName } from '../../format/number'
import { t } from '../../text/text'
import { Fqn } from '../../ui/Fqn'
import { Failure, Skeleton } from '../../ui/Notice'
import type { Collected } from './draft'

const most = 60

export function SignalPicker(props: { /** Names only, without limits. */ plain?: boolean; manifest: string; chosen: Collected[]; onChange: (next: Collected[]) => void; error: string | undefined }): JSX.Element {
  const [query, setQuery] = createSignal('')
  const found = useLoad(
    () => ({ manifest: props.manifest, filter: props.manifest ? '' : query().trim() }),
    async (input, signal): Promise<{ items: SignalInfo[]; more: boolean }> => {
      if (input.manifest) return { items: (await call('manifest_signals', { path: { name: input.manifest } }, signal)).items, more: false }
      const page = await call('signal_list', { query: { limit: 200, filter: input.filter } }, signal)
      return { items: page.items, more: !!page.next }
    },
  )
  const taken = createMemo(() => new Set(props.chosen.map((s) => s.fqn)))
  const hits = createMemo(() => {
    const words = query().toLowerCase().split(/\s+/).filter(Boolean)
    return (found.value()?.items ?? []).filter((s) => !taken().has(s.fqn) && words.every((w) => s.fqn.toLowerCase().includes(w) || s.description.toLowerCase().includes(w)))
  })
  // The list is one stop for Tab; the arrow keys walk it. A press takes its row away: the focus stays where it was, on the next one.
  let list!: HTMLUListElement
  let chosenBody: HTMLTableSectionElement | undefined
  const [active, setActive] = createSignal('')
  const tabHit = (): string | undefined => (hits().some((s) => s.fqn === active()) ? active() : hits()[0]?.fqn)
  const stay = (box: () => HTMLElement | undefined, from: HTMLElement, selector: string, empty: () => HTMLElement | null): void => {
    const at = [...(box()?.querySelectorAll(selector) ?? [])].indexOf(from)
    setTimeout(() => {
      const left = [...(box()?.querySelectorAll<HTMLElement>(selector) ?? [])]
      ;(left[Math.min(at, left.length - 1)] ?? empty())?.focus()
    })
  }
  let field!: HTMLInputElement
  function walk(event: KeyboardEvent): void {
    const all = [...list.querySelectorAll<HTMLElement>('.picker-hit')]
    const at = all.indexOf(document.activeElement as HTMLElement)
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }
    const to = steps[event.key]
    if (to === undefined) return
    event.preventDefault()
    if (to < 0) field.focus()
    else all[Math.min(all.length - 1, to)]?.focus()
  }
  const add = (fqns: string[]): void => props.onChange([...props.chosen, ...fqns.map((fqn) => ({ fqn, max: '', period: '' }))])
  const change = (fqn: string, part: Partial<Collected>): void => props.onChange(props.chosen.map((s) => (s.fqn === fqn ? { ...s, ...part } : s)))
  return (
    <div class="picker">
      <div class="picker-side">
        <span class="search">
          <Search size={16} />
          <input
            ref={field}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' && event.key !== 'ArrowDown') return
              event.preventDefault()
              list.querySelector<HTMLElement>('.picker-hit')?.focus()
            }}
            type="search" class="input" aria-label={t('picker.search')} placeholder={t('picker.search')} value={query()} onInput={(event) => setQuery(event.currentTarget.value)} />
        </span>
        <Failure error={found.error()} retry={() => void found.again()} />
        <Show when={found.value()} fallback={<Show when={!found.error()}><Skeleton rows={6} /></Show>}>
          <ul ref={list} class="picker-list" onKeyDown={walk} aria-label={t('picker.found', { count: hits().length })}>
            <For each={hits().slice(0, most)}>
              {(signal) => (
                <li>
                  <button type="button" class="picker-hit" tabindex={tabHit() === signal.fqn ? 0 : -1} onFocus={() => setActive(signal.fqn)} onClick={(event) => { stay(() => list, event.currentTarget, '.picker-hit', () => field); add([signal.fqn]) }}>
                    <Plus size={14} />
                    <span class="grow">
                      <code class="cut">{signal.fqn}</code>
                      <Show when={signal.description}>
                        <span class="faint small cut">{signal.description}</span>
                      </Show>
                    </span>
                    <span class="soft small">{unitName(signal.unit)}</span>
                  </button>
                </li>
              )}
            </For>
          </ul>
          <p class="small soft picker-foot">
            <span class="grow">{hits().length > most || found.value()?.more ? t('picker.more') : t('picker.found', { count: hits().length })}</span>
            <Show when={hits().length > 0 && hits().length <= most}>
              <button type="button" class="button quiet" onClick={() => add(hits().map((s) => s.fqn))}>
                {t('picker.all', { count: hits().length })}
              </button>
            </Show>
          </p>
        </Show>
      </div>
      <div class="picker-side">
        <Show when={props.chosen.length > 0} fallback={<p class="picker-none soft">{t('picker.none')}</p>}>
          <table class="picker-chosen">
            <thead>
              <tr>
                <th scope="col">{t('picker.chosen', { count: props.chosen.length })}</th>
                <Show when={!props.plain}>
                  <th scope="col">{t('picker.period')}</th>
                  <th scope="col">{t('picker.max')}</th>
                </Show>
                <th scope="col">
                  <span class="hidden-text">{t('action.remove')}</span>
                </th>
              </tr>
            </thead>
            <tbody ref={chosenBody}>
              <For each={props.chosen.map((s) => s.fqn)}>
                {(fqn) => {
                  const own = (): Collected => props.chosen.find((s) => s.fqn === fqn) ?? { fqn, max: '', period: '' }
                  return (
                    <tr>
                      <th scope="row">
                        <Fqn name={fqn} />
                      </th>
                      <Show when={!props.plain}>
                        <td>
                          <input class="input" inputmode="numeric" aria-label={`${t('picker.period')}: ${fqn}`} placeholder={t('picker.each')} value={own().period} onChange={(event) => change(fqn, { period: event.currentTarget.value.trim() })} />
                        </td>
                        <td>
                          <input class="input" inputmode="numeric" aria-label={`${t('picker.max')}: ${fqn}`} placeholder="1,000" value={own().max} onChange={(event) => change(fqn, { max: event.currentTarget.value.trim() })} />
                        </td>
                      </Show>
                      <td>
                        <button type="button" class="button quiet icon-only" aria-label={t('picker.remove', { name: fqn })} title={t('action.remove')} onClick={(event) => { stay(() => chosenBody, event.currentTarget, 'button', () => field); props.onChange(props.chosen.filter((s) => s.fqn !== fqn)) }}>
                          <X size={14} />
                        </button>
                      </td>
                    </tr>
                  )
                }}
              </For>
            </tbody>
          </table>
        </Show>
        <Show when={props.error}>
          <p class="field-error">{props.error}</p>
        </Show>
      </div>
    </div>
  )
}
