import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnsOf, extent, gapOf } from '../../../portal/src/pages/vehicle/chart-data'
import { clusters, worse } from '../../../portal/src/map/cluster'
import { PickGrid } from '../../../portal/src/map/grid'
import { csvOf } from '../../../portal/src/ui/csv'
import { rank } from '../../../portal/src/ui/rank'

const same = (value: number): number => value
const series = (time: number[], downsampled = false, bucket_ms = 0) => ({ downsampled, bucket_ms, time, mean: time.map(() => 5), min: time.map(() => 4), max: time.map(() => 6) })

test('a pause in the samples is a gap in the line', () => {
  const [x, mean] = columnsOf(series([0, 1000, 2000, 3000, 60_000, 61_000]), [], 0, 100_000, same)
  assert.deepEqual(mean, [5, 5, 5, 5, null, 5, 5])
  assert.equal(x.length, 7)
  assert.ok((x[4] ?? 0) > 3 && (x[4] ?? 0) < 60)
})

test('live samples follow the history without repeating it, and stay in the window', () => {
  const [x, mean] = columnsOf(series([1000, 2000]), [{ time: 2000, value: 9 }, { time: 3000, value: 7 }, { time: 99_000, value: 1 }], 1500, 10_000, same)
  assert.deepEqual([x, mean], [[2, 3], [5, 7]])
})

test('converting keeps the band the right way round', () => {
  const [, mean, low, high] = columnsOf(series([1000]), [], 0, 2000, (v) => -v)
  assert.deepEqual([mean[0], low[0], high[0]], [-5, -6, -4])
  assert.deepEqual(extent([[1], [-5], [-6], [-4]]), [-6, -4])
  assert.equal(extent([[], [], [], []]), undefined)
})

test('a gap is judged by the usual distance of the samples', () => {
  assert.equal(gapOf([0, 10_000, 20_000, 30_000], 0), 30_000)
  assert.equal(gapOf([0, 100, 200, 300], 0), 2000)
  assert.equal(gapOf([], 0), 60_000)
})

test('clusters hold all their members and show the worst of them', () => {
  const x = Float64Array.of(0.1, 0.11, 0.9, 0.12)
  const y = Float64Array.of(0.1, 0.1, 0.9, 0.1)
  const status = [1, 4, 1, 5]
  const { list, members } = clusters(4, x, y, 0.2, (slot) => slot !== 3, (slot) => status[slot] ?? 0)
  assert.deepEqual(list.map((c) => [c.count, c.worst]), [[2, 4]])
  assert.deepEqual([...members], [1, 1, 0, 0])
  assert.equal(worse(4, 5), 5)
  assert.equal(worse(1, 3), 1)
})

test('picking finds the nearest vehicle within reach and none beyond it, as brute force does', () => {
  const n = 2000
  let seed = 5
  const random = () => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff)
  const x = Float64Array.from({ length: n }, random)
  const y = Float64Array.from({ length: n }, random)
  const grid = new PickGrid()
  grid.build(n, x, y, 0.02, (slot) => slot % 7 !== 0)
  for (let i = 0; i < 500; i++) {
    const [px, py, reach] = [random(), random(), 0.015]
    let best = -1
    let distance = reach
    for (let slot = 0; slot < n; slot++) {
      const d = Math.hypot((x[slot] ?? 0) - px, (y[slot] ?? 0) - py)
      if (slot % 7 !== 0 && d < distance) [best, distance] = [slot, d]
    }
    assert.equal(grid.nearest(px, py, reach, (slot) => [x[slot] ?? 0, y[slot] ?? 0]), best)
  }
})

test('CSV quotes what needs it, names units, and leaves unknown numbers empty', () => {
  const text = csvOf(
    [{ header: 'Name', value: (r: { n: string; v: number }) => r.n }, { header: 'Speed', unit: 'km/h', value: (r) => r.v }],
    [{ n: 'a "b", c', v: 12.5 }, { n: 'd', v: NaN }],
  )
  assert.equal(text, 'Name,Speed [km/h]\n"a ""b"", c",12.5\nd,\n')
})

test('the palette prefers starts over word starts over the middle', () => {
  assert.deepEqual([rank('truck-0001', 'TRU'), rank('truck-0001', '0001'), rank('truck-0001', 'uck'), rank('truck-0001', 'x')], [0, 1, 2, -1])
})
