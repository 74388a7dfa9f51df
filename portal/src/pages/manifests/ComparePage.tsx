// Two compiled decoder manifests, decoder by decoder: what came, what went, and which of its fields a decoder changed.
import { A, useParams } from '@solidjs/router'
import { For, Show, createMemo, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { ManifestDifference } from '../../api/types'
import { whole } from '../../format/number'
import { t } from '../../text/text'
import { SelectField } from '../../ui/Field'
import { Status, type Tone } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { useUrl } from '../../ui/url'
import { branch, shortName } from '../vehicle/signal-name'

type Kind = ManifestDifference['kind']
const kinds: Kind[] = ['removed', 'changed', 'added']
const tone: Record<Kind, Tone> = { removed: 'critical', changed: 'notice', added: 'ok' }

function columns(): Column<ManifestDifference>[] {
  return [
    { id: 'signal', header: t('column.signal'), width: '17rem', narrow: '9rem', cell: (d) => <span class="cut" title={d.fqn}><span class="signals-name">{shortName(d.fqn)}</span> <span class="faint small">{branch(d.fqn)}</span></span>, value: (d) => d.fqn },
    { id: 'kind', header: t('column.state'), width: '8rem', narrow: '7rem', cell: (d) => <Status tone={tone[d.kind]}>{t(`compare.${d.kind}`)}</Status>, value: (d) => kinds.indexOf(d.kind) },
    { id: 'place', header: t('decoder.place'), width: '10rem', wide: true, cell: (d) => <span class="code small cut">{d.place}</span>, value: (d) => d.place },
    {
      id: 'fields', header: t('compare.fields'),
      cell: (d) => {
        const words = (): string => d.fields.map((f) => (d.kind === 'changed' ? t('compare.field', { name: f.name, before: f.before || '–', after: f.after || '–' }) : `${f.name} ${f.after || f.before}`)).join('; ')
        return <span class="cut" title={words()}>{words()}</span>
      },
      value: (d) => d.fields.length,
    },
  ]
}

export default function ComparePage(): JSX.Element {
  const params = useParams()
  const url = useUrl()
  const name = (): string => decodeURIComponent(params.name ?? '')
  const other = (): string => url.get('with')
  const manifests = useLoad(
    () => true,
    (_, signal) => call('manifest_list', signal),
    { key: 'name' },
  )
  const others = createMemo(() => (manifests.value()?.items ?? []).map((m) => m.name).filter((n) => n !== name()).sort())
  // The address may name an earlier version by its sync id: it stays to be seen.
  const choices = (): { value: string; label: string }[] => [{ value: '', label: t('editor.choose') }, ...[...new Set([...others(), ...(other() ? [other()] : [])])].map((n) => ({ value: n, label: n }))]
  const compared = useLoad(
    () => (other() ? { name: name(), with: other() } : undefined),
    (ask, signal) => call('decoder_compare', { path: { name: ask.name }, query: { with: ask.with } }, signal),
    { key: 'fqn' },
  )
  const kind = (): Kind | undefined => kinds.find((k) => k === url.get('kind'))
  const rows = createMemo(() => (compared.value()?.items ?? []).filter((d) => !kind() || d.kind === kind()))
  return (
    <div class="page page-fill">
      <header class="page-head">
        <div class="page-title">
          <p class="crumb small">
            <A href="/signals/manifests">{t('manifest.title')}</A> <A href={`/signals/decoders/${encodeURIComponent(name())}`}>{name()}</A>
          </p>
          <h1>{t('compare.title', { name: name() })}</h1>
          <Show when={other() ? compared.value() : undefined}>{(c) => <p class="soft small code">{t('compare.ids', { before: c().before, after: c().after })}</p>}</Show>
        </div>
        <span class="grow" />
        <SelectField label={t('compare.with')} value={other()} onChange={(value) => url.set({ with: value || undefined, kind: undefined })} choices={choices()} />
      </header>
      <Failure error={manifests.error()} retry={() => void manifests.again()} />
      <Failure error={compared.error()} retry={() => void compared.again()} />
      <Show when={other()} fallback={<Empty text={t(manifests.value() && others().length === 0 ? 'compare.alone' : 'compare.choose')} />}>
        <Show when={compared.value()} fallback={<Show when={!compared.error()}><Skeleton rows={8} /></Show>}>
          {(c) => (
            <>
              <div class="rollout-counts" role="group" aria-label={t('compare.kinds')}>
                <For each={kinds}>
                  {(one) => (
                    <button class="rollout-count" aria-pressed={kind() === one} disabled={c()[one] === 0 && kind() !== one} onClick={() => url.set({ kind: kind() === one ? undefined : one })}>
                      <span class="figure-value">{whole(c()[one])}</span>
                      <Status tone={tone[one]}>{t(`compare.${one}`)}</Status>
                    </button>
                  )}
                </For>
                <div class="rollout-count">
                  <span class="figure-value">{whole(c().same)}</span>
                  <Status tone="offline">{t('compare.same')}</Status>
                </div>
              </div>
              <Show when={rows().length > 0} fallback={<Empty text={t('compare.equal')} />}>
                <Table main tools name="compare" label={t('compare.title', { name: name() })} rows={rows()} columns={columns()} rowKey={(d) => `${d.fqn} ${d.place} ${d.kind}`} sort="kind" />
              </Show>
            </>
          )}
        </Show>
      </Show>
    </div>
  )
}
