import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TraceEntry } from '../../../portal/src/api/types'
import { filterValid, mostRows, nothingSeen, shownBytes, spaced, taken } from '../../../portal/src/pages/devices/trace'

const entry = (sequence: number, more: Partial<TraceEntry> = {}): TraceEntry => ({ sequence, time: '2026-01-01T00:00:00Z', kind: 'in', client_id: 'c', topic: 't', qos: 0, retain: false, size: 0, ...more })

test('rows stand newest first, each once, and missed ones add up', () => {
  const one = taken(nothingSeen, { items: [entry(1), entry(2)], missed: 0 })
  const two = taken(one, { items: [entry(2), entry(7)], missed: 4 })
  assert.deepEqual(two.rows.map((e) => e.sequence), [7, 2, 1])
  assert.deepEqual([two.after, two.missed], [7, 4])
  assert.deepEqual(one.rows.map((e) => e.sequence), [2, 1]) // a paused view keeps what it showed
  assert.equal(taken(two, { items: [], missed: 0 }), two)
  assert.equal(taken(two, { items: [], missed: 3 }).missed, 7)
})

test('only the newest rows are kept', () => {
  const all = taken(nothingSeen, { items: Array.from({ length: mostRows + 5 }, (_, i) => entry(i + 1)), missed: 0 })
  assert.equal(all.rows.length, mostRows)
  assert.equal(all.rows[0]?.sequence, mostRows + 5)
  assert.equal(all.rows[mostRows - 1]?.sequence, 6)
})

test('payloads: hex in pairs, and how much of one is shown', () => {
  assert.equal(spaced('0a1bff'), '0a 1b ff')
  assert.equal(spaced(''), '')
  assert.equal(shownBytes(entry(1, { hex: '0a1bff' })), 3)
  assert.equal(shownBytes(entry(1, { text: 'ü1' })), 3)
  assert.equal(shownBytes(entry(1)), 0)
})

test('topic filters as MQTT 5.0, 4.7.1 has them', () => {
  for (const good of ['#', '+', 'a', '/', 'a/#', '+/+/c', '$SYS/#', 'a//b', '/+']) assert.ok(filterValid(good), good)
  for (const bad of ['', 'a#', 'a/#/b', '#/', 'a+', '+a/b', 'a\0b', 'x'.repeat(1025)]) assert.ok(!filterValid(bad), bad)
})
