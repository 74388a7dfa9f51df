import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linkCode, readView, withChanges, writeView } from '../../../portal/src/ui/address'
import { windowOf } from '../../../portal/src/pages/vehicle/window'

test('changes to the query keep the rest, drop what is empty, and have one order', () => {
  assert.equal(withChanges('?q=a&motion=idle', { motion: undefined }), '?q=a')
  assert.equal(withChanges('?q=a', { q: '' }), '')
  assert.equal(withChanges('', { z: '1', a: 'b c' }), '?a=b+c&z=1')
})

test('a viewport survives the address and nonsense does not', () => {
  const view = { longitude: 9.52, latitude: 47.14, zoom: 13.25 }
  assert.deepEqual(readView(writeView(view)), view)
  for (const bad of ['', '1,2', '1,2,3,4', 'a,b,c', '181,0,3', '0,86,3', '0,0,-1', '0,0,', 'NaN,0,1', 'Infinity,0,1']) assert.equal(readView(bad), undefined, bad)
})

test('the code of a one-time link comes from the fragment alone', () => {
  assert.equal(linkCode('#code=abc'), 'abc')
  assert.equal(linkCode('code=abc'), 'abc')
  assert.equal(linkCode(''), undefined)
  assert.equal(linkCode('#other=1'), undefined)
  assert.equal(linkCode('#code='), undefined)
  assert.equal(linkCode('#code=' + 'x'.repeat(81)), undefined)
})

test('the time window: live, past, own span, and nonsense is live', () => {
  const now = 1_795_000_000_000
  const of = (values: Record<string, string>) => windowOf((name) => values[name] ?? '', now)
  assert.deepEqual(of({}), { range: '15m', from: now - 900_000, to: now, live: true })
  assert.deepEqual(of({ range: '1h', at: String(now - 5000) }), { range: '1h', from: now - 3_605_000, to: now - 5000, live: false })
  assert.equal(of({ at: String(now + 5000) }).live, true)
  assert.equal(of({ at: 'x' }).live, true)
  assert.deepEqual(of({ range: 'custom', from: '1000', to: '9000' }), { range: 'custom', from: 1000, to: 9000, live: false })
  assert.equal(of({ range: 'custom', from: '9000', to: '1000' }).live, true)
  assert.equal(of({ range: 'custom' }).live, true)
  assert.equal(of({ range: 'week' }).range, '15m')
})
