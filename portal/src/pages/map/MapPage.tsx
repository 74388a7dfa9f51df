// The map on the whole page; the chosen vehicle's facts float over it. The address holds viewport, filter and choice.
import { A, useNavigate } from '@solidjs/router'
import { Show, createMemo, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { serverNow } from '../../live/clock'
import { rowOf, vehicles } from '../../live/directory'
import { fleet, tick } from '../../live/fleet'
import { rfc3339 } from '../../format/time'
import { t } from '../../text/text'
import { FleetFilter, matcher } from '../centre/FleetFilter'
import { VehicleSummary } from '../centre/VehicleSummary'
import { readView, writeView } from '../../ui/address'
import { useUrl } from '../../ui/url'
import { MapPanel } from './MapPanel'

export default function MapPage(): JSX.Element {
  const url = useUrl()
  const navigate = useNavigate()
  const selected = (): number => Number(url.get('vehicle')) || 0
  const shown = createMemo(() => {
    const test = matcher(url.get('q'), url.get('motion'))
    const known = vehicles()
    if (!url.get('q') && !url.get('motion')) return undefined
    tick()
    return (id: number): boolean => {
      const vehicle = known?.get(id)
      return vehicle ? test(rowOf(vehicle)) : false
    }
  })
  const track = useLoad(
    () => selected() || undefined,
    (id, signal) => call('vehicle_track', { path: { id }, query: { from: rfc3339(serverNow() - 15 * 60_000), to: rfc3339(serverNow() + 1000), points: 600 } }, signal),
    { every: 10_000, key: 'time' },
  )
  const chosen = createMemo(() => {
    tick()
    const vehicle = vehicles()?.get(selected())
    return vehicle ? rowOf(vehicle) : undefined
  })
  const unplaced = createMemo(() => {
    tick()
    let n = 0
    for (let slot = 0; slot < fleet.count; slot++) if (!fleet.known[slot]) n++
    return n
  })
  return (
    <div class="map-page">
      <h1 class="hidden-text">{t('page.map')}</h1>
      <MapPanel
        shown={shown()}
        selected={selected()}
        onSelect={(id) => url.set({ vehicle: id ? String(id) : undefined })}
        onOpen={(id) => navigate(`/vehicles/${id}`)}
        trail={track.value()?.points ?? []}
        view={readView(url.get('view'))}
        onView={(view) => url.set({ view: writeView(view) })}
      />
      <div class="map-float">
        <FleetFilter q={url.get('q')} motion={url.get('motion')} onChange={(next) => url.set(next)} />
        <Show when={chosen()}>
          {(row) => (
            <section class="map-sheet" aria-label={row().name}>
              <VehicleSummary row={row()} />
              <A class="button" href={`/vehicles/${row().id}`}>
                {t('vehicle.open')}
              </A>
            </section>
          )}
        </Show>
        <Show when={unplaced() > 0}>
          <p class="map-unplaced small">{t('map.unplaced', { count: unplaced() })}</p>
        </Show>
      </div>
    </div>
  )
}
