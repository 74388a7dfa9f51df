import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client, ConnectionEvent } from '../../../portal/src/api/types'
import { clientPath, eventWords, limitedSum, ratesOf, takeOverOf } from '../../../portal/src/pages/devices/client'

const reading = (at: number, received: number, delivered: number, connected_at = 'a') => ({ at, received, delivered, connected_at })

test('a rate is the difference of two readings of one connection, and otherwise unknown', () => {
  assert.deepEqual(ratesOf(reading(1000, 10, 4), reading(3000, 50, 4)), { received: 20, delivered: 0, over: 2000 })
  assert.equal(ratesOf(undefined, reading(3000, 50, 4)), undefined)
  assert.equal(ratesOf(reading(1000, 10, 4), reading(3000, 9, 4)), undefined) // counters began anew
  assert.equal(ratesOf(reading(1000, 10, 4), reading(3000, 11, 3)), undefined)
  assert.equal(ratesOf(reading(1000, 10, 4), reading(3000, 50, 4, 'b')), undefined) // another connection
  assert.equal(ratesOf(reading(1000, 10, 4), reading(1100, 11, 4)), undefined) // too close to tell
})

const event = (text: string, more: Partial<ConnectionEvent> = {}): ConnectionEvent => ({ time: '2026-01-01T00:00:00Z', client_id: 'truck', address: '10.0.0.1:4000', kind: 'ended', code: 0x8e, text, ...more })
const taken = 'session taken over: client id "truck" connected from 10.0.0.2:5000 while this connection from 10.0.0.1:4000 was open; if these are two devices, give each its own id'

test('a take-over names both addresses, and tells one host from two', () => {
  assert.deepEqual(takeOverOf(event(taken)), { time: '2026-01-01T00:00:00Z', from: '10.0.0.1:4000', to: '10.0.0.2:5000', sameHost: false })
  assert.equal(takeOverOf(event(taken, { address: '10.0.0.2:4000' }))?.sameHost, true)
  assert.equal(takeOverOf(event(taken.replaceAll('10.0.0.', 'fe80::'), { address: '[fe80::1]:4000' }))?.sameHost, false)
  // The server cuts long texts: then the second address is not known, and none is made up.
  assert.deepEqual(takeOverOf(event(taken.slice(0, 60))), { time: '2026-01-01T00:00:00Z', from: '10.0.0.1:4000', to: undefined, sameHost: false })
  assert.equal(takeOverOf(event('keep-alive ran out', { code: 0x8d })), undefined)
  assert.equal(takeOverOf(event(taken, { kind: 'connected', code: 0 })), undefined)
})

test('an event is told in the words of the server, and by its code when there are none', () => {
  assert.equal(eventWords(event('keep-alive ran out')), 'keep-alive ran out')
  assert.equal(eventWords(event('', { code: 141 })), 'disconnected with code 141')
  assert.equal(eventWords(event('', { kind: 'connected', code: 0 })), 'connected')
})

test('what was limited is summed over its causes', () => {
  const limited = [
    { cause: 'behind_wait', meaning: 'client not read for a while', count: 40 },
    { cause: 'behind_refused', meaning: 'publish refused', count: 2 },
  ]
  assert.equal(limitedSum({ limited } as unknown as Client), 42)
  assert.equal(limitedSum({ limited: [] } as unknown as Client), 0)
})

test('any client id has an address of its own', () => {
  for (const id of ['a', 'trace', 'name/one two', '..', 'ü&id=x#?', '%2F']) assert.equal(new URL(clientPath(id), 'http://x').searchParams.get('id'), id)
})
