import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameError, emptyFleetRecord, readFleetRecord, readHeader, readValues } from '../../../portal/src/live/frame'
import { pause } from '../../../portal/src/live/backoff'

function header(kind: number, count: number, size: number): DataView {
  const view = new DataView(new ArrayBuffer(size))
  view.setUint8(0, 1)
  view.setUint8(1, kind)
  view.setUint16(2, count, true)
  view.setUint32(4, 4_000_000_000, true)
  view.setBigUint64(8, 123_456_789_012n, true)
  view.setBigInt64(16, 1_795_000_000_123n, true)
  return view
}

test('reads the header of a fleet frame', () => {
  const h = readHeader(header(2, 1, 24 + 17))
  assert.deepEqual(h, { kind: 2, count: 1, epoch: 4_000_000_000, sequence: 123_456_789_012, serverTime: 1_795_000_000_123 })
})

test('reads a fleet record with every field known', () => {
  const view = header(1, 2, 24 + 34)
  const at = 24 + 17
  view.setUint32(at, 70_000, true)
  view.setInt32(at + 4, -1_234_567_890, true)
  view.setInt32(at + 8, 471_400_001, true)
  view.setUint8(at + 12, 88)
  view.setUint8(at + 13, 64)
  view.setUint8(at + 14, (1 << 4) | 3)
  view.setUint16(at + 15, 7, true)
  const r = emptyFleetRecord()
  readFleetRecord(view, 1, r)
  assert.equal(r.id, 70_000)
  assert.ok(Math.abs(r.longitude + 123.456789) < 1e-9)
  assert.ok(Math.abs(r.latitude - 47.1400001) < 1e-9)
  assert.deepEqual([r.speed, r.heading, r.motion, r.positionKnown, r.age], [88, 90, 1, true, 7])
})

test('what a fleet record does not know is NaN, never zero', () => {
  const view = header(1, 1, 24 + 17)
  view.setUint8(24 + 12, 255)
  view.setUint8(24 + 13, 200)
  view.setUint8(24 + 14, 4 << 4)
  view.setUint16(24 + 15, 65535, true)
  const r = emptyFleetRecord()
  readFleetRecord(view, 0, r)
  assert.ok(Number.isNaN(r.speed) && Number.isNaN(r.heading) && Number.isNaN(r.age))
  assert.equal(r.positionKnown, false)
  assert.equal(r.motion, 4)
})

test('an unheard-of motion reads as unknown', () => {
  const view = header(1, 1, 24 + 17)
  view.setUint8(24 + 14, 15 << 4)
  const r = emptyFleetRecord()
  readFleetRecord(view, 0, r)
  assert.equal(r.motion, 0)
})

test('reads vehicle values', () => {
  const view = header(3, 2, 24 + 4 + 40)
  view.setUint32(24, 9, true)
  view.setUint32(28, 5, true)
  view.setBigInt64(32, 1_795_000_000_000n, true)
  view.setFloat64(40, -12.5, true)
  view.setUint32(48, 6, true)
  view.setFloat64(60, NaN, true)
  const { vehicle, values } = readValues(view, readHeader(view))
  assert.equal(vehicle, 9)
  assert.deepEqual(values[0], { signal: 5, time: 1_795_000_000_000, value: -12.5 })
  assert.ok(Number.isNaN(values[1]?.value))
})

test('refuses frames that are short, long, of another version or kind', () => {
  assert.throws(() => readHeader(new DataView(new ArrayBuffer(0))), FrameError)
  assert.throws(() => readHeader(new DataView(new ArrayBuffer(23))), FrameError)
  assert.throws(() => readHeader(header(1, 2, 24 + 17)), /58/)
  assert.throws(() => readHeader(header(1, 1, 24 + 18)), FrameError)
  assert.throws(() => readHeader(header(4, 0, 24)), /kind 4/)
  assert.throws(() => readHeader(header(3, 1, 24 + 17)), FrameError)
  const old = header(1, 0, 24)
  old.setUint8(0, 2)
  assert.throws(() => readHeader(old), /version 2/)
})

test('pauses between tries double from half a second to fifteen, with jitter, for ever', () => {
  assert.equal(pause(0, () => 0), 250)
  assert.equal(pause(0, () => 1), 500)
  assert.equal(pause(3, () => 1), 4000)
  for (const n of [5, 10, 100, 100_000]) assert.equal(pause(n, () => 1), 15_000)
  assert.ok(pause(100_000, () => 0) >= 7500)
})
