// Which vehicles a campaign would run on. The server judges by the decoder manifests; until it has answered nothing is claimed.
import { For, Show, createEffect, createSignal, on, onCleanup, type Accessor, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad, type Loaded } from '../../api/load'
import type { CampaignReach, CampaignReachPart } from '../../api/types'
import { whole } from '../../format/number'
import { t } from '../../text/text'
import { Status } from '../../ui/Mark'
import { Failure } from '../../ui/Notice'
import { reachAsk, type Draft } from './draft'

export interface Reached extends Loaded<CampaignReach> {
  /** The answer belongs to what stands in the form now. */
  fresh: Accessor<boolean>
}

export function useReach(draft: Draft): Reached {
  const [asked, setAsked] = createSignal<string>()
  const now = (): string => JSON.stringify(reachAsk(draft))
  createEffect(
    on(now, (text) => {
      const timer = setTimeout(() => setAsked(draft.signals.length ? text : undefined), 250)
      onCleanup(() => clearTimeout(timer))
    }),
  )
  const loaded = useLoad(asked, (text, signal) => call('campaign_reach', { body: JSON.parse(text) as ReturnType<typeof reachAsk> }, signal), { key: 'manifest' })
  return { ...loaded, fresh: () => draft.signals.length > 0 && asked() === now() && !loaded.pending() && !loaded.error() && loaded.value() !== undefined }
}

/** Vehicles that it reaches; undefined while that is not known. */
export const reachedBy = (reach: Reached): number | undefined => (reach.fresh() ? reach.value()?.vehicles : undefined)

export function reachWords(reach: Reached, chosen: boolean): string {
  if (!chosen) return t('reach.choose')
  const value = reach.value()
  if (!reach.fresh() || !value) return reach.error() ? t('reach.unknown') : t('reach.asking')
  if (value.targeted === 0) return t('reach.nobody')
  if (value.vehicles === value.targeted) return t('reach.all', { count: value.vehicles })
  return t('reach.some', { count: value.vehicles, targeted: value.targeted })
}

function lacks(part: CampaignReachPart): string {
  if (!part.manifest) return t('reach.nomanifest')
  const more = part.missing - part.names.length
  const names = part.names.join(', ')
  return more > 0 ? t('reach.lacks.more', { names, more: whole(more) }) : names
}

/** What the manifests lack; nothing when they lack nothing. */
export function ReachParts(props: { reach: Reached }): JSX.Element {
  const parts = (): CampaignReachPart[] => (props.reach.fresh() ? (props.reach.value()?.parts ?? []) : []).filter((part) => !part.reached || part.missing > 0)
  return (
    <>
      <Failure error={props.reach.error()} retry={() => void props.reach.again()} />
      <Show when={parts().length > 0}>
        <table class="reach">
          <thead>
            <tr>
              <th scope="col">{t('column.manifest')}</th>
              <th scope="col" class="right">
                {t('column.vehicles')}
              </th>
              <th scope="col">{t('column.state')}</th>
              <th scope="col">{t('reach.lacks')}</th>
            </tr>
          </thead>
          <tbody>
            <For each={parts()}>
              {(part) => (
                <tr>
                  <th scope="row">{part.manifest || t('vehicle.manifest.none')}</th>
                  <td class="right">{whole(part.vehicles)}</td>
                  <td>
                    <Status tone={part.reached ? 'notice' : 'warning'}>{part.reached ? t('reach.partly') : t('reach.not')}</Status>
                  </td>
                  <td class="reach-names">{lacks(part)}</td>
                </tr>
              )}
            </For>
          </tbody>
        </table>
      </Show>
    </>
  )
}
