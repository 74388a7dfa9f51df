// The live values of one vehicle: what /latest gave, overtaken by what the stream brings; one signal per cell.
import { createEffect, createSignal, onCleanup, untrack, type Accessor } from 'solid-js'
import { call } from '../../api/client'
import { useLoad, type Loaded } from '../../api/load'
import type { Latest, LatestList } from '../../api/types'
import { serverSaid } from '../../live/clock'
import { followVehicle } from '../../live/connection'
import { parse } from '../../format/time'
import type { Sample } from './chart-data'

export interface Value {
  number: number
  text: string
  time: number
}
export interface Cell {
  id: number
  fqn: string
  unit: string
  type: string
  value: Accessor<Value>
}

const tailLength = 4000

export function useValues(id: Accessor<number | undefined>): { latest: Loaded<LatestList>; cells: Accessor<Cell[]>; tail: (signal: number) => Sample[]; arrived: Accessor<number> } {
  const cells = new Map<number, Cell & { set: (value: Value) => void }>()
  const tails = new Map<number, Sample[]>()
  const [list, setList] = createSignal<Cell[]>([])
  const [arrived, setArrived] = createSignal(0)

  const latest = useLoad(
    id,
    async (vehicle, signal) => {
      const value = await call('vehicle_latest', { path: { id: vehicle }, query: {} }, signal)
      serverSaid(parse(value.server_time))
      return value
    },
    { every: 10_000, key: 'signal' },
  )

  function take(item: Latest): void {
    const value: Value = { number: item.value ?? NaN, text: item.text ?? '', time: parse(item.time) }
    const cell = cells.get(item.signal)
    if (!cell) {
      const [get, set] = createSignal(value)
      cells.set(item.signal, { id: item.signal, fqn: item.fqn, unit: item.unit, type: item.type, value: get, set })
    } else if (value.time >= cell.value().time) cell.set(value)
  }

  createEffect(() => {
    const value = latest.value()
    if (!value) return
    const before = cells.size
    // Untracked: this writes the cells; reading them here must not call it again.
    untrack(() => {
      for (const item of value.items) take(item)
    })
    if (cells.size !== before || !untrack(list).length) setList([...cells.values()].sort((a, b) => a.fqn.localeCompare(b.fqn, undefined, { numeric: true })))
  })

  createEffect(() => {
    const vehicle = id()
    if (vehicle === undefined) return
    cells.clear()
    tails.clear()
    setList([])
    const stop = followVehicle(vehicle, (values) => {
      let unknown = false
      for (const { signal, time, value } of values) {
        const cell = cells.get(signal)
        if (!cell || Number.isNaN(value)) {
          unknown ||= latest.at() > 0
          continue
        }
        if (time < cell.value().time) continue
        cell.set({ number: value, text: '', time })
        let tail = tails.get(signal)
        if (!tail) tails.set(signal, (tail = []))
        if (tail[tail.length - 1]?.time !== time) tail.push({ time, value })
        if (tail.length > tailLength) tail.splice(0, tailLength / 4)
      }
      // A signal seen for the first time, or a text: the list tells its name or words.
      if (unknown && performance.now() - latest.at() > 3000 && !latest.pending()) void latest.again()
      setArrived((n) => n + 1)
    })
    onCleanup(stop)
  })

  return { latest, cells: list, tail: (signal) => tails.get(signal) ?? [], arrived }
}
