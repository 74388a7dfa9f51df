// One call per operation of the API description; types come from it. Failures carry what the server said (RFC 9457).
import { operations, type Me, type Operations, type Problem } from './types'
import { t } from '../text/text'

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly requestId: string,
    readonly field: string,
  ) {
    super(detail || title)
  }
}

let csrf = ''
let onSignedOut: () => void = () => undefined
export function keepSession(me: Me): void {
  csrf = me.csrf ?? ''
}
export function whenSignedOut(act: () => void): void {
  onSignedOut = act
}

type Without<T> = { [K in keyof T as T[K] extends undefined ? never : K]: T[K] }
export type Input<K extends keyof Operations> = Without<Pick<Operations[K], 'path' | 'query' | 'body'>>
export type Reply<K extends keyof Operations> = Operations[K]['reply']
interface Loose {
  path?: Record<string, string | number>
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
}

export function urlOf(id: keyof Operations, input: Loose = {}): string {
  const path = operations[id].path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(input.path?.[name] ?? '')))
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input.query ?? {})) {
    if (value !== undefined && value !== '') query.set(name, String(value))
  }
  const text = query.toString()
  return text ? `${path}?${text}` : path
}

export async function call<K extends keyof Operations>(
  id: K,
  ...rest: keyof Input<K> extends never ? [signal?: AbortSignal] : [input: Input<K>, signal?: AbortSignal]
): Promise<Reply<K>> {
  const first = rest[0]
  const signal = first instanceof AbortSignal ? first : rest[1]
  const input: Loose = first instanceof AbortSignal || first === undefined ? {} : (first as Loose)
  const method = operations[id].method
  const headers: Record<string, string> = { accept: 'application/json' }
  if (input.body !== undefined) headers['content-type'] = 'application/json'
  if (method !== 'GET' && csrf) headers['x-csrf-token'] = csrf
  let reply: Response
  try {
    reply = await fetch(urlOf(id, input), {
      method,
      headers,
      body: input.body === undefined ? null : JSON.stringify(input.body),
      signal: signal ?? null,
      credentials: 'same-origin',
      cache: 'no-store',
      // What is taken away when its page is left must still be heard.
      keepalive: method === 'DELETE',
    })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError(0, t('error.unreachable'), t('error.unreachable.detail'), '', '')
  }
  if (reply.ok) {
    if (reply.status === 204) return undefined as Reply<K>
    return (await reply.json()) as Reply<K>
  }
  let problem: Partial<Problem> = {}
  try {
    problem = (await reply.json()) as Partial<Problem>
  } catch {
    // No problem document: the status line is all there is to tell.
  }
  if (reply.status === 401 && id !== 'sign_in' && id !== 'sign_in_link') onSignedOut()
  throw new ApiError(
    reply.status,
    problem.title ?? t('error.status', { status: String(reply.status) }),
    problem.detail ?? '',
    problem.request_id ?? reply.headers.get('x-request-id') ?? '',
    problem.field ?? '',
  )
}
