// The map with what it needs around it: the description of the base map, loading and failure. Its code is a chunk of its own.
import { Show, Suspense, lazy, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { Failure } from '../../ui/Notice'
import { t } from '../../text/text'
import type { FleetMapProps } from '../../map/FleetMap'

const FleetMap = lazy(() => import('../../map/FleetMap'))

export function MapPanel(props: Omit<FleetMapProps, 'info' | 'label'>): JSX.Element {
  const info = useLoad(
    () => true,
    (_, signal) => call('map_info', signal),
  )
  return (
    <div class="map-panel">
      <Failure error={info.error()} retry={() => void info.again()} />
      <Suspense fallback={<div class="map-wait" />}>
        <Show when={info.value()} fallback={<div class="map-wait" />}>
          {(value) => <FleetMap {...props} info={value()} label={t('map.label')} />}
        </Show>
      </Suspense>
    </div>
  )
}
