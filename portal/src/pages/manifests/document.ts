// Decoder manifests and models as FleetWise documents: what a form shows of them, what is wrong with one, and the difference that an update sends.
import { textOf } from '../../api/document'
import type { FleetwiseDocument } from '../../api/types'
import { t } from '../../text/text'

export type Document = FleetwiseDocument

export const isObject = (value: unknown): value is Document => typeof value === 'object' && value !== null && !Array.isArray(value)
const at = (d: Document, key: string): Document => (isObject(d[key]) ? d[key] : {})

// ---- reading what someone typed

export interface Parsed {
  value?: unknown
  /** Why it is no JSON, and where. */
  error?: string
  line?: number
  column?: number
}

/** JSON.parse tells the place in words that differ between browsers; both forms are understood. */
export function parseJson(text: string): Parsed {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const named = /line (\d+) column (\d+)/.exec(why)
    const position = /position (\d+)/.exec(why)
    if (named) return { error: why, line: Number(named[1]), column: Number(named[2]) }
    if (!position) return { error: why }
    const before = text.slice(0, Number(position[1])).split('\n')
    return { error: why, line: before.length, column: (before.at(-1) ?? '').length + 1 }
  }
}

export const pretty = (value: unknown): string => JSON.stringify(value, null, 2)

// ---- decoders

/** What a field of a form needs: its name in the document, and which values it takes. */
export interface FieldRule {
  key: string
  kind: 'whole' | 'number' | 'flag' | 'text' | 'choice'
  required?: boolean
  min?: number
  max?: number
  choices?: readonly string[]
  pattern?: RegExp
}

const whole = (key: string, required = true, min = 0, max = 2_147_483_647): FieldRule => ({ key, kind: 'whole', required, min, max })
const number = (key: string): FieldRule => ({ key, kind: 'number', required: true })
const flag = (key: string, required = false): FieldRule => ({ key, kind: 'flag', required })

export const decoderTypes = ['CAN_SIGNAL', 'OBD_SIGNAL', 'MESSAGE_SIGNAL', 'CUSTOM_DECODING_SIGNAL'] as const
export type DecoderType = (typeof decoderTypes)[number]

/** The member that holds a decoder's own fields, by its type. */
export const decoderMember: Record<DecoderType, string> = { CAN_SIGNAL: 'canSignal', OBD_SIGNAL: 'obdSignal', MESSAGE_SIGNAL: 'messageSignal', CUSTOM_DECODING_SIGNAL: 'customDecodingSignal' }

