// The base map: our own style over our own tiles (layers land, water, waterway, building, road, place, boundary).
// Colours come from the tokens, labels from plain font files; nothing is asked of any other address.
import type { ExpressionSpecification, LayerSpecification, StyleSpecification } from 'maplibre-gl'
import latin from '@fontsource/noto-sans/files/noto-sans-latin-500-normal.woff2?url'
import latinExt from '@fontsource/noto-sans/files/noto-sans-latin-ext-500-normal.woff2?url'
import greek from '@fontsource/noto-sans/files/noto-sans-greek-500-normal.woff2?url'
import cyrillic from '@fontsource/noto-sans/files/noto-sans-cyrillic-500-normal.woff2?url'
import type { MapInfo } from '../api/types'
import { tokenText as c } from './colour'

const font = ['Noto']
const absolute = (path: string): string => new URL(path, location.origin).href

function byZoom(...stops: [zoom: number, value: number][]): ExpressionSpecification {
  return ['interpolate', ['exponential', 1.5], ['zoom'], ...stops.flat()] as ExpressionSpecification
}
const classIn = (...names: string[]): ExpressionSpecification => ['in', ['get', 'class'], ['literal', names]]
const underground: ExpressionSpecification = ['case', ['==', ['get', 'tunnel'], 1], 0.45, ['==', ['get', 'tunnel'], true], 0.45, 1]

interface Road {
  id: string
  classes: string[]
  colour: string
  casing: string
  from: number
  width: [number, number][]
  edge: number
}
const roads: Road[] = [
  { id: 'service', classes: ['service'], colour: '--map-road-minor', casing: '--map-casing', from: 14, width: [[14, 0.6], [16, 2.4], [19, 12]], edge: 0.8 },
  { id: 'minor', classes: ['minor'], colour: '--map-road-minor', casing: '--map-casing', from: 11.5, width: [[11.5, 0.4], [13, 1], [15, 4], [19, 22]], edge: 1 },
  { id: 'tertiary', classes: ['tertiary'], colour: '--map-road', casing: '--map-casing', from: 10, width: [[10, 0.5], [13, 2], [15, 5.5], [19, 28]], edge: 1 },
  { id: 'secondary', classes: ['secondary'], colour: '--map-road', casing: '--map-casing', from: 8, width: [[8, 0.5], [13, 2.8], [15, 7], [19, 32]], edge: 1.1 },
  { id: 'primary', classes: ['primary'], colour: '--map-road-major', casing: '--map-casing-major', from: 7, width: [[7, 0.6], [13, 3.4], [15, 8.5], [19, 36]], edge: 1.1 },
  { id: 'trunk', classes: ['trunk', 'motorway'], colour: '--map-road-major', casing: '--map-casing-major', from: 5, width: [[5, 0.7], [10, 2], [13, 4.2], [15, 10], [19, 42]], edge: 1.3 },
]

