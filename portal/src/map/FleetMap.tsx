// The live map: base map, vehicles, clusters, the trail of the chosen vehicle, hover card, and our own controls.
import { Show, createEffect, createSignal, on, onCleanup, onMount, type JSX } from 'solid-js'
import { AttributionControl, Map as MapGl, setWorkerUrl, type GeoJSONSource, type LngLatBoundsLike } from 'maplibre-gl'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import Minus from 'lucide-solid/icons/minus'
import Plus from 'lucide-solid/icons/plus'
import Scan from 'lucide-solid/icons/scan'
import type { MapInfo, TrackPoint } from '../api/types'
import { fleet, tick } from '../live/fleet'
import { vehicles } from '../live/directory'
import { theme } from '../ui/preferences'
import { t, word } from '../text/text'
import { whole, quantity } from '../format/number'
import { age } from '../format/time'
import { tokenText } from './colour'
import { PickGrid } from './grid'
import { clusters, type Cluster } from './cluster'
import { baseStyle } from './style'
import { VehicleLayer, status } from './vehicles'
import './map.css'

setWorkerUrl(new URL(workerUrl, location.origin).href)

export interface View {
  longitude: number
  latitude: number
  zoom: number
}

export interface FleetMapProps {
  info: MapInfo
  /** Which vehicles are drawn; absent: all. */
  shown?: (id: number) => boolean
  selected?: number
  onSelect?: (id: number) => void
  onOpen?: (id: number) => void
  /** Where the chosen vehicle drove. */
  trail?: TrackPoint[]
  /** Put a mark here: a past moment. */
  past?: { longitude: number; latitude: number } | undefined
  view?: View | undefined
  onView?: (view: View) => void
  /** Keep the chosen vehicle in the middle. */
  follow?: boolean
  label: string
}

const clusterZoom = 11.2
const statusToken = ['--offline', '--ok', '--notice', '--parked', '--offline', '--warning']

