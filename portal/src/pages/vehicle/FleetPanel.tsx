// The fleets that a vehicle is in.
import { A } from '@solidjs/router'
import { For, Show, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import type { Vehicle } from '../../api/types'
import { t } from '../../text/text'
import { Failure, Skeleton } from '../../ui/Notice'

export function FleetPanel(props: { vehicle: Vehicle }): JSX.Element {
  const fleets = useLoad(
    () => props.vehicle.id,
    (id, signal) => call('vehicle_fleets', { path: { id }, query: { limit: 1000 } }, signal),
  )
  return (
    <section class="panel" aria-label={t('fleet.title')}>
      <div class="section-head">
        <h2>{t('fleet.title')}</h2>
      </div>
      <Failure error={fleets.error()} retry={() => void fleets.again()} />
      <Show when={fleets.value()} fallback={<Show when={!fleets.error()}><Skeleton rows={1} /></Show>}>
        {(list) => (
          <Show when={list().items.length > 0} fallback={<p class="soft">{t('fleet.nowhere')}</p>}>
            <ul class="fleet-names">
              <For each={list().items}>
                {(fleet) => (
                  <li>
                    <A href={`/fleets/${encodeURIComponent(fleet)}`}>{fleet}</A>
                  </li>
                )}
              </For>
            </ul>
          </Show>
        )}
      </Show>
    </section>
  )
}