function layers(): LayerSpecification[] {
  const base = { source: 'base' }
  const out: LayerSpecification[] = [
    { id: 'ground', type: 'background', paint: { 'background-color': c('--map-ground') } },
    {
      ...base, id: 'land', type: 'fill', 'source-layer': 'land',
      paint: {
        'fill-antialias': false,
        'fill-color': [
          'match', ['get', 'class'],
          'wood', c('--map-wood'),
          ['park', 'grass', 'cemetery', 'sports'], c('--map-green'),
          'sand', c('--map-sand'),
          'farm', c('--map-farm'),
          ['industrial', 'commercial'], c('--map-works'),
          ['residential', 'school', 'square'], c('--map-town'),
          c('--map-land'),
        ],
      },
    },
    { ...base, id: 'water', type: 'fill', 'source-layer': 'water', paint: { 'fill-color': c('--map-water') } },
    {
      ...base, id: 'waterway', type: 'line', 'source-layer': 'waterway', layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': c('--map-water'), 'line-width': byZoom([9, 0.6], [13, 2], [17, 8]) },
    },
    {
      ...base, id: 'building', type: 'fill', 'source-layer': 'building', minzoom: 13.5,
      paint: {
        'fill-color': c('--map-building'), 'fill-outline-color': c('--map-building-line'),
        'fill-opacity': ['interpolate', ['linear'], ['zoom'], 13.5, 0, 14.5, 1],
      },
    },
    {
      ...base, id: 'boundary', type: 'line', 'source-layer': 'boundary',
      paint: { 'line-color': c('--map-boundary'), 'line-width': 1, 'line-dasharray': [4, 3] },
    },
    {
      ...base, id: 'path', type: 'line', 'source-layer': 'road', minzoom: 14.5, filter: classIn('path'),
      paint: { 'line-color': c('--map-path'), 'line-width': byZoom([14.5, 0.7], [18, 2]), 'line-dasharray': [3, 2] },
    },
    {
      ...base, id: 'rail', type: 'line', 'source-layer': 'road', minzoom: 11, filter: classIn('rail'),
      paint: { 'line-color': c('--map-rail'), 'line-width': byZoom([11, 0.6], [15, 1.4], [18, 3]) },
    },
    {
      ...base, id: 'rail-ties', type: 'line', 'source-layer': 'road', minzoom: 14, filter: classIn('rail'),
      paint: { 'line-color': c('--map-rail'), 'line-width': byZoom([14, 3], [18, 8]), 'line-dasharray': [0.18, 2.2] },
    },
  ]
  for (const road of roads) {
    out.push({
      ...base, id: `${road.id}-casing`, type: 'line', 'source-layer': 'road', minzoom: Math.max(road.from, 10), filter: classIn(...road.classes),
      layout: { 'line-cap': 'butt', 'line-join': 'round' },
      paint: {
        'line-color': c(road.casing), 'line-opacity': underground,
        'line-width': byZoom(...road.width.map(([z, w]): [number, number] => [z, w + 2 * road.edge * (z < 12 ? 0.7 : 1)])),
      },
    })
  }
  for (const road of roads) {
    out.push({
      ...base, id: road.id, type: 'line', 'source-layer': 'road', minzoom: road.from, filter: classIn(...road.classes),
      layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': c(road.colour), 'line-opacity': underground, 'line-width': byZoom(...road.width) },
    })
  }
  const halo = { 'text-halo-color': c('--map-halo'), 'text-halo-width': 1.4, 'text-halo-blur': 0.4 }
  out.push(
    {
      ...base, id: 'oneway', type: 'symbol', 'source-layer': 'road', minzoom: 15.5,
      filter: ['any', ['==', ['get', 'oneway'], 1], ['==', ['get', 'oneway'], true]],
      layout: { 'symbol-placement': 'line', 'symbol-spacing': 140, 'text-field': '›', 'text-font': font, 'text-size': 16, 'text-keep-upright': false, 'text-rotation-alignment': 'map' },
      paint: { 'text-color': c('--map-casing-major') },
    },
    {
      ...base, id: 'road-name-minor', type: 'symbol', 'source-layer': 'road', minzoom: 14.5, filter: classIn('minor', 'service', 'path'),
      layout: { 'symbol-placement': 'line', 'symbol-spacing': 320, 'text-field': ['get', 'name'], 'text-font': font, 'text-size': 11, 'text-max-angle': 32 },
      paint: { 'text-color': c('--map-label-soft'), ...halo },
    },
    {
      ...base, id: 'road-name', type: 'symbol', 'source-layer': 'road', minzoom: 12.5, filter: classIn('motorway', 'trunk', 'primary', 'secondary', 'tertiary'),
      layout: {
        'symbol-placement': 'line', 'symbol-spacing': 380, 'text-font': font, 'text-max-angle': 32,
        'text-field': ['coalesce', ['get', 'name'], ['get', 'ref']], 'text-size': byZoom([12, 10.5], [16, 12.5]),
      },
      paint: { 'text-color': c('--map-label'), ...halo },
    },
    {
      ...base, id: 'water-name', type: 'symbol', 'source-layer': 'water', minzoom: 11, filter: ['has', 'name'],
      layout: { 'text-field': ['get', 'name'], 'text-font': font, 'text-size': 11.5, 'text-letter-spacing': 0.06, 'text-max-width': 7 },
      paint: { 'text-color': c('--map-water-label'), 'text-halo-color': c('--map-water'), 'text-halo-width': 1 },
    },
    {
      ...base, id: 'place-small', type: 'symbol', 'source-layer': 'place', minzoom: 14, filter: ['match', ['get', 'kind'], ['city', 'town', 'village', 'suburb'], false, true],
      layout: { 'text-field': ['get', 'name'], 'text-font': font, 'text-size': 11, 'text-max-width': 8, 'text-padding': 6 },
      paint: { 'text-color': c('--map-label-soft'), ...halo },
    },
    {
      ...base, id: 'place-suburb', type: 'symbol', 'source-layer': 'place', minzoom: 10.5, maxzoom: 16, filter: ['==', ['get', 'kind'], 'suburb'],
      layout: { 'text-field': ['get', 'name'], 'text-font': font, 'text-size': byZoom([10.5, 10.5], [15, 13]), 'text-letter-spacing': 0.08, 'text-max-width': 8 },
      paint: { 'text-color': c('--map-label-soft'), ...halo },
    },
    {
      ...base, id: 'place', type: 'symbol', 'source-layer': 'place', maxzoom: 15.5, filter: ['match', ['get', 'kind'], ['city', 'town', 'village'], true, false],
      layout: {
        'text-field': ['get', 'name'], 'text-font': font, 'text-max-width': 8, 'symbol-sort-key': ['match', ['get', 'kind'], 'city', 0, 'town', 1, 2],
        'text-size': ['interpolate', ['linear'], ['zoom'], 6, ['match', ['get', 'kind'], 'city', 13, 'town', 11.5, 10.5], 13, ['match', ['get', 'kind'], 'city', 19, 'town', 16, 13.5]],
      },
      paint: { 'text-color': c('--map-label'), ...halo },
    },
  )
  return out
}

