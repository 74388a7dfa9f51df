// The messages and signals of a DBC file, as far as choosing names for them needs it. The server reads the file again and judges it:
// what cannot be read here is passed over and told with its line.
export interface DbcSignal {
  /** "Message.Signal", as the server's map names it. */
  source: string
  message: string
  name: string
  unit: string
  min?: number
  max?: number
  comment: string
  /** Value names: [[0, "off"], ...]. */
  values: [number, string][]
  length: number
  signed: boolean
  /** Comes only with some values of a switch. */
  multiplexed: boolean
}
export interface DbcMessage {
  name: string
  id: number
  extended: boolean
  signals: DbcSignal[]
}
export interface DbcFile {
  messages: DbcMessage[]
  passed: { line: number; text: string }[]
}

/** Vector tools keep signals that sit in no frame in a message of this id; the server passes them over too. */
const noFrame = 0x40000000
const extendedBit = 0x80000000

type Kind = 'name' | 'number' | 'text' | 'mark' | 'end'

class Reader {
  kind: Kind = 'end'
  value = ''
  /** Where the token begins. */
  from = 0
  private readonly pattern = /\s*(?:"([^"\\]*(?:\\"?[^"\\]*)*)"|([A-Za-z_]\w*)|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(\S))/y
  private seen = 0
  private line = 1
  constructor(private readonly text: string) {
    this.next()
  }
  next(): void {
    const hit = this.pattern.exec(this.text)
    if (!hit) {
      this.kind = 'end'
      this.value = ''
      this.from = this.text.length
      return
    }
    const [, text, name, number, mark] = hit
    this.kind = text !== undefined ? 'text' : name !== undefined ? 'name' : number !== undefined ? 'number' : 'mark'
    this.value = text !== undefined ? text.replace(/\\"/g, '"') : (name ?? number ?? mark ?? '')
    this.from = this.pattern.lastIndex - (text !== undefined ? text.length + 2 : this.value.length)
  }
  get ended(): boolean {
    return this.kind === 'end'
  }
  /** The token's value when it is of this kind, and then the next one stands; otherwise nothing moves. */
  take(kind: Kind, value?: string): string | undefined {
    if (this.kind !== kind || (value !== undefined && this.value !== value)) return undefined
    const was = this.value
    this.next()
    return was
  }
  number(): number | undefined {
    const text = this.take('number')
    return text === undefined ? undefined : Number(text)
  }
  /** Lines are counted forward only. */
  lineOf(at: number): number {
    for (let i = this.text.indexOf('\n', this.seen); i >= 0 && i < at; i = this.text.indexOf('\n', i + 1)) {
      this.line++
      this.seen = i + 1
    }
    return this.line
  }
}

const key = (id: number, name: string): string => `${id} ${name}`

interface Reading {
  r: Reader
  file: DbcFile
  open: DbcMessage | undefined
  ids: Map<number, DbcMessage>
  bySignal: Map<string, DbcSignal>
}

function pass(g: Reading, at: number, text: string): void {
  g.file.passed.push({ line: g.r.lineOf(at), text })
}

function message(g: Reading, at: number): void {
  const id = g.r.number()
  const name = id === undefined ? undefined : g.r.take('name')
  g.open = undefined
  if (id === undefined || name === undefined) return pass(g, at, 'BO_')
  if ((id & 0x7fffffff) === noFrame) return
  if (g.ids.has(id)) return pass(g, at, name)
  g.open = { name, id: id % extendedBit, extended: id >= extendedBit, signals: [] }
  g.ids.set(id, g.open)
  g.file.messages.push(g.open)
}

/** SG_ name [M | m3 | m3M] : 24|16@1+ (0.125,0) [0|8031.875] "rpm" ... */
function signal(g: Reading, at: number): void {
  const { r, open } = g
  const name = r.take('name')
  if (name === undefined || !open) return name !== undefined ? undefined : pass(g, at, 'SG_')
  const mux = r.take('name')
  const start = r.take('mark', ':') === undefined ? undefined : r.number()
  const length = start === undefined || r.take('mark', '|') === undefined ? undefined : r.number()
  const order = length === undefined || r.take('mark', '@') === undefined ? undefined : r.number()
  const sign = order === undefined ? undefined : r.take('mark')
  if (length === undefined || (sign !== '+' && sign !== '-')) return pass(g, at, `SG_ ${name}`)
  const found: DbcSignal = { source: `${open.name}.${name}`, message: open.name, name, unit: '', comment: '', values: [], length, signed: sign === '-', multiplexed: !!mux && /^m\d/.test(mux) }
  // The scale does not help to find a name: the range says what comes out of it.
  if (r.take('mark', '(') !== undefined) while (!r.ended && r.take('mark', ')') === undefined) r.next()
  if (r.take('mark', '[') !== undefined) {
    const min = r.number()
    r.take('mark', '|')
    const max = r.number()
    // [0|0] is how tools write that nothing is known.
    if (min !== undefined && max !== undefined && min < max) Object.assign(found, { min, max })
    while (!r.ended && r.take('mark', ']') === undefined) r.next()
  }
  found.unit = r.take('text') ?? ''
  open.signals.push(found)
  const id = open.id + (open.extended ? extendedBit : 0)
  if (!g.bySignal.has(key(id, name))) g.bySignal.set(key(id, name), found)
}

