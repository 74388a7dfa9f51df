// Names and facts of all vehicles, by id: live frames carry ids alone. Loaded once, renewed each minute and on demand.
import { createSignal } from 'solid-js'
import { ApiError, call } from '../api/client'
import type { Vehicle } from '../api/types'
import { fleet, tick } from './fleet'
import type { Motion } from './frame'
import { parse } from '../format/time'
import { serverNow } from './clock'

const [vehicles, setVehicles] = createSignal<ReadonlyMap<number, Vehicle>>()
const [failure, setFailure] = createSignal<ApiError>()
export { vehicles, failure }

let loading: Promise<void> | undefined
export function refresh(): Promise<void> {
  loading ??= (async () => {
    try {
      const found = new Map<number, Vehicle>()
      let after: string | undefined
      do {
        const page = await call('vehicle_list', { query: { limit: 1000, after } })
        for (const vehicle of page.items) found.set(vehicle.id, vehicle)
        // The first thousand are worth showing while the others come.
        if (!vehicles()) setVehicles(new Map(found))
        after = page.next
      } while (after)
      setVehicles(found)
      setFailure(undefined)
    } catch (cause) {
      if (cause instanceof ApiError) setFailure(cause)
    } finally {
      loading = undefined
    }
  })()
  return loading
}
export function forget(): void {
  setVehicles(undefined)
}

/** What the lists show of a vehicle: facts from the directory, the present from the live stream. */
export interface Row {
  id: number
  name: string
  vehicle: Vehicle
  motion: Motion
  speed: number
  /** ms since the last position or message; NaN when it never reported */
  age: number
  late: boolean
}

export function rowOf(vehicle: Vehicle): Row {
  const slot = fleet.slotOf.get(vehicle.id)
  const heard = parse(vehicle.heard)
  if (slot === undefined) {
    return { id: vehicle.id, name: vehicle.name, vehicle, motion: vehicle.motion, speed: vehicle.speed ?? NaN, age: serverNow() - heard, late: false }
  }
  const time = Math.max(fleet.time[slot] || 0, heard || 0)
  return {
    id: vehicle.id,
    name: vehicle.name,
    vehicle,
    motion: fleet.motionOf(slot),
    speed: fleet.speed[slot] ?? NaN,
    age: time > 0 ? Math.max(0, serverNow() - time) : NaN,
    late: fleet.late(slot),
  }
}

/** Reactive: all rows, renewed with the live stream. */
export function rows(): Row[] {
  tick()
  const out: Row[] = []
  for (const vehicle of vehicles()?.values() ?? []) out.push(rowOf(vehicle))
  return out
}
