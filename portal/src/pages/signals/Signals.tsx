// The vocabulary: manifests on the left, the signals they decode (or the whole catalog) on the right, DBC import.
import { A } from '@solidjs/router'
import { For, Show, createMemo, type JSX } from 'solid-js'
import Search from 'lucide-solid/icons/search'
import Upload from 'lucide-solid/icons/upload'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { SignalInfo } from '../../api/types'
import { signalValue, unitName, whole } from '../../format/number'
import { t } from '../../text/text'
import { Segments } from '../../ui/Field'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { branch, shortName } from '../vehicle/signal-name'
import { loadCatalog } from './catalog'
import { CatalogTree } from './CatalogTree'
import { SignalDetail } from './SignalDetail'

function columns(): Column<SignalInfo>[] {
  const bound = (value: number | undefined): JSX.Element => (value === undefined ? <span class="faint">–</span> : signalValue(value, '', 'metric'))
  return [
    { id: 'name', header: t('column.signal'), cell: (s) => <span class="cut" title={s.fqn}><span class="signals-name">{shortName(s.fqn)}</span> <span class="faint small">{branch(s.fqn)}</span></span>, value: (s) => s.fqn },
    { id: 'unit', header: t('column.unit'), width: '6rem', cell: (s) => <span class="soft">{unitName(s.unit, 'metric')}</span>, value: (s) => s.unit },
    { id: 'type', header: t('column.type'), wide: true, width: '6.5rem', cell: (s) => <span class="code">{s.type}</span>, value: (s) => s.type },
    { id: 'min', header: t('column.min'), align: 'right', wide: true, width: '7rem', cell: (s) => bound(s.min), value: (s) => s.min ?? NaN },
    { id: 'max', header: t('column.max'), align: 'right', wide: true, width: '7rem', cell: (s) => bound(s.max), value: (s) => s.max ?? NaN },
    { id: 'values', header: t('column.names'), wide: true, width: '12rem', cell: (s) => <span class="cut soft" title={s.values?.map((v) => `${v.value} ${v.name}`).join(', ')}>{s.values?.map((v) => v.name).join(', ') ?? ''}</span>, value: (s) => s.values?.map((v) => `${v.value} ${v.name}`).join('; ') ?? '' },
    { id: 'description', header: t('column.description'), wide: true, cell: (s) => <span class="cut soft" title={s.description}>{s.description}</span>, value: (s) => s.description },
    { id: 'id', header: t('column.id'), align: 'right', wide: true, hidden: true, width: '5rem', cell: (s) => <span class="code">{s.id}</span>, value: (s) => s.id },
  ]
}

export default function Signals(): JSX.Element {
  const url = useUrl()
  const manifest = (): string => url.get('manifest')
  const manifests = useLoad(
    () => true,
    (_, signal) => call('manifest_list', signal),
    { key: 'name' },
  )
  const signals = useLoad(
    () => ({ manifest: manifest() }),
    async (input, signal) => (input.manifest ? { items: (await call('manifest_signals', { path: { name: input.manifest } }, signal)).items, more: false } : loadCatalog('', signal)),
  )
  const found = createMemo(() => {
    const words = url.get('q').toLowerCase().split(/\s+/).filter(Boolean)
    return (signals.value()?.items ?? []).filter((s) => words.every((w) => `${s.fqn} ${s.description} ${s.unit}`.toLowerCase().includes(w)))
  })
  const asTree = (): boolean => url.get('view') === 'tree'
  const chosen = createMemo(() => signals.value()?.items.find((s) => s.fqn === url.get('signal')))
  return (
    <div class="page page-fill">
      <header class="page-head">
        <h1>{t('page.signals')}</h1>
        <span class="grow" />
        <Segments label={t('signals.view')} hideLabel value={asTree() ? 'tree' : 'list'} choices={[{ value: 'list', label: t('signals.list') }, { value: 'tree', label: t('signals.tree') }]} onChange={(view) => url.set({ view: view === 'tree' ? view : undefined, signal: undefined })} />
        <span class="search">
          <Search size={16} />
          <input data-search type="search" class="input" aria-label={t('signals.search')} placeholder={t('signals.search')} value={url.get('q')} onInput={(event) => url.set({ q: event.currentTarget.value })} />
        </span>
        <Show when={may('signal:write')}>
          <A class="button primary" href="/signals/import">
            <Upload size={16} />
            {t('import.do')}
          </A>
        </Show>
      </header>
      <div class="vocabulary">
        <nav class="manifests" aria-label={t('manifest.title')}>
          <h2>{t('manifest.title')}</h2>
          <Failure error={manifests.error()} retry={() => void manifests.again()} />
          <ul>
            <li>
              <button class="side-item" aria-current={manifest() === '' ? 'true' : undefined} onClick={() => url.set({ manifest: undefined })}>
                <span class="grow cut">{t('manifest.catalog')}</span>
              </button>
            </li>
            <For each={manifests.value()?.items ?? []}>
              {(m) => (
                <li>
                  <button class="side-item" aria-current={manifest() === m.name ? 'true' : undefined} onClick={() => url.set({ manifest: m.name })}>
                    <span class="grow">
                      <span class="cut side-name">{m.name}</span>
                      <span class="soft small cut">{t('manifest.facts', { signals: whole(m.signals), count: m.vehicles })}</span>
                    </span>
                  </button>
                </li>
              )}
            </For>
          </ul>
          <Show when={manifests.value()?.items.length === 0}>
            <p class="soft small">{t('manifest.none')}</p>
          </Show>
          <p class="manifests-more">
            <A href="/signals/manifests">{t('manifest.manage')}</A>
          </p>
        </nav>
        <section class="vocabulary-list" aria-label={t('page.signals')}>
          <Failure error={signals.error()} retry={() => void signals.again()} stale={!!signals.value()} />
          <Show when={signals.value()} fallback={<Show when={!signals.error()}><Skeleton rows={14} /></Show>}>
            <Show when={found().length > 0} fallback={<Empty text={url.get('q') ? t('signals.nomatch') : t('catalog.none')}><Show when={may('signal:write') && !url.get('q')}><A class="button" href="/signals/import">{t('import.do')}</A></Show></Empty>}>
              <Show when={asTree()} fallback={<Table main tools name="signals" label={t('page.signals')} rows={found()} columns={columns()} rowKey={(s) => s.id} sort="name" />}>
                <div class="catalog">
                  <CatalogTree signals={found()} searching={url.get('q') !== ''} chosen={url.get('signal')} onChoose={(fqn) => url.set({ signal: fqn })} />
                  <Show when={chosen()} keyed fallback={<p class="soft catalog-none">{t('signals.choose')}</p>}>
                    {(signal) => <SignalDetail signal={signal} />}
                  </Show>
                </div>
              </Show>
            </Show>
          </Show>
        </section>
      </div>
    </div>
  )
}
