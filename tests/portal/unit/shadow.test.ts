import assert from 'node:assert/strict'
import test from 'node:test'
import { changeOf, readDesired, same, shadowRows } from '../../../portal/src/pages/vehicle/shadow'

test('a shadow becomes rows: leaves of both sides, arrays whole, outstanding where they differ', () => {
  const rows = shadowRows({
    state: { desired: { a: { x: 1, y: [1, 2] }, b: 2 }, reported: { a: { x: 1.0, y: [1, 3] }, c: 'z', e: {} } },
    metadata: { desired: { a: { x: { timestamp: 10 }, y: { timestamp: 11 } }, b: { timestamp: 12 } }, reported: { a: { x: { timestamp: 5 } } } },
  })
  assert.deepEqual(
    rows.map((r) => [r.path, r.desired, r.reported, r.outstanding]),
    [
      ['a.x', '1', '1', false],
      ['a.y', '[1,2]', '[1,3]', true],
      ['b', '2', undefined, true],
      ['c', undefined, '"z"', false],
      ['e', undefined, '{}', false],
    ],
  )
  assert.equal(rows[0]?.desiredAt, 10_000)
  assert.equal(rows[0]?.reportedAt, 5000)
  assert.equal(rows[3]?.reportedAt, undefined)
  assert.deepEqual(shadowRows({}), [])
})

test('what was edited becomes the smallest change', () => {
  assert.deepEqual(changeOf({ a: 1, b: { c: 2, d: 3 } }, { a: 1, b: { c: 2, d: 4 }, e: [1] }), { b: { d: 4 }, e: [1] })
  assert.deepEqual(changeOf({ a: 1, b: { c: 2 } }, { b: {} }), { a: null, b: { c: null } })
  assert.deepEqual(changeOf({ a: { b: 1 } }, { a: 5 }), { a: 5 })
  assert.deepEqual(changeOf({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }), {})
})

test('an editor takes objects only, and says what is wrong', () => {
  assert.deepEqual(readDesired('{"a":1}'), { change: { a: 1 } })
  assert.deepEqual(readDesired('[1]'), { wrong: '' })
  const wrong = readDesired('{')
  assert.ok('wrong' in wrong && wrong.wrong.length > 0)
})

test('values are compared as the server does', () => {
  assert.ok(same({ a: 1, b: [1] }, { b: [1], a: 1.0 }))
  assert.ok(!same({ a: 1 }, { a: 1, b: 2 }))
  assert.ok(!same([1, 2], [2, 1]))
  assert.ok(!same(null, {}))
})