function named(g: Reading): { found: DbcSignal | undefined } | undefined {
  const id = g.r.number()
  const name = id === undefined ? undefined : g.r.take('name')
  return id === undefined || name === undefined ? undefined : { found: g.bySignal.get(key(id, name)) }
}

function comment(g: Reading): void {
  if (g.r.take('name', 'SG_') === undefined) return
  const what = named(g)
  const text = what && g.r.take('text')
  if (what?.found && text) what.found.comment = text
}

function values(g: Reading): void {
  const what = named(g)
  for (let value = what && g.r.number(); value !== undefined; value = g.r.number()) {
    const text = g.r.take('text')
    if (text === undefined) return
    what?.found?.values.push([value, text])
  }
}

/** Names longer than 32 characters stand in attributes; the server knows messages and signals by them. */
function longNames(g: Reading, later: (() => void)[]): void {
  const what = g.r.take('text')
  if (what === 'SystemSignalLongSymbol' && g.r.take('name', 'SG_') !== undefined) {
    const found = named(g)?.found
    const long = g.r.take('text')
    if (found && long) later.push(() => (found.name = long))
  } else if (what === 'SystemMessageLongSymbol' && g.r.take('name', 'BO_') !== undefined) {
    const id = g.r.number()
    const found = id === undefined ? undefined : g.ids.get(id)
    const long = g.r.take('text')
    if (found && long) later.push(() => (found.name = long))
  }
}

/** Statements up to a semicolon, in which BO_ and SG_ only name what they are about. */
const statements = new Set(['CM_', 'VAL_', 'VAL_TABLE_', 'BA_', 'BA_DEF_', 'BA_DEF_DEF_', 'BA_REL_', 'BA_DEF_REL_', 'BA_DEF_DEF_REL_', 'BA_DEF_SGTYPE_', 'BA_SGTYPE_', 'SIG_VALTYPE_', 'SIG_GROUP_', 'SIG_TYPE_REF_', 'SGTYPE_', 'SGTYPE_VAL_', 'BO_TX_BU_', 'SG_MUL_VAL_', 'EV_', 'EV_DATA_', 'ENVVAR_DATA_', 'CAT_', 'CAT_DEF_', 'BU_EV_REL_', 'BU_SG_REL_', 'BU_BO_REL_'])

/** The list of keywords that a tool knows: words without any statement. */
function symbols(r: Reader): void {
  r.take('mark', ':')
  while (r.kind === 'name' && r.value !== 'BS_' && r.value !== 'BU_' && r.value !== 'BO_') r.next()
}

export function readDbc(text: string): DbcFile {
  const g: Reading = { r: new Reader(text.replace(/^\uFEFF/, '')), file: { messages: [], passed: [] }, open: undefined, ids: new Map(), bySignal: new Map() }
  const later: (() => void)[] = []
  while (!g.r.ended) {
    const at = g.r.from
    const word = g.r.kind === 'name' ? g.r.value : ''
    g.r.next()
    if (word === 'BO_') message(g, at)
    else if (word === 'SG_') signal(g, at)
    else if (word === 'NS_') symbols(g.r)
    else if (statements.has(word)) {
      if (word === 'CM_') comment(g)
      else if (word === 'VAL_') values(g)
      else if (word === 'BA_') longNames(g, later)
      while (!g.r.ended && g.r.take('mark', ';') === undefined) g.r.next()
    }
  }
  for (const rename of later) rename()
  for (const m of g.file.messages) for (const s of m.signals) Object.assign(s, { message: m.name, source: `${m.name}.${s.name}` })
  return g.file
}

/** Every signal once: messages of one name under several ids give one signal, as they do on the server. */
export function signalsOf(file: DbcFile): DbcSignal[] {
  const seen = new Map<string, DbcSignal>()
  for (const m of file.messages) for (const s of m.signals) if (!seen.has(s.source)) seen.set(s.source, s)
  return [...seen.values()]
}
