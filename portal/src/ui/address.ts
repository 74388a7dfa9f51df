// What stands in an address, as pure functions: changes to the query, the map's viewport, the code of a one-time link.
export function withChanges(search: string, changes: Record<string, string | undefined>): string {
  const query = new URLSearchParams(search)
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === '') query.delete(name)
    else query.set(name, value)
  }
  query.sort()
  const text = query.toString()
  return text ? `?${text}` : ''
}

export interface ViewState {
  longitude: number
  latitude: number
  zoom: number
}

export function writeView(view: ViewState): string {
  return `${view.longitude.toFixed(5)},${view.latitude.toFixed(5)},${view.zoom.toFixed(2)}`
}

export function readView(text: string): ViewState | undefined {
  const parts = text.split(',')
  const [longitude = NaN, latitude = NaN, zoom = NaN] = parts.map((part) => (part.trim() === '' ? NaN : Number(part)))
  if (parts.length !== 3 || ![longitude, latitude, zoom].every(Number.isFinite)) return undefined
  if (Math.abs(longitude) > 180 || Math.abs(latitude) > 85.06 || zoom < 0 || zoom > 22) return undefined
  return { longitude, latitude, zoom }
}

/** What the code of a one-time link is, when the address's fragment holds one. */
export function linkCode(fragment: string): string | undefined {
  const code = new URLSearchParams(fragment.replace(/^#/, '')).get('code')
  return code && code.length <= 80 ? code : undefined
}