export const decoderFields: Record<DecoderType, readonly FieldRule[]> = {
  CAN_SIGNAL: [
    whole('messageId', true, 0, 0x1fffffff), whole('startBit', true, 0, 511), whole('length', true, 1, 64), flag('isBigEndian', true), flag('isSigned', true), number('factor'), number('offset'),
    { key: 'name', kind: 'text', pattern: /^.{1,100}$/ }, { key: 'signalValueType', kind: 'choice', choices: ['INTEGER', 'FLOATING_POINT'] }, flag('isExtended'),
  ],
  OBD_SIGNAL: [
    whole('serviceMode'), whole('pid'), whole('pidResponseLength', true, 1), whole('startByte'), whole('byteLength', true, 1, 8), number('scaling'), number('offset'),
    whole('bitRightShift', false), whole('bitMaskLength', false, 1, 8), flag('isSigned'), { key: 'signalValueType', kind: 'choice', choices: ['INTEGER', 'FLOATING_POINT'] },
  ],
  // A structured message is a tree: the document is its only editor.
  MESSAGE_SIGNAL: [{ key: 'topicName', kind: 'text', required: true, pattern: /^[a-zA-Z0-9_#:./-]{1,150}$/ }],
  CUSTOM_DECODING_SIGNAL: [{ key: 'id', kind: 'text', required: true, pattern: /^(?!.*\.\.)[a-zA-Z0-9_#:.-]{1,150}$/ }],
}

export const interfaceTypes = ['CAN_INTERFACE', 'OBD_INTERFACE', 'VEHICLE_MIDDLEWARE', 'CUSTOM_DECODING_INTERFACE'] as const
export type InterfaceType = (typeof interfaceTypes)[number]
/** Which interface a decoder of each type sits on. */
export const interfaceFor: Record<DecoderType, InterfaceType> = { CAN_SIGNAL: 'CAN_INTERFACE', OBD_SIGNAL: 'OBD_INTERFACE', MESSAGE_SIGNAL: 'VEHICLE_MIDDLEWARE', CUSTOM_DECODING_SIGNAL: 'CUSTOM_DECODING_INTERFACE' }

/** An interface as the API takes it; OBD names its request identifier, middleware its protocol. */
export function interfaceDocument(interfaceId: string, type: InterfaceType, name: string, requestMessageId: number): Document {
  switch (type) {
    case 'CAN_INTERFACE':
      return { interfaceId, type, canInterface: { name } }
    case 'OBD_INTERFACE':
      return { interfaceId, type, obdInterface: { name, requestMessageId } }
    case 'VEHICLE_MIDDLEWARE':
      return { interfaceId, type, vehicleMiddleware: { name, protocolName: 'ROS_2' } }
    case 'CUSTOM_DECODING_INTERFACE':
      return { interfaceId, type, customDecodingInterface: { name } }
  }
}

export const typeOf = (decoder: Document): DecoderType | undefined => decoderTypes.find((type) => type === decoder.type)

export interface Complaint {
  /** Path in the document, as the API names it: "/canSignal/startBit". */
  path: string
  text: string
}

function fieldComplaint(rule: FieldRule, value: unknown): string | undefined {
  if (value === undefined) return rule.required ? t('document.missing', { key: rule.key }) : undefined
  const span = { key: rule.key, min: String(rule.min ?? 0), max: String(rule.max ?? 0) }
  switch (rule.kind) {
    case 'whole':
      return typeof value === 'number' && Number.isInteger(value) && value >= (rule.min ?? 0) && value <= (rule.max ?? Infinity) ? undefined : t('document.whole', span)
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? undefined : t('document.number', span)
    case 'flag':
      return typeof value === 'boolean' ? undefined : t('document.flag', span)
    case 'choice':
      return typeof value === 'string' && rule.choices?.includes(value) ? undefined : t('document.choice', { key: rule.key, choices: rule.choices?.join(', ') ?? '' })
    case 'text':
      return typeof value === 'string' && (!rule.pattern || rule.pattern.test(value)) ? undefined : t('document.text', span)
  }
}

/** What is wrong with a decoder before the server is asked; the server judges for real. */
export function decoderComplaints(decoder: unknown, interfaces: readonly Document[]): Complaint[] {
  if (!isObject(decoder)) return [{ path: '', text: t('document.object') }]
  const out: Complaint[] = []
  const type = typeOf(decoder)
  if (!/^[A-Za-z0-9._]{1,150}$/.test(textOf(decoder, 'fullyQualifiedName'))) out.push({ path: '/fullyQualifiedName', text: t('naming.invalid') })
  if (!type) return [...out, { path: '/type', text: t('document.choice', { key: 'type', choices: decoderTypes.join(', ') }) }]
  const of = interfaces.find((one) => textOf(one, 'interfaceId') === textOf(decoder, 'interfaceId'))
  if (!of) out.push({ path: '/interfaceId', text: t('document.nointerface', { id: textOf(decoder, 'interfaceId') }) })
  else if (of.type !== interfaceFor[type]) out.push({ path: '/interfaceId', text: t('document.otherinterface', { id: textOf(decoder, 'interfaceId'), type: String(of.type) }) })
  const member = decoderMember[type]
  if (!isObject(decoder[member])) return [...out, { path: `/${member}`, text: t('document.missing', { key: member }) }]
  for (const rule of decoderFields[type]) {
    const text = fieldComplaint(rule, at(decoder, member)[rule.key])
    if (text) out.push({ path: `/${member}/${rule.key}`, text })
  }
  for (const other of decoderTypes) if (other !== type && decoder[decoderMember[other]] !== undefined) out.push({ path: `/${decoderMember[other]}`, text: t('document.foreign', { key: decoderMember[other], type }) })
  return out
}

export const fieldValue = (decoder: Document, type: DecoderType, key: string): unknown => at(decoder, decoderMember[type])[key]

/** The document with one field changed; undefined takes it away. What the form does not know stays. */
export function withField(decoder: Document, type: DecoderType, key: string, value: unknown): Document {
  const fields = { ...at(decoder, decoderMember[type]) }
  if (value === undefined) delete fields[key]
  else fields[key] = value
  return { ...decoder, [decoderMember[type]]: fields }
}

/** A field's text as the value that the document holds. A number that is none stays text: the complaint then stands beside it. */
export function valueOf(rule: FieldRule, text: string): unknown {
  if (text.trim() === '') return undefined
  if (rule.kind !== 'whole' && rule.kind !== 'number') return text
  const found = Number(text.trim())
  return Number.isFinite(found) ? found : text
}

export const emptyDecoder = (fqn: string, interfaceId: string, type: DecoderType): Document => ({
  fullyQualifiedName: fqn,
  type,
  interfaceId,
  [decoderMember[type]]: type === 'CAN_SIGNAL' ? { messageId: 0, isBigEndian: false, isSigned: false, startBit: 0, offset: 0, factor: 1, length: 8 } : {},
})

// ---- what an update sends

const fqnOf = (d: Document): string => textOf(d, 'fullyQualifiedName')

/** Members in one order, so that two documents that say the same are the same text. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (isObject(value)) return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`
  return JSON.stringify(value) ?? 'null'
}

export interface DecoderChange {
  signalDecodersToAdd?: Document[]
  signalDecodersToUpdate?: Document[]
  signalDecodersToRemove?: string[]
}

/** The difference between two lists of decoders, as UpdateDecoderManifest takes it. */
export function decoderChange(before: readonly Document[], after: readonly Document[]): DecoderChange {
  const was = new Map(before.map((d) => [fqnOf(d), d]))
  const now = new Set(after.map(fqnOf))
  const added = after.filter((d) => !was.has(fqnOf(d)))
  const updated = after.filter((d) => {
    const old = was.get(fqnOf(d))
    return old !== undefined && canonical(old) !== canonical(d)
  })
  const removed = [...was.keys()].filter((name) => !now.has(name))
  return { ...(added.length ? { signalDecodersToAdd: added } : {}), ...(updated.length ? { signalDecodersToUpdate: updated } : {}), ...(removed.length ? { signalDecodersToRemove: removed } : {}) }
}

export const changeCount = (c: DecoderChange): number => (c.signalDecodersToAdd?.length ?? 0) + (c.signalDecodersToUpdate?.length ?? 0) + (c.signalDecodersToRemove?.length ?? 0)

// ---- models

/** The signal of a model's node, whatever kind it is of; nothing for branches and structs. */
export function signalOfNode(node: Document): { fqn: string; kind: string; dataType: string; unit: string } | undefined {
  for (const kind of ['sensor', 'actuator', 'attribute']) {
    const d = node[kind]
    if (isObject(d)) return { fqn: fqnOf(d), kind, dataType: textOf(d, 'dataType'), unit: textOf(d, 'unit') }
  }
  return undefined
}

/** Nodes to add and to take away, so that a model has these signals. */
export function modelChange(before: readonly string[], after: readonly string[]): { nodesToAdd?: string[]; nodesToRemove?: string[] } {
  const was = new Set(before)
  const now = new Set(after)
  const added = after.filter((fqn) => !was.has(fqn))
  const removed = before.filter((fqn) => !now.has(fqn))
  return { ...(added.length ? { nodesToAdd: added } : {}), ...(removed.length ? { nodesToRemove: removed } : {}) }
}

/** An ACTIVE manifest is fixed; a DRAFT can be edited. */
export const editable = (status: string): boolean => status === 'DRAFT'
