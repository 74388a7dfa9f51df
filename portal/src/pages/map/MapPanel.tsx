// The map with what it needs around it: the description of the base map, loading and failure. Its code is a chunk of its own.
import { Show, Suspense, createEffect, lazy, onCleanup, type JSX } from 'solid-js'
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
  // The platform makes its base map when somebody first wants to see it, which takes a second or two.
  const making = (): boolean => info.error()?.status === 503
  createEffect(() => {
    if (!making()) return
    const timer = setTimeout(() => void info.again(), 1000)
    onCleanup(() => clearTimeout(timer))
  })
  return (
    <div class="map-panel">
      <Failure error={making() ? undefined : info.error()} retry={() => void info.again()} />
      <Show when={making() && !info.value()}>
        <p class="map-note" role="status">
          {t('map.making')}
        </p>
      </Show>
      <Suspense fallback={<div class="map-wait" />}>
        <Show when={info.value()} fallback={<div class="map-wait" />}>
          {(value) => <FleetMap {...props} info={value()} label={t('map.label')} />}
        </Show>
      </Suspense>
    </div>
  )
}
