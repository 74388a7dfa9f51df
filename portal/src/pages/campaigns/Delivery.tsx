// How the delivery of a campaign's data does, destination by destination: the last one, what waits, and why one failed.
import { For, Show, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { Campaign } from '../../api/types'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { Status } from '../../ui/Mark'
import { Failure, Skeleton } from '../../ui/Notice'
import { deliveryTone, deliveryWords } from './delivery-words'

export function Delivery(props: { campaign: Campaign }): JSX.Element {
  const list = useLoad(
    () => props.campaign.id,
    (id, signal) => call('campaign_destinations', { path: { id } }, signal),
    { every: 8000, key: 'place' },
  )
  return (
    <>
      <h2>{t('delivery.title')}</h2>
      <Failure error={list.error()} stale={!!list.value()} retry={() => void list.again()} />
      <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={2} /></Show>}>
        {(value) => (
          <Show when={value().items.length > 0} fallback={<p class="soft small">{t('delivery.only')}</p>}>
            <ul class="deliveries">
              <For each={value().items}>
                {(d) => (
                  <li>
                    <Status tone={deliveryTone(d)}>
                      {word('destination', d.kind)} <span class="code">{d.place}</span>
                    </Status>
                    <span class="soft small">{deliveryWords(d, second())}</span>
                    <Show when={d.error}>
                      <span class="small delivery-error">{d.error}</span>
                    </Show>
                  </li>
                )}
              </For>
            </ul>
            <p class="faint small">{t('delivery.since')}</p>
          </Show>
        )}
      </Show>
    </>
  )
}
