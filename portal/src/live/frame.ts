// The binary frames of the live stream, as src/api/operations.json lays them out (little-endian).
import { live } from '../api/types'

export const enum Kind {
  FleetFull = 1,
  FleetChanges = 2,
  Values = 3,
}

export const motions = ['unknown', 'moving', 'idle', 'parked', 'offline'] as const
export type Motion = (typeof motions)[number]

export interface Header {
  kind: number
  count: number
  epoch: number
  sequence: number
  serverTime: number
}

export interface FleetRecord {
  id: number
  longitude: number
  latitude: number
  /** km/h; NaN: unknown */
  speed: number
  /** degrees clockwise from north; NaN: unknown */
  heading: number
  /** index into motions */
  motion: number
  positionKnown: boolean
  /** seconds; NaN: unknown or older than 65534 s */
  age: number
}

export interface ValueRecord {
  signal: number
  time: number
  /** NaN: text, to be fetched */
  value: number
}

export class FrameError extends Error {}

export function readHeader(view: DataView): Header {
  if (view.byteLength < live.header) throw new FrameError(`frame of ${view.byteLength} bytes, the header alone has ${live.header}`)
  const version = view.getUint8(0)
  if (version !== 1) throw new FrameError(`frame version ${version}, expected 1`)
  const kind = view.getUint8(1)
  if (kind < 1 || kind > 3) throw new FrameError(`frame kind ${kind}, expected 1 to 3`)
  const header = {
    kind,
    count: view.getUint16(2, true),
    epoch: view.getUint32(4, true),
    sequence: Number(view.getBigUint64(8, true)),
    serverTime: Number(view.getBigInt64(16, true)),
  }
  const size =
    kind === Kind.Values
      ? live.header + live.valueHeaderExtra + header.count * live.valueRecord
      : live.header + header.count * live.fleetRecord
  if (view.byteLength !== size) throw new FrameError(`frame of ${view.byteLength} bytes, ${header.count} records need ${size}`)
  return header
}

/** Reads record i into a reused object: ten thousand records a tick must not make ten thousand objects. */
export function readFleetRecord(view: DataView, i: number, into: FleetRecord): void {
  const at = live.header + i * live.fleetRecord
  const state = view.getUint8(at + 14)
  const speed = view.getUint8(at + 12)
  const age = view.getUint16(at + 15, true)
  const motion = state >> 4
  into.id = view.getUint32(at, true)
  into.longitude = view.getInt32(at + 4, true) * 1e-7
  into.latitude = view.getInt32(at + 8, true) * 1e-7
  into.speed = speed === 255 ? NaN : speed
  into.heading = state & 1 ? (view.getUint8(at + 13) * 360) / 256 : NaN
  into.motion = motion < motions.length ? motion : 0
  into.positionKnown = (state & 2) !== 0
  into.age = age === 65535 ? NaN : age
}

export function emptyFleetRecord(): FleetRecord {
  return { id: 0, longitude: 0, latitude: 0, speed: NaN, heading: NaN, motion: 0, positionKnown: false, age: NaN }
}

export function readValues(view: DataView, header: Header): { vehicle: number; values: ValueRecord[] } {
  const values: ValueRecord[] = []
  for (let i = 0; i < header.count; i++) {
    const at = live.header + live.valueHeaderExtra + i * live.valueRecord
    values.push({
      signal: view.getUint32(at, true),
      time: Number(view.getBigInt64(at + 4, true)),
      value: view.getFloat64(at + 12, true),
    })
  }
  return { vehicle: view.getUint32(live.header, true), values }
}
