// Second step: every signal with the catalog name that it gets. Suggestions can be taken, changed or refused, one by one.
import { For, Show, batch, createMemo, createSignal, type JSX } from 'solid-js'
import Search from 'lucide-solid/icons/search'
import type { SignalInfo } from '../../api/types'
import { signalValue, unitName, whole } from '../../format/number'
import { t } from '../../text/text'
import { Segments } from '../../ui/Field'
import { Status, type Tone } from '../../ui/Mark'
import { Empty } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { ownName, shownOf, shows, sureOf, type Naming, type Show as Shown } from './naming'
import type { Candidate } from './suggest'

interface Props {
  namings: readonly Naming[]
  problems: ReadonlyMap<string, string>
  catalog: readonly SignalInfo[]
  /** The catalog is larger than what was looked at. */
  partly: boolean
  passed: { line: number; text: string }[]
  onRename: (source: string, name: string) => void
  onBack: () => void
  onNext: () => void
}

export function NamesStep(props: Props): JSX.Element {
  const [show, setShow] = createSignal<Shown>('all')
  const [words, setWords] = createSignal('')
  const [editing, setEditing] = createSignal<Naming>()
  const rows = createMemo(() => shownOf(props.namings, show(), words(), props.problems))
  const count = (what: Shown): number => shownOf(props.namings, what, '', props.problems).length
  const byName = createMemo(() => new Map(props.catalog.map((s) => [s.fqn, s])))
  // What the name field offers: this signal's candidates first, then the rest of the catalog.
  const offered = createMemo(() => {
    const first = (editing()?.candidates ?? []).map((c) => c.fqn)
    return [...first, ...props.catalog.map((s) => s.fqn).filter((name) => !first.includes(name))].slice(0, 2000)
  })
  const tone = (n: Naming): Tone => (props.problems.has(n.signal.source) ? 'critical' : n.origin === 'taken' ? 'ok' : n.origin === 'typed' ? 'plain' : 'offline')
  const standing = (n: Naming): string => props.problems.get(n.signal.source) ?? t(n.origin === 'taken' ? 'naming.taken' : n.origin === 'typed' ? 'naming.typed' : 'naming.own')
  /** The best suggestion, of a signal that nobody has named. */
  const offer = (n: Naming): Candidate | undefined => (n.name || props.problems.has(n.signal.source) ? undefined : n.candidates[0])
  const sure = createMemo(() => sureOf(props.namings))
  const takeSure = (): void => batch(() => sure().forEach((name, source) => props.onRename(source, name)))
  const range = (low: number | undefined, high: number | undefined, unit: string): string => [low === undefined || high === undefined ? '' : t('chart.band', { low: signalValue(low, '', 'metric'), high: signalValue(high, '', 'metric') }), unitName(unit, 'metric')].filter(Boolean).join(' ')
  const columns = (): Column<Naming>[] => [
    { id: 'signal', header: t('naming.signal'), width: '17rem', narrow: '8rem', cell: (n) => <span class="cut" title={n.signal.comment || n.signal.source}><span class="signals-name">{n.signal.name}</span> <span class="faint small">{n.signal.message}</span></span>, value: (n) => n.signal.source },
    { id: 'range', header: t('naming.range'), width: '10rem', wide: true, cell: (n) => <span class="soft">{range(n.signal.min, n.signal.max, n.signal.unit)}</span>, value: (n) => n.signal.unit },
    {
      id: 'name', header: t('naming.name'), narrow: '13rem',
      cell: (n) => (
        <input
          class="input code naming-name"
          list="naming-names"
          aria-label={t('naming.for', { signal: n.signal.source })}
          aria-invalid={props.problems.has(n.signal.source) || undefined}
          placeholder={ownName(n.signal)}
          value={n.name}
          spellcheck={false}
          autocomplete="off"
          onFocus={() => setEditing(n)}
          onChange={(event) => props.onRename(n.signal.source, event.currentTarget.value.trim())}
        />
      ),
      value: (n) => n.name,
    },
    { id: 'means', header: t('naming.there'), width: '10rem', wide: true, cell: (n) => <span class="soft">{((c) => (c ? range(c.min, c.max, c.unit) : n.name ? t('naming.new') : ''))(byName().get(n.name))}</span>, value: (n) => byName().get(n.name)?.unit ?? '' },
    { id: 'state', header: t('column.state'), width: '15rem', narrow: '11rem', cell: (n) => (
        <Show when={offer(n)} fallback={<span class="cut" title={standing(n)}><Status tone={tone(n)}>{standing(n)}</Status></span>}>
          {(best) => (
            <button type="button" class="button quiet naming-take" title={t(best().sameUnit ? 'naming.take.title' : 'naming.take.unit', { name: best().fqn })} onClick={() => props.onRename(n.signal.source, best().fqn)}>
              <span class="cut">{t('naming.take', { name: best().fqn.split('.').slice(-2).join('.') })}</span>
            </button>
          )}
        </Show>
      ), value: (n) => (props.problems.has(n.signal.source) ? -1 : (n.candidates[0]?.score ?? 0)) },
  ]
  return (
    <>
      <div class="import-tools">
        <Segments label={t('naming.show')} hideLabel value={show()} choices={shows.map((value) => ({ value, label: t(`naming.show.${value}`, { count: count(value) }) }))} onChange={setShow} />
        <span class="search">
          <Search size={16} />
          <input data-search type="search" class="input" aria-label={t('signals.search')} placeholder={t('signals.search')} value={words()} onInput={(event) => setWords(event.currentTarget.value)} />
        </span>
        <Show when={sure().size > 0}>
          <button type="button" class="button" onClick={takeSure}>
            {t('naming.take.sure', { count: sure().size })}
          </button>
        </Show>
        <Show when={props.partly}>
          <Status tone="notice">{t('naming.partly', { count: props.catalog.length })}</Status>
        </Show>
      </div>
      <datalist id="naming-names">
        <For each={offered()}>{(name) => <option value={name} />}</For>
      </datalist>
      <Show when={props.passed.length > 0}>
        <details class="import-passed">
          <summary>{t('import.passed', { count: props.passed.length })}</summary>
          <ul class="warnings" tabindex={0} aria-label={t('import.passed', { count: props.passed.length })}>
            <For each={props.passed.slice(0, 200)}>{(one) => <li>{t('import.passed.line', { line: whole(one.line), text: one.text })}</li>}</For>
          </ul>
        </details>
      </Show>
      <Show when={rows().length > 0} fallback={<Empty text={t('signals.nomatch')} />}>
        <Table main tools name="naming" label={t('import.step.names')} rows={rows()} columns={columns()} rowKey={(n) => n.signal.source} alarm={(n) => props.problems.has(n.signal.source)} />
      </Show>
      <footer class="editor-foot">
        <p class="soft grow" role="status">
          {props.problems.size > 0 ? t('naming.problems', { count: props.problems.size }) : t('naming.summary', { count: props.namings.length, named: whole(props.namings.filter((n) => n.name).length) })}
        </p>
        <button type="button" class="button" onClick={() => props.onBack()}>
          {t('action.back')}
        </button>
        <button
          type="button"
          class="button primary"
          onClick={() => {
            if (props.problems.size === 0) props.onNext()
            else setShow('problem')
          }}
        >
          {t('import.next.check')}
        </button>
      </footer>
    </>
  )
}
