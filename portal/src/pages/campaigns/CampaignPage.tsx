// One campaign: what it collects, from whom, and what each vehicle says about it.
import { A, useNavigate, useParams } from '@solidjs/router'
import { For, Show, createSignal, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { Campaign } from '../../api/types'
import { whole } from '../../format/number'
import { dateTime, moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Confirm, type Question } from '../../ui/Confirm'
import { Fqn } from '../../ui/Fqn'
import { Failure, Skeleton } from '../../ui/Notice'
import { useUrl } from '../../ui/url'
import { Cost } from './Cost'
import { Delivery } from './Delivery'
import { CampaignStatus, deedsOf, period, questionOf, targetWords, triggerWords, type Deed } from './parts'
import { RollOut } from './RollOut'
import { Stage } from './Stage'
import { TryPanel } from './TryPanel'

export default function CampaignPage(): JSX.Element {
  const params = useParams()
  const navigate = useNavigate()
  const url = useUrl()
  const id = (): number => Number(params.id)
  const campaign = useLoad(
    id,
    (c, signal) => call('campaign_get', { path: { id: c } }, signal),
    { every: 4000, key: 'fqn' },
  )
  const [question, setQuestion] = createSignal<Question>()
  const ask = (c: Campaign, deed: Deed): void => {
    setQuestion(
      questionOf(c, deed, async () => {
        if (deed === 'delete') navigate('/campaigns')
        else await campaign.again()
      }),
    )
  }
  const facts = (c: Campaign): [string, string][] => {
    const out: [string, string][] = [
      [t('column.target'), targetWords(c)],
      [t('column.trigger'), triggerWords(c)],
    ]
    if (c.kind === 'condition') {
      out.push([t('editor.interval'), period(c.min_interval_ms ?? 0)])
      out.push([t('editor.edge'), c.rising_edge ? t('word.yes') : t('word.no')])
    }
    if (c.after_ms) out.push([t('editor.after'), period(c.after_ms)])
    out.push([t('editor.compress'), c.compress ? t('word.yes') : t('word.no')])
    out.push([t('editor.persist'), c.persist ? t('word.yes') : t('word.no')])
    if (c.priority !== undefined) out.push([t('editor.priority'), whole(c.priority)])
    if (c.start) out.push([t('editor.start'), dateTime(parse(c.start))])
    if (c.expiry) out.push([t('editor.expiry'), dateTime(parse(c.expiry))])
    out.push([t('column.updated'), moment(parse(c.updated), second())])
    return out
  }
  return (
    <div class="page page-fill">
      <Show
        when={campaign.value()}
        fallback={
          <Show when={campaign.error()} fallback={<Skeleton rows={10} />}>
            <Failure error={campaign.error()} retry={() => void campaign.again()} />
          </Show>
        }
      >
        {(c) => (
          <>
            <header class="page-head">
              <div class="page-title">
                <p class="crumb small">
                  <A href="/campaigns">{t('page.campaigns')}</A>
                </p>
                <h1>{c().name}</h1>
                <p class="summary-line">
                  <CampaignStatus status={c().status} />
                  <span class="soft">{t(c().status === 'draft' || c().status === 'suspended' ? 'campaign.for' : 'campaign.on', { count: c().vehicles })}</span>
                </p>
                <Show when={c().description}>
                  <p class="soft">{c().description}</p>
                </Show>
              </div>
              <span class="grow" />
              <Show when={may('campaign:write')}>
                <div class="deeds">
                  <A class="button" href={`/campaigns/${c().id}/edit`}>
                    {t('campaign.edit')}
                  </A>
                  <Show when={c().status !== 'draft'}>
                    <button class="button" aria-pressed={url.get('try') !== ''} onClick={() => url.set({ try: url.get('try') ? undefined : '1' })}>
                      {t('try.do')}
                    </button>
                  </Show>
                  <For each={deedsOf(c())}>
                    {(deed) => (
                      <button class="button" classList={{ 'danger-text': deed === 'delete', primary: deed === 'run' }} onClick={() => ask(c(), deed)}>
                        {t(`deed.${deed === 'run' && c().status === 'suspended' ? 'resume' : deed}.button` as 'deed.run.button')}
                      </button>
                    )}
                  </For>
                </div>
              </Show>
            </header>
            <Failure error={campaign.error()} stale retry={() => void campaign.again()} />
            <div class="campaign">
              <section class="campaign-facts">
                <Show when={c().kind === 'condition'}>
                  <h2>{t('editor.expression')}</h2>
                  <pre class="expression-shown" tabindex={0}>
                    {c().expression}
                  </pre>
                </Show>
                <h2>{t('campaign.facts')}</h2>
                <dl class="facts">
                  <For each={facts(c())}>
                    {([name, value]) => (
                      <div>
                        <dt>{name}</dt>
                        <dd>{value}</dd>
                      </div>
                    )}
                  </For>
                </dl>
                <Show when={c().dimensions.length > 0}>
                  <h2>{t('editor.dimensions')}</h2>
                  <p class="code small">{c().dimensions.join(', ')}</p>
                </Show>
                <Cost campaign={c()} />
                <Delivery campaign={c()} />
                <h2>{t('campaign.collects', { count: c().signals.length })}</h2>
                <ul class="collected" tabindex={0} aria-label={t('campaign.collects', { count: c().signals.length })}>
                  <For each={c().signals}>
                    {(signal) => (
                      <li>
                        <Fqn class="grow" name={signal.fqn} />
                        <span class="soft small">
                          {[signal.min_period_ms ? t('editor.period.short', { period: period(signal.min_period_ms) }) : '', signal.max_samples ? t('editor.max.short', { count: signal.max_samples }) : ''].filter(Boolean).join(', ')}
                        </span>
                      </li>
                    )}
                  </For>
                </ul>
              </section>
              <div class="campaign-side">
                <Show when={c().status === 'draft' || url.get('try') !== ''}>
                  <TryPanel id={c().id} />
                </Show>
                <Show when={c().rollout && c().status !== 'draft'}>
                  <Stage campaign={c()} onChange={campaign.again} />
                </Show>
                <RollOut campaign={c()} />
              </div>
            </div>
          </>
        )}
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </div>
  )
}
