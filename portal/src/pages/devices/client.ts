// What two readings of a client, and the texts of its events, tell. Pure: nothing here makes up a number.
import type { Client, ConnectionEvent } from '../../api/types'
import { parse, span } from '../../format/time'
import { t } from '../../text/text'

export interface Reading {
  /** performance.now() of the answer, ms. */
  at: number
  received: number
  delivered: number
  connected_at: string | undefined
}

export interface Rates {
  received: number
  delivered: number
  /** The time between both readings, ms. */
  over: number
}

/** Messages a second between two readings; undefined when they cannot be compared. */
export function ratesOf(before: Reading | undefined, now: Reading): Rates | undefined {
  if (!before || before.connected_at !== now.connected_at) return undefined
  const over = now.at - before.at
  const received = now.received - before.received
  const delivered = now.delivered - before.delivered
  // A counter that went down began anew; readings that nearly coincide say nothing.
  if (over < 500 || received < 0 || delivered < 0) return undefined
  return { received: (received * 1000) / over, delivered: (delivered * 1000) / over, over }
}

/** How often something of this client was refused, dropped or made to wait, whatever the cause. */
export const limitedSum = (client: Client): number => client.limited.reduce((sum, l) => sum + l.count, 0)

export function connectionWords(client: Client, now: number): string {
  if (client.connected) {
    const since = parse(client.connected_at)
    return Number.isNaN(since) ? t('connection.up', { address: client.address, version: client.version }) : t('connection.upsince', { address: client.address, version: client.version, span: span(now - since) })
  }
  const since = parse(client.disconnected_at)
  const down = Number.isNaN(since) ? t('connection.never') : t('connection.down', { span: span(now - since) })
  return client.last_error ? `${down} ${t('connection.error', { error: client.last_error })}` : down
}

/** "connected", "ended" and the reason in the server's words. */
export function eventWords(e: ConnectionEvent): string {
  if (e.kind === 'connected') return e.text || t('event.connected')
  return e.text || t('event.ended', { code: String(e.code) })
}

/** MQTT 5.0, 4.13: Session taken over. */
const takenOver = 0x8e

export interface TakeOver {
  time: string
  /** Where the connection came from that had to go. */
  from: string
  /** Where the one came from that took its place; undefined when the event's text was cut before it. */
  to: string | undefined
  /** Both from one host: more likely a device that came back than two of them. */
  sameHost: boolean
}

const host = (address: string): string => address.replace(/:\d+$/, '')

export function takeOverOf(e: ConnectionEvent): TakeOver | undefined {
  if (e.kind !== 'ended' || e.code !== takenOver) return undefined
  const to = /" connected from (\S+) while /.exec(e.text)?.[1]
  return { time: e.time, from: e.address, to, sameHost: to !== undefined && host(to) === host(e.address) }
}

export const clientPath = (id: string): string => `/devices/client?${new URLSearchParams({ id }).toString()}`
export const tracePath = (client: string): string => `/devices/trace?${new URLSearchParams({ client }).toString()}`