export default function FleetMap(props: FleetMapProps): JSX.Element {
  let box!: HTMLDivElement
  let discs!: HTMLCanvasElement
  let map: MapGl | undefined
  const layer = new VehicleLayer()
  const grid = new PickGrid()
  let groups: Cluster[] = []
  let ready = false
  const [broken, setBroken] = createSignal('')
  const [loaded, setLoaded] = createSignal(false)
  const [hover, setHover] = createSignal<{ id: number; x: number; y: number; flip: boolean }>()

  const worldPixels = (): number => 512 * 2 ** (map?.getZoom() ?? 0)
  const keep = (slot: number): boolean => layer.isShown(slot)

  function regroup(): void {
    if (!map) return
    const pixel = 1 / worldPixels()
    grid.build(fleet.count, layer.x, layer.y, 48 * pixel, keep)
    if (map.getZoom() < clusterZoom && fleet.count > 40) {
      const cell = 56 / (512 * 2 ** Math.floor(map.getZoom()))
      const found = clusters(fleet.count, layer.x, layer.y, cell, keep, (slot) => layer.statusOf(slot))
      groups = found.list
      layer.cluster(found.members)
    } else {
      groups = []
      layer.cluster(undefined)
    }
    drawDiscs()
  }

  function drawDiscs(): void {
    const pen = discs.getContext('2d')
    if (!pen || !map) return
    const ratio = devicePixelRatio
    const { clientWidth: w, clientHeight: h } = box
    if (discs.width !== Math.round(w * ratio) || discs.height !== Math.round(h * ratio)) {
      discs.width = Math.round(w * ratio)
      discs.height = Math.round(h * ratio)
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0)
    pen.clearRect(0, 0, w, h)
    if (!groups.length) return
    const sheet = tokenText('--sheet')
    const text = tokenText('--text')
    pen.textAlign = 'center'
    pen.textBaseline = 'middle'
    for (const group of groups) {
      const at = map.project(lngLat(group.x, group.y))
      if (at.x < -40 || at.y < -40 || at.x > w + 40 || at.y > h + 40) continue
      const r = Math.min(26, 12 + Math.log10(group.count) * 5.5)
      pen.beginPath()
      pen.arc(at.x, at.y, r, 0, 7)
      pen.fillStyle = sheet
      pen.fill()
      pen.lineWidth = 3
      pen.strokeStyle = tokenText(statusToken[group.worst] ?? '--offline')
      pen.setLineDash(group.worst === status.late ? [5, 3] : [])
      pen.stroke()
      pen.setLineDash([])
      pen.fillStyle = text
      pen.font = `600 12px 'Inter Variable', sans-serif`
      pen.fillText(whole(group.count), at.x, at.y + 0.5)
    }
  }

  function lngLat(x: number, y: number): [number, number] {
    return [x * 360 - 180, (Math.atan(Math.exp(Math.PI * (1 - 2 * y))) * 360) / Math.PI - 90]
  }

  /** Around the shown vehicles; home: only those on the base map, when there are any, so that one far away does not hide the rest. */
  function bounds(home: boolean): LngLatBoundsLike | undefined {
    const [w, s, e, n] = props.info.bounds
    let west = Infinity, south = Infinity, east = -Infinity, north = -Infinity
    for (let slot = 0; slot < fleet.count; slot++) {
      if (!layer.isShown(slot)) continue
      const lon = fleet.longitude[slot] ?? 0
      const lat = fleet.latitude[slot] ?? 0
      if (home && (lon < w || lon > e || lat < s || lat > n)) continue
      west = Math.min(west, lon)
      east = Math.max(east, lon)
      south = Math.min(south, lat)
      north = Math.max(north, lat)
    }
    return west <= east ? [west, south, east, north] : undefined
  }

  function fit(home: boolean): void {
    const to = (home ? bounds(true) : undefined) ?? bounds(false) ?? (props.info.bounds as LngLatBoundsLike)
    map?.fitBounds(to, { padding: Math.min(56, box.clientWidth / 8), maxZoom: 15.5, animate: !home && !matchMedia('(prefers-reduced-motion: reduce)').matches, duration: 400 })
  }

  function pick(x: number, y: number): number {
    if (!map) return -1
    const at = map.unproject([x, y])
    const scale = worldPixels()
    const px = (at.lng + 180) / 360
    const s = Math.sin((at.lat * Math.PI) / 180)
    const py = 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)
    return grid.nearest(px, py, 18 / scale, (slot) => layer.drawn(slot))
  }

  function clusterAt(x: number, y: number): Cluster | undefined {
    return groups.find((group) => {
      const at = map?.project(lngLat(group.x, group.y))
      return at && Math.hypot(at.x - x, at.y - y) < 26
    })
  }

  onMount(() => {
    const start = props.view
    try {
      map = new MapGl({
        container: box,
        style: baseStyle(props.info),
        ...(start ? { center: [start.longitude, start.latitude] as [number, number], zoom: start.zoom } : { bounds: bounds(true) ?? bounds(false) ?? props.info.bounds, fitBoundsOptions: { padding: 40, maxZoom: 15.5 } }),
        attributionControl: false,
        pitchWithRotate: false,
        touchPitch: false,
        maxPitch: 0,
        maxZoom: 19,
        fadeDuration: 120,
        cancelPendingTileRequestsWhileZooming: true,
      })
    } catch (cause) {
      setBroken(cause instanceof Error ? cause.message : String(cause))
      return
    }
    const m = map
    Object.assign(box, { motorcadeMap: m }) // for the browser tests: they wait for idle and fail on error
    m.addControl(new AttributionControl({ compact: false }), 'bottom-right')
    const canvas = m.getCanvas()
    canvas.setAttribute('role', 'application')
    canvas.setAttribute('aria-label', props.label)
    m.touchZoomRotate.disableRotation()
    m.on('error', (event) => {
      box.dataset.error = event.error.message
      setBroken(event.error.message)
    })
    m.on('sourcedata', () => broken() && m.isSourceLoaded('base') && setBroken(''))
    m.once('load', () => {
      m.addSource('trail', { type: 'geojson', data: { type: 'FeatureCollection', features: [] } })
      m.addSource('past', { type: 'geojson', data: { type: 'FeatureCollection', features: [] } })
      const before = 'road-name-minor'
      m.addLayer({ id: 'trail-edge', type: 'line', source: 'trail', layout: { 'line-cap': 'round', 'line-join': 'round' }, paint: { 'line-color': tokenText('--sheet'), 'line-width': 6, 'line-opacity': 0.85 } }, before)
      m.addLayer({ id: 'trail', type: 'line', source: 'trail', layout: { 'line-cap': 'round', 'line-join': 'round' }, paint: { 'line-color': tokenText('--accent'), 'line-width': 3 } }, before)
      m.addLayer({ id: 'past', type: 'circle', source: 'past', paint: { 'circle-radius': 7, 'circle-color': tokenText('--accent'), 'circle-stroke-width': 3, 'circle-stroke-color': tokenText('--sheet') } })
      m.addLayer(layer)
      ready = true
      setLoaded(true)
      if (!start && fleet.count > 0) fit(true)
      regroup()
    })
    m.once('idle', () => (box.dataset.idle = 'yes'))
    m.on('move', drawDiscs)
    m.on('zoomend', regroup)
    m.on('resize', drawDiscs)
    m.on('moveend', () => {
      const centre = m.getCenter()
      props.onView?.({ longitude: centre.lng, latitude: centre.lat, zoom: m.getZoom() })
    })
    m.on('mousemove', (event) => {
      const { x, y } = event.point
      const slot = pick(x, y)
      const group = slot < 0 ? clusterAt(x, y) : undefined
      canvas.style.cursor = slot >= 0 || group ? 'pointer' : ''
      layer.hover(slot >= 0 ? (fleet.id[slot] ?? 0) : 0)
      setHover(slot >= 0 ? { id: fleet.id[slot] ?? 0, x, y, flip: x > box.clientWidth - 230 } : undefined)
    })
    m.on('mouseout', () => {
      layer.hover(0)
      setHover(undefined)
    })
    m.on('click', (event) => {
      const { x, y } = event.point
      const slot = pick(x, y)
      if (slot >= 0) {
        props.onSelect?.(fleet.id[slot] ?? 0)
        return
      }
      const group = clusterAt(x, y)
      if (group) m.easeTo({ center: lngLat(group.x, group.y), zoom: Math.min(16, m.getZoom() + 2), duration: 300 })
      else props.onSelect?.(0)
    })
    m.on('dblclick', (event) => {
      const slot = pick(event.point.x, event.point.y)
      if (slot < 0 || !props.onOpen) return
      event.preventDefault()
      props.onOpen(fleet.id[slot] ?? 0)
    })
    const watch = new ResizeObserver(() => m.resize())
    watch.observe(box)
    onCleanup(() => {
      watch.disconnect()
      m.remove()
    })
  })

  // The first positions may come after the map: then it fits itself once.
  let fitted = fleet.count > 0
  createEffect(() => {
    tick()
    loaded()
    if (!ready) return
    if (!fitted && fleet.count > 0) {
      fitted = true
      if (!props.view) fit(true)
    }
    regroup()
    if (props.follow && props.selected && map && !map.isMoving()) {
      const slot = fleet.slotOf.get(props.selected)
      if (slot !== undefined && fleet.known[slot]) {
        const at = map.project([fleet.longitude[slot] ?? 0, fleet.latitude[slot] ?? 0])
        const { clientWidth: w, clientHeight: h } = box
        if (Math.abs(at.x - w / 2) > w * 0.28 || Math.abs(at.y - h / 2) > h * 0.28) {
          map.easeTo({ center: [fleet.longitude[slot] ?? 0, fleet.latitude[slot] ?? 0], duration: matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 500 })
        }
      }
    }
  })
  createEffect(() => {
    const shown = props.shown
    layer.filter(shown ?? (() => true))
    if (ready) regroup()
  })
  createEffect(() => layer.select(props.selected ?? 0))

  /** Brings a vehicle into the picture when the list chose it. */
  createEffect(
    on(
      () => props.selected,
      (id) => {
        if (!id || !map || props.follow) return
        const slot = fleet.slotOf.get(id)
        if (slot === undefined || !fleet.known[slot]) return
        const at: [number, number] = [fleet.longitude[slot] ?? 0, fleet.latitude[slot] ?? 0]
        const spot = map.project(at)
        const margin = 60
        if (spot.x < margin || spot.y < margin || spot.x > box.clientWidth - margin || spot.y > box.clientHeight - margin || map.getZoom() < clusterZoom) {
          map.easeTo({ center: at, zoom: Math.max(map.getZoom(), 13.5), duration: matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 350 })
        }
      },
      { defer: true },
    ),
  )

  createEffect(() => {
    loaded()
    const points = props.trail ?? []
    if (!ready) return
    // A pause of more than two minutes or a leap that no vehicle drives (90 m/s) breaks the line: nobody went straight across.
    const lines: [number, number][][] = []
    let line: [number, number][] = []
    let before: TrackPoint | undefined
    for (const point of points) {
      const seconds = before ? Math.max(1, (point.time - before.time) / 1000) : 1
      const east = (point.longitude - (before?.longitude ?? 0)) * Math.cos((point.latitude * Math.PI) / 180)
      const gap = before && (seconds > 120 || (Math.hypot(point.latitude - before.latitude, east) * 111_320) / seconds > 90)
      if (gap) {
        if (line.length > 1) lines.push(line)
        line = []
      }
      line.push([point.longitude, point.latitude])
      before = point
    }
    if (line.length > 1) lines.push(line)
    void map?.getSource<GeoJSONSource>('trail')?.setData({ type: 'Feature', properties: {}, geometry: { type: 'MultiLineString', coordinates: lines } })
  })
  createEffect(() => {
    loaded()
    const past = props.past
    if (!ready) return
    void map?.getSource<GeoJSONSource>('past')?.setData({
      type: 'FeatureCollection',
      features: past ? [{ type: 'Feature', properties: {}, geometry: { type: 'Point', coordinates: [past.longitude, past.latitude] } }] : [],
    })
    if (past) map?.easeTo({ center: [past.longitude, past.latitude], duration: 0 })
  })

  createEffect(
    on(
      theme,
      () => {
        if (!map || !ready) return
        for (const next of baseStyle(props.info).layers) {
          for (const [name, value] of Object.entries(next.paint ?? {})) map.setPaintProperty(next.id, name as never, value as never)
        }
        map.setPaintProperty('trail-edge', 'line-color', tokenText('--sheet'))
        map.setPaintProperty('trail', 'line-color', tokenText('--accent'))
        layer.recolour()
        drawDiscs()
      },
      { defer: true },
    ),
  )

  const hovered = (): { name: string; line: string } | undefined => {
    const over = hover()
    if (!over) return undefined
    tick()
    const slot = fleet.slotOf.get(over.id)
    if (slot === undefined) return undefined
    const motion = fleet.late(slot) ? t('motion.late') : word('motion', fleet.motionOf(slot))
    const speed = fleet.speed[slot] ?? NaN
    const since = fleet.ageOf(slot)
    return {
      name: vehicles()?.get(over.id)?.name ?? t('vehicle.number', { id: over.id }),
      line: [motion, Number.isNaN(speed) ? '' : quantity(speed, 'km/h', 0), Number.isNaN(since) ? '' : age(since)].filter(Boolean).join(' · '),
    }
  }

  return (
    <div class="map">
      <div class="map-box" ref={box} />
      <canvas class="map-discs" ref={discs} aria-hidden="true" />
      <Show when={hover() && hovered()}>
        {(what) => (
          <div
            class="map-card"
            classList={{ 'map-card-flip': hover()?.flip ?? false }}
            style={{ transform: `translate(${hover()?.x ?? 0}px, ${hover()?.y ?? 0}px)` }}
          >
            <div class="map-card-in">
              <strong>{what().name}</strong>
              <span>{what().line}</span>
            </div>
          </div>
        )}
      </Show>
      <div class="map-buttons">
        <button class="button icon-only" onClick={() => map?.zoomIn()} aria-label={t('map.in')} title={t('map.in')}>
          <Plus size={16} />
        </button>
        <button class="button icon-only" onClick={() => map?.zoomOut()} aria-label={t('map.out')} title={t('map.out')}>
          <Minus size={16} />
        </button>
        <button class="button icon-only" onClick={() => fit(false)} aria-label={t('map.fit')} title={t('map.fit')}>
          <Scan size={16} />
        </button>
      </div>
      <Show when={broken()}>
        <p class="map-broken" role="status">
          {t('map.broken', { why: broken() })}
        </p>
      </Show>
    </div>
  )
}
