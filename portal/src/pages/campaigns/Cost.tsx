// What a campaign has sent so far and what that cost: today, in the last thirty days, and from whom the most.
import { A } from '@solidjs/router'
import { For, Show, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { Campaign, CampaignCost } from '../../api/types'
import { bytes, whole } from '../../format/number'
import { parse } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Failure, Skeleton } from '../../ui/Notice'
import { moneyWords } from './trial'

const days = 30
const most = 5

export function Cost(props: { campaign: Campaign }): JSX.Element {
  const cost = useLoad(
    () => props.campaign.id,
    (id, signal) => call('campaign_cost', { path: { id }, query: { days, limit: most } }, signal),
    { every: 10_000, key: 'day' },
  )
  /** Days are those of UTC, by arrival. */
  const today = (c: CampaignCost): Pick<CampaignCost, 'messages' | 'bytes' | 'samples' | 'money'> => c.days.find((d) => parse(d.day) <= second() && second() < parse(d.day) + 86_400_000) ?? { messages: 0, bytes: 0, samples: 0, money: 0 }
  const rows = (c: CampaignCost): [string, string, string][] => [
    [t('column.messages'), whole(today(c).messages), whole(c.messages)],
    [t('cost.bytes'), bytes(today(c).bytes), bytes(c.bytes)],
    [t('column.samples'), whole(today(c).samples), whole(c.samples)],
    ...(c.money > 0 ? ([[t('cost.money'), moneyWords(today(c).money, c.currency) || '–', moneyWords(c.money, c.currency)]] as [string, string, string][]) : []),
  ]
  return (
    <>
      <h2>{t('cost.title')}</h2>
      <Failure error={cost.error()} stale={!!cost.value()} retry={() => void cost.again()} />
      <Show when={cost.value()} fallback={<Show when={!cost.error()}><Skeleton rows={3} /></Show>}>
        {(c) => (
          <Show when={c().messages > 0} fallback={<p class="soft small">{t('cost.none')}</p>}>
            <table class="cost">
              <thead>
                <tr>
                  <td />
                  <th scope="col">{t('cost.today')}</th>
                  <th scope="col">{t('cost.days', { count: days })}</th>
                </tr>
              </thead>
              <tbody>
                <For each={rows(c())}>
                  {([name, now, all]) => (
                    <tr>
                      <th scope="row">{name}</th>
                      <td>{now}</td>
                      <td>{all}</td>
                    </tr>
                  )}
                </For>
              </tbody>
            </table>
            <Show when={c().money === 0}>
              <p class="soft small">{t('cost.noprice')}</p>
            </Show>
            <h3>{t('cost.most')}</h3>
            <ul class="cost-vehicles">
              <For each={c().vehicles}>
                {(v) => (
                  <li>
                    <Show when={v.vehicle > 0 && v.name} fallback={<span class="grow soft">{t(v.vehicle > 0 ? 'cost.deleted' : 'cost.erased')}</span>}>
                      <A class="grow" href={`/vehicles/${v.vehicle}`}>{v.name}</A>
                    </Show>
                    <span class="soft small">{[bytes(v.bytes), moneyWords(v.money, c().currency)].filter(Boolean).join(', ')}</span>
                  </li>
                )}
              </For>
            </ul>
          </Show>
        )}
      </Show>
    </>
  )
}
