import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameOfArn, pages, textOf, timeOf } from '../../../portal/src/api/document'
import { fleetIdValid, fleetOf, namesOf } from '../../../portal/src/pages/fleets/fleet'
import { canonical, changeCount, decoderChange, decoderComplaints, editable, emptyDecoder, interfaceDocument, modelChange, parseJson, signalOfNode, valueOf, withField, type Document, type FieldRule } from '../../../portal/src/pages/manifests/document'
import { credentialsFile } from '../../../portal/src/pages/settings/access-key'
import { commandWords, complaintsOf, howSent, secondsOf, underWay } from '../../../portal/src/pages/templates/template'

const can = interfaceDocument('can0', 'CAN_INTERFACE', 'can0', 0)
const obd = interfaceDocument('obd', 'OBD_INTERFACE', 'obd', 2015)
const speed = emptyDecoder('Vehicle.Speed', 'can0', 'CAN_SIGNAL')
const paths = (d: unknown): string[] => decoderComplaints(d, [can, obd]).map((c) => c.path)

test('a whole CAN decoder has nothing wrong; each wrong field is named by its path', () => {
  assert.deepEqual(paths(speed), [])
  assert.deepEqual(paths(withField(speed, 'CAN_SIGNAL', 'startBit', 512)), ['/canSignal/startBit'])
  assert.deepEqual(paths(withField(speed, 'CAN_SIGNAL', 'length', 0)), ['/canSignal/length'])
  assert.deepEqual(paths(withField(speed, 'CAN_SIGNAL', 'factor', '1.')), ['/canSignal/factor'])
  assert.deepEqual(paths(withField(speed, 'CAN_SIGNAL', 'isSigned', undefined)), ['/canSignal/isSigned'])
  assert.deepEqual(paths({ ...speed, fullyQualifiedName: 'no name' }), ['/fullyQualifiedName'])
})

test('interfaces must be there and of the decoder’s kind', () => {
  assert.deepEqual(paths({ ...speed, interfaceId: 'nowhere' }), ['/interfaceId'])
  assert.deepEqual(paths({ ...speed, interfaceId: 'obd' }), ['/interfaceId'])
})

test('a type without its member, a member of another type, and what is no object', () => {
  assert.deepEqual(paths({ ...speed, type: 'OBD_SIGNAL', interfaceId: 'obd' }), ['/obdSignal'])
  assert.deepEqual(paths({ ...speed, obdSignal: {} }), ['/obdSignal'])
  assert.deepEqual(paths({ ...speed, type: 'X' }), ['/type'])
  assert.deepEqual(paths([1]), [''])
})

test('a form changes its field and leaves the rest of the document alone', () => {
  const rich: Document = { ...speed, canSignal: { ...(speed.canSignal as Document), multiplex: [{ startBit: 0 }] }, extra: 1 }
  const next = withField(rich, 'CAN_SIGNAL', 'offset', -40)
  assert.deepEqual(next, { ...rich, canSignal: { ...(rich.canSignal as Document), offset: -40 } })
  assert.equal((rich.canSignal as Document).offset, 0)
})

test('a field’s text becomes a number when it is one, hexadecimal too', () => {
  const rule: FieldRule = { key: 'messageId', kind: 'whole' }
  assert.deepEqual(['0x1F', ' 12 ', '', 'abc', '1.5'].map((text) => valueOf(rule, text)), [31, 12, undefined, 'abc', 1.5])
  assert.equal(valueOf({ key: 'name', kind: 'text' }, '12'), '12')
})

