import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Campaign, CampaignVehicle, VehicleEvent } from '../../../portal/src/api/types'
import { deliveryTone, deliveryWords } from '../../../portal/src/pages/campaigns/delivery-words'
import { complaintsOf, destinationComplaint, dimensionsOf, draftOf, emptyDestination, emptyDraft, reachAsk, requestOf } from '../../../portal/src/pages/campaigns/draft'
import { countsOf, doneOf, filterOf, reasonsOf, shownOf } from '../../../portal/src/pages/campaigns/convergence'
import { batches, eventPath, indexAt, neighbours, offsetWords, sharesOf, signalsOf, windowOf } from '../../../portal/src/pages/event/event'
import type { Columns } from '../../../portal/src/pages/vehicle/chart-data'

const vehicle = (n: number, state: CampaignVehicle['state'], reason: string, text = ''): CampaignVehicle => ({ vehicle: n, name: `truck-${n}`, state, status: 'READY', reason, ...(text ? { text } : {}) })
const list = [vehicle(1, 'healthy', 'confirmed'), vehicle(2, 'pending', 'never_checked_in', 'it never came'), vehicle(3, 'pending', 'silent'), vehicle(4, 'pending', 'never_checked_in'), vehicle(5, 'refused', 'refused', 'no memory'), vehicle(6, 'none', 'no_manifest')]
const from = (text: string) => (name: string): string => new URLSearchParams(text).get(name) ?? ''

test('reasons are counted, the worst state first, and say what the server said', () => {
  assert.deepEqual(reasonsOf(list).map((r) => [r.state, r.reason, r.count]), [['refused', 'refused', 1], ['pending', 'never_checked_in', 2], ['pending', 'silent', 1], ['healthy', 'confirmed', 1], ['none', 'no_manifest', 1]])
  assert.equal(reasonsOf(list)[1]?.text, 'it never came')
})

test('the address filters by state, reason and words; nonsense filters nothing', () => {
  const names = (text: string): number[] => shownOf(list, filterOf(from(text))).map((v) => v.vehicle)
  assert.deepEqual(names('state=pending'), [2, 3, 4])
  assert.deepEqual(names('state=pending&reason=never_checked_in'), [2, 4])
  assert.deepEqual(names('q=MEMORY'), [5])
  assert.deepEqual(names('state=bogus'), [1, 2, 3, 4, 5, 6])
})

test('the list counts when it is whole; otherwise the campaign does, and what nobody counts is not known', () => {
  const c = { status: 'running' as const, vehicles: 5000, healthy: 4000, pending: 900, refused: 100 }
  assert.deepEqual(countsOf(c, list, true), { healthy: 1, pending: 3, refused: 1, none: 1 })
  assert.deepEqual(countsOf(c, list, false), { healthy: 4000, pending: 900, refused: 100, none: undefined })
})

test('a roll-out is not done before it is', () => {
  assert.equal(doneOf({ vehicles: 10_000, healthy: 9999 }), 99.9)
  assert.equal(doneOf({ vehicles: 3, healthy: 3 }), 100)
  assert.equal(doneOf({ vehicles: 0, healthy: 0 }), undefined)
})

test('delivery says what came, what waits and what failed', () => {
  const base = { kind: 's3' as const, place: 'b/p', rows: 10, objects: 2, messages: 0, waiting: 0, error: '' }
  assert.equal(deliveryTone(base), 'offline')
  assert.equal(deliveryTone({ ...base, last: '2026-01-01T00:00:00Z' }), 'ok')
  assert.equal(deliveryTone({ ...base, waiting: 1 }), 'notice')
  assert.equal(deliveryTone({ ...base, error: 'no such bucket' }), 'critical')
  assert.equal(deliveryWords({ ...base, waiting: 1, last: '2026-01-01T00:00:00Z' }, Date.parse('2026-01-01T00:00:30Z')), '10 rows, 2 objects, 1 object waits, last 30 s ago')
  assert.equal(deliveryWords({ ...base, kind: 'mqtt', messages: 1 }, 0), '1 message, nothing delivered yet')
})

