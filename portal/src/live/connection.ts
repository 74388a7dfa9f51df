// The one WebSocket of this tab. It reconnects for ever, with growing pauses, and asks for what it missed.
import { createSignal } from 'solid-js'
import { live as layout } from '../api/types'
import { findSession } from '../api/session'
import { pause } from './backoff'
import { serverSaid } from './clock'
import { fleet } from './fleet'
import { FrameError, Kind, readHeader, readValues, type ValueRecord } from './frame'

export type State = 'off' | 'connecting' | 'connected' | 'waiting'
const [state, setState] = createSignal<State>('off')
const [lastFrame, setLastFrame] = createSignal(0)
const [retryAt, setRetryAt] = createSignal(0)
const [complaint, setComplaint] = createSignal('')
/** lastFrame: Date.now() of the latest frame; retryAt: Date.now() of the next try. */
export { state, lastFrame, retryAt, complaint }

let socket: WebSocket | undefined
let wanted = false
let attempt = 0
let timer: ReturnType<typeof setTimeout> | undefined
let epoch = 0
let sequence = 0
let vehicle = 0
const valueListeners = new Set<(vehicle: number, values: ValueRecord[]) => void>()

function send(message: object): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message))
}

function received(data: ArrayBuffer): void {
  const view = new DataView(data)
  const header = readHeader(view)
  serverSaid(header.serverTime)
  setLastFrame(Date.now())
  if (header.kind === Kind.Values) {
    const { vehicle: of, values } = readValues(view, header)
    for (const listener of valueListeners) listener(of, values)
    return
  }
  epoch = header.epoch
  sequence = header.sequence
  fleet.apply(view, header)
}

function open(): void {
  clearTimeout(timer)
  setState('connecting')
  const url = new URL('/api/v1/live', location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const mine = new WebSocket(url, layout.protocol)
  socket = mine
  mine.binaryType = 'arraybuffer'
  let opened = false
  mine.onopen = () => {
    opened = true
    setState('connected')
    setComplaint('')
    send({ type: 'fleet', since: sequence, epoch })
    if (vehicle) send({ type: 'vehicle', id: vehicle })
  }
  mine.onmessage = (message: MessageEvent<ArrayBuffer | string>) => {
    if (typeof message.data === 'string') {
      setComplaint(message.data)
      return
    }
    try {
      received(message.data)
      attempt = 0
    } catch (cause) {
      if (!(cause instanceof FrameError)) throw cause
      setComplaint(cause.message)
      sequence = 0 // what came cannot be trusted: ask for everything again
      mine.close(4000, 'bad frame')
    }
  }
  mine.onclose = () => {
    if (socket !== mine) return
    socket = undefined
    if (!wanted) return
    // A refusal looks like any other failure to a browser: ask who we are; a lost session leads to the sign-in page.
    if (!opened) void findSession()
    const wait = pause(attempt++)
    setRetryAt(Date.now() + wait)
    setState('waiting')
    timer = setTimeout(open, wait)
  }
}

export function start(): void {
  if (wanted) return
  wanted = true
  attempt = 0
  open()
}

export function stop(): void {
  wanted = false
  clearTimeout(timer)
  socket?.close()
  socket = undefined
  epoch = sequence = 0
  setState('off')
}

export function retryNow(): void {
  if (wanted && state() === 'waiting') open()
}
globalThis.addEventListener?.('online', retryNow)

/** Live values of one vehicle at a time; the last one to ask gets them. Returns the way to stop. */
export function followVehicle(id: number, act: (values: ValueRecord[]) => void): () => void {
  const listener = (of: number, values: ValueRecord[]): void => {
    if (of === id) act(values)
  }
  valueListeners.add(listener)
  vehicle = id
  send({ type: 'vehicle', id })
  return () => {
    valueListeners.delete(listener)
    if (vehicle === id) {
      vehicle = 0
      send({ type: 'vehicle', id: 0 })
    }
  }
}