const ranges = {
  cyrillic: ['U+0301', 'U+0400-045F', 'U+0490-0491', 'U+04B0-04B1', 'U+2116'],
  greek: ['U+0370-03FF'],
  latin: ['U+0000-00FF', 'U+0131', 'U+0152-0153', 'U+02BB-02BC', 'U+02C6', 'U+02DA', 'U+02DC', 'U+2000-206F', 'U+20AC', 'U+2122', 'U+2212', 'U+FEFF', 'U+FFFD'],
  latinExt: ['U+0100-0130', 'U+0132-0151', 'U+0154-02BA', 'U+1E00-1E9F', 'U+1EF2-1EFF', 'U+20A0-20AB', 'U+2C60-2C7F', 'U+A720-A7FF'],
}

export function baseStyle(info: MapInfo): StyleSpecification {
  return {
    version: 8,
    'font-faces': {
      Noto: [
        { url: absolute(latin), 'unicode-range': ranges.latin },
        { url: absolute(latinExt), 'unicode-range': ranges.latinExt },
        { url: absolute(greek), 'unicode-range': ranges.greek },
        { url: absolute(cyrillic), 'unicode-range': ranges.cyrillic },
      ],
    },
    sources: {
      base: {
        type: 'vector',
        tiles: [`${location.origin}/api/v1/map/tiles/{z}/{x}/{y}`], // not through URL: it would encode the braces
        minzoom: info.min_zoom,
        maxzoom: info.max_zoom,
        bounds: info.bounds,
        attribution: info.attribution,
      },
    },
    layers: layers(),
  }
}
