// Every vehicle's last position in typed arrays: one slot per vehicle, filled straight from the frames.
// Pages read it; only the live connection writes. `tick` counts the changes, so that readers redraw at their own pace.
import { createSignal } from 'solid-js'
import { Kind, emptyFleetRecord, motions, readFleetRecord, type Header, type Motion } from './frame'
import { serverNow } from './clock'

/** A moving vehicle that is silent for longer is drawn as late. Milliseconds. */
export const lateAfter = 60_000
/** Silent for longer than this, a vehicle belongs to the list of those that have not reported. */
export const silentAfter = 20 * 60_000

export interface Update {
  full: boolean
  slots: Int32Array
  count: number
}

class Fleet {
  readonly slotOf = new Map<number, number>()
  count = 0
  id = new Uint32Array(256)
  longitude = new Float64Array(256)
  latitude = new Float64Array(256)
  speed = new Float32Array(256)
  heading = new Float32Array(256)
  motion = new Uint8Array(256)
  known = new Uint8Array(256)
  /** server time of the position, ms; NaN unknown */
  time = new Float64Array(256)

  private touched = new Int32Array(256)
  private listeners = new Set<(update: Update) => void>()
  private record = emptyFleetRecord()

  private room(slots: number): void {
    if (slots <= this.id.length) return
    const size = Math.max(slots, this.id.length * 2)
    const grow = <T extends Uint32Array | Float64Array | Float32Array | Uint8Array | Int32Array>(make: new (n: number) => T, old: T): T => {
      const next = new make(size)
      next.set(old as never)
      return next
    }
    this.id = grow(Uint32Array, this.id)
    this.longitude = grow(Float64Array, this.longitude)
    this.latitude = grow(Float64Array, this.latitude)
    this.speed = grow(Float32Array, this.speed)
    this.heading = grow(Float32Array, this.heading)
    this.motion = grow(Uint8Array, this.motion)
    this.known = grow(Uint8Array, this.known)
    this.time = grow(Float64Array, this.time)
    this.touched = grow(Int32Array, this.touched)
  }

  apply(view: DataView, header: Header): void {
    const full = header.kind === Kind.FleetFull
    if (full) {
      this.slotOf.clear()
      this.count = 0
    }
    this.room(this.count + header.count)
    const r = this.record
    for (let i = 0; i < header.count; i++) {
      readFleetRecord(view, i, r)
      let slot = this.slotOf.get(r.id)
      if (slot === undefined) {
        slot = this.count++
        this.slotOf.set(r.id, slot)
        this.id[slot] = r.id
      }
      this.longitude[slot] = r.longitude
      this.latitude[slot] = r.latitude
      this.speed[slot] = r.speed
      this.heading[slot] = r.heading
      this.motion[slot] = r.motion
      this.known[slot] = r.positionKnown ? 1 : 0
      this.time[slot] = Number.isNaN(r.age) ? NaN : header.serverTime - r.age * 1000
      this.touched[i] = slot
    }
    const update = { full, slots: this.touched, count: header.count }
    for (const listener of this.listeners) listener(update)
    changed()
  }

  listen(act: (update: Update) => void): () => void {
    this.listeners.add(act)
    return () => this.listeners.delete(act)
  }

  motionOf(slot: number): Motion {
    return motions[this.motion[slot] ?? 0] ?? 'unknown'
  }
  /** Milliseconds since the position was taken; NaN when nobody knows. */
  ageOf(slot: number): number {
    return serverNow() - (this.time[slot] ?? NaN)
  }
  late(slot: number): boolean {
    const motion = this.motion[slot]
    return (motion === 1 || motion === 2) && this.ageOf(slot) > lateAfter
  }
}

export const fleet = new Fleet()

const [tick, setTick] = createSignal(0)
let scheduled = false
function changed(): void {
  if (scheduled) return
  scheduled = true
  // Lists redraw twice a second at most; the map does not wait for this.
  setTimeout(() => {
    scheduled = false
    setTick((n) => n + 1)
  }, 500)
}
/** Reactive: renewed at most twice a second while positions change. */
export { tick }
