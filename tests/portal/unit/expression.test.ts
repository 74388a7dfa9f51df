import assert from 'node:assert/strict'
import { test } from 'node:test'
import { indexOfByte, insert, placeOf, variable, errorWords } from '../../../portal/src/pages/campaigns/expression'
import { complaintsOf, createOf, draftOf, emptyDraft, requestOf } from '../../../portal/src/pages/campaigns/draft'
import type { Campaign } from '../../../portal/src/api/types'

test('the byte of the server becomes the index of the text, whatever the characters', () => {
  assert.equal(indexOfByte('abc', 1), 1)
  assert.equal(indexOfByte('äbc', 2), 1)
  assert.equal(indexOfByte('€x', 3), 1)
  assert.equal(indexOfByte('🚚x', 4), 2)
  assert.equal(indexOfByte('abc', 99), 3)
  assert.equal(indexOfByte('', 0), 0)
})

test('the place of an error: line, column and its surroundings', () => {
  const text = '$variable.`Vehicle.Speed` > 80 &&\n  # 3'
  const place = placeOf(text, text.indexOf('#'))
  assert.deepEqual([place.line, place.column, place.before, place.mark, place.after], [2, 3, '  ', '#', ' 3'])
  const end = placeOf('a >', 3)
  assert.deepEqual([end.line, end.column, end.mark], [1, 4, ''])
  assert.equal(placeOf('x'.repeat(100) + '#', 100).before, '…' + 'x'.repeat(32))
})

test('pieces go in at the caret with the spaces they need', () => {
  assert.deepEqual(insert('', 0, 0, variable('Vehicle.Speed')), { text: '$variable.`Vehicle.Speed`', caret: 25 })
  assert.deepEqual(insert('a', 1, 1, '&&'), { text: 'a &&', caret: 4 })
  assert.deepEqual(insert('(b)', 1, 1, '!'), { text: '(! b)', caret: 2 })
  assert.deepEqual(insert('a XX b', 2, 4, '>'), { text: 'a > b', caret: 3 })
})

test('an empty draft complains about name and signals, and only those', () => {
  assert.deepEqual(Object.keys(complaintsOf(emptyDraft(), false)).sort(), ['name', 'signals'])
  assert.deepEqual(Object.keys(complaintsOf(emptyDraft(), true)), ['signals'])
})

test('a draft complains about wrong numbers, targets and dates', () => {
  const draft = { ...emptyDraft(), name: 'a', signals: [{ fqn: 'A', max: '', period: '' }] }
  assert.deepEqual(complaintsOf(draft, false), {})
  assert.ok(complaintsOf({ ...draft, name: 'has space' }, false).name)
  assert.ok(complaintsOf({ ...draft, period: '9' }, false).period)
  assert.ok(complaintsOf({ ...draft, period: '1e3' }, false).period)
  assert.ok(complaintsOf({ ...draft, kind: 'condition' }, false).expression)
  assert.ok(complaintsOf({ ...draft, targetKind: 'manifest' }, false).target)
  assert.ok(complaintsOf({ ...draft, start: '2026-01-02T00:00', expiry: '2026-01-01T00:00' }, false).expiry)
  assert.ok(complaintsOf({ ...draft, signals: [{ fqn: 'A', max: '-1', period: '' }] }, false).signals)
})

test('a draft becomes the request of its kind and back', () => {
  const draft = { ...emptyDraft(), name: 'c', kind: 'condition' as const, expression: 'x', interval: '5', signals: [{ fqn: 'A', max: '7', period: '' }] }
  const body = createOf(draft, true)
  assert.equal(body.start_now, true)
  assert.equal(body.period_ms, undefined)
  assert.equal(body.min_interval_ms, 5)
  assert.deepEqual(body.signals, [{ fqn: 'A', max_samples: 7 }])
  assert.equal(requestOf({ ...draft, kind: 'time' }).expression, undefined)
  const stored: Campaign = { id: 1, status: 'draft', sync_id: '', created: '', updated: '', vehicles: 0, healthy: 0, pending: 0, refused: 0, dimensions: [], ...body, destinations: [] }
  assert.deepEqual(requestOf(draftOf(stored, String)), requestOf(draft))
})

test('the words of an error do not repeat its place', () => {
  assert.equal(errorWords('expression, byte 45: there is no signal "A"; did you mean "B"?'), 'There is no signal "A"; did you mean "B"?')
  assert.equal(errorWords('expression: too deep'), 'Too deep.')
  assert.equal(errorWords(undefined), '')
})