test('an update holds what was added, changed and removed, and nothing for order or spelling', () => {
  const other = emptyDecoder('Vehicle.Other', 'can0', 'CAN_SIGNAL')
  const turned = JSON.parse(JSON.stringify({ canSignal: speed.canSignal, interfaceId: 'can0', type: 'CAN_SIGNAL', fullyQualifiedName: 'Vehicle.Speed' })) as Document
  assert.equal(canonical(speed), canonical(turned))
  assert.equal(changeCount(decoderChange([speed, other], [other, turned])), 0)
  const changed = withField(speed, 'CAN_SIGNAL', 'factor', 2)
  const fresh = emptyDecoder('Vehicle.New', 'can0', 'CAN_SIGNAL')
  assert.deepEqual(decoderChange([speed, other], [changed, fresh]), { signalDecodersToAdd: [fresh], signalDecodersToUpdate: [changed], signalDecodersToRemove: ['Vehicle.Other'] })
  assert.deepEqual(modelChange(['a', 'b'], ['b', 'c']), { nodesToAdd: ['c'], nodesToRemove: ['a'] })
  assert.deepEqual(modelChange(['a'], ['a']), {})
  assert.equal(editable('ACTIVE'), false)
})

test('broken JSON is told with its place where the engine tells one', () => {
  assert.deepEqual(parseJson('{"a": 1}'), { value: { a: 1 } })
  const bad = parseJson('{\n  "a": x\n}')
  assert.ok(bad.error)
  if (bad.line !== undefined) assert.deepEqual([bad.line, bad.column], [2, 8])
})

test('documents are read with care', async () => {
  assert.equal(textOf({ a: 1 }, 'a'), '')
  assert.equal(timeOf({ t: 2 }, 't'), 2000)
  assert.ok(Number.isNaN(timeOf({}, 't')))
  assert.equal(nameOfArn('arn:aws:iotfleetwise:local:0:signal-catalog/vss'), 'vss')
  assert.deepEqual(fleetOf({ id: 'north', signalCatalogArn: 'x/vss', creationTime: 1 }), { id: 'north', description: '', catalog: 'vss', created: 1000 })
  const asked: (string | undefined)[] = []
  const found = await pages((after) => {
    asked.push(after)
    return Promise.resolve(after ? { items: [{ n: 2 }] } : { items: [{ n: 1 }], next: 'x' })
  })
  assert.deepEqual([found.items.length, found.more, asked], [2, false, [undefined, 'x']])
  assert.equal(signalOfNode({ branch: { fullyQualifiedName: 'V' } }), undefined)
  assert.equal(signalOfNode({ actuator: { fullyQualifiedName: 'V.A', dataType: 'INT8' } })?.kind, 'actuator')
})

test('names for a fleet: each once, however they are separated', () => {
  assert.deepEqual(namesOf(' a, b;\n a\tc '), ['a', 'b', 'c'])
  assert.deepEqual([fleetIdValid('north:1'), fleetIdValid('a b'), fleetIdValid('')], [true, false, false])
})

test('state templates: complaints, periods, commands in words', () => {
  assert.deepEqual(Object.keys(complaintsOf({ name: 'a b', description: '', signals: [] }, false)).sort(), ['name', 'signals'])
  assert.deepEqual(complaintsOf({ name: '', description: '', signals: ['A'] }, true), {})
  assert.deepEqual([howSent({}), howSent({ period_ms: 1500 }), howSent({ period_ms: 60_000 })], ['on change', 'every 1500 ms', 'every 1 min'])
  assert.equal(commandWords({ status: 'failed', reason: 3, text: 'no such template' }), 'Failed: no such template, code 3')
  assert.equal(commandWords({ status: 'succeeded', reason: 0 }), 'Done')
  assert.deepEqual([underWay({ status: 'sent' }), underWay({ status: 'no_answer' })], [true, false])
  assert.deepEqual([secondsOf(''), secondsOf('60'), secondsOf('-1'), secondsOf('40000000')], [0, 60, undefined, undefined])
})

test('a profile for AWS’s tools names this installation', () => {
  assert.match(credentialsFile('AKID', 'secret', 'https://m.example:8443'), /^\[profile motorcade\]\naws_access_key_id = AKID\naws_secret_access_key = secret\nregion = \S+\nendpoint_url = https:\/\/m\.example:8443\/aws\n$/)
})