test('destinations: complaints, and only what was changed is sent', () => {
  assert.ok(destinationComplaint(emptyDestination('s3')).bucket)
  assert.ok(destinationComplaint({ ...emptyDestination('mqtt'), topic: 'a/#' }).topic)
  assert.deepEqual(destinationComplaint({ ...emptyDestination('s3'), bucket: 'my-bucket' }), {})
  const stored: Campaign = { id: 1, name: 'c', status: 'draft', sync_id: '', created: '', updated: '', vehicles: 0, healthy: 0, pending: 0, refused: 0, target_kind: 'fleet', target: 'north', kind: 'time', period_ms: 1000, signals: [{ fqn: 'A' }], destinations: [{ kind: 'timeseries' }, { kind: 's3', bucket: 'abc', prefix: '', format: 'json', compression: 'none' }], dimensions: ['Vehicle.Make'] }
  const was = draftOf(stored, String)
  assert.equal(requestOf(was, was).destinations, undefined, 'a destination that the form cannot show stays')
  assert.equal(requestOf(was, was).target, 'north')
  assert.deepEqual(requestOf({ ...was, dimensions: 'Vehicle.Make Vehicle.Model' }, was).dimensions, ['Vehicle.Make', 'Vehicle.Model'])
  assert.deepEqual(requestOf({ ...was, destinations: [] }, was).destinations, [])
  assert.equal(reachAsk(was).target_kind, 'fleet')
  assert.deepEqual(dimensionsOf(' a, b;a '), ['a', 'b'])
  const draft = { ...emptyDraft(), name: 'a', signals: [{ fqn: 'A', max: '', period: '' }], destinations: [emptyDestination('s3')], dimensions: 'no-dash' }
  assert.deepEqual(Object.keys(complaintsOf(draft, false)).sort(), ['destinations', 'dimensions'])
  assert.ok(complaintsOf({ ...draft, targetKind: 'fleet' }, false).target)
})

test('the window of an event: what the campaign collects after it, at least 10 s before it', () => {
  const at = 1_700_000_000_000
  assert.deepEqual(windowOf(from(`at=${at}`), { after_ms: 0 }), { trigger: at, from: at - 10_000, to: at + 2000, before: 10_000, after: 2000 })
  assert.deepEqual(windowOf(from(`at=${at}`), { after_ms: 25_000 }), { trigger: at, from: at - 30_000, to: at + 30_000, before: 30_000, after: 30_000 })
  assert.equal(windowOf(from(`at=${at}&before=120000&after=7`), { after_ms: 0 })?.before, 120_000)
  assert.equal(windowOf(from(`at=${at}&before=120000&after=7`), { after_ms: 0 })?.after, 2000)
  assert.equal(windowOf(from('at=x'), undefined), undefined)
  assert.equal(windowOf(from(''), undefined), undefined)
})

test('moments beside the trigger have a sign and a unit', () => {
  assert.deepEqual([-2500, 0, 40, 10_000, 180_000].map(offsetWords), ['−2.5 s', '0', '+40 ms', '+10 s', '+3 min'])
})

test('neighbours are of the same campaign, the nearest in time', () => {
  const e = (campaign: number, s: number): VehicleEvent => ({ campaign, campaign_name: '', event_id: s, time: new Date(s * 1000).toISOString(), arrival: new Date(s * 1000).toISOString(), messages: 1, samples: 1, offset: s })
  const events = [e(1, 50), e(2, 45), e(1, 40), e(1, 30), e(1, 20)]
  const found = neighbours(events, 1, 40_000)
  assert.deepEqual([found.older?.event_id, found.newer?.event_id], [30, 50])
  assert.equal(neighbours(events, 1, 20_000).older, undefined)
  assert.equal(eventPath(7, e(1, 40)), '/vehicles/7/event?campaign=1&event=40&at=40000')
})

test('what held at the trigger, and how many samples lie on either side', () => {
  const columns: Columns = [[1, 2, 3, 4], [10, null, 30, 40], [10, null, 30, 40], [10, null, 30, 40]]
  assert.equal(indexAt(columns, 2500), 0)
  assert.equal(indexAt(columns, 3000), 2)
  assert.equal(indexAt(columns, 500), -1)
  assert.deepEqual(sharesOf([columns], 3000), { before: 1, after: 2 })
})

test('the campaign’s signals in its order; texts have no chart, unknown ones are told', () => {
  const known = [{ id: 2, fqn: 'B', unit: '', type: 'DOUBLE', description: '' }, { id: 1, fqn: 'A', unit: '', type: 'DOUBLE', description: '' }, { id: 3, fqn: 'T', unit: '', type: 'STRING', description: '' }]
  const found = signalsOf({ signals: [{ fqn: 'A' }, { fqn: 'X' }, { fqn: 'T' }, { fqn: 'B' }] }, known)
  assert.deepEqual([found.found.map((s) => s.id), found.missing], [[1, 2], ['X']])
  assert.deepEqual(batches([1, 2, 3], 2), [[1, 2], [3]])
})
