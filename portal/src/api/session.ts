// Who is signed in. undefined: not known yet; null: nobody.
import { createSignal } from 'solid-js'
import { ApiError, call, keepSession, whenSignedOut } from './client'
import type { Me } from './types'

const [me, setMe] = createSignal<Me | null | undefined>(undefined)
const [unreachable, setUnreachable] = createSignal<ApiError>()
export { me, unreachable }

export function signedIn(who: Me): void {
  keepSession(who)
  setUnreachable(undefined)
  setMe(who)
}

whenSignedOut(() => setMe(null))

export async function findSession(): Promise<void> {
  try {
    signedIn(await call('me'))
  } catch (cause) {
    if (cause instanceof ApiError && (cause.status === 401 || cause.status === 403)) setMe(null)
    else if (cause instanceof ApiError) setUnreachable(cause)
  }
}

export async function signOut(): Promise<void> {
  await call('sign_out')
  setMe(null)
}

/** May this person do it? The server decides for real; this only keeps buttons away that would be refused. */
export function may(permission: string): boolean {
  const who = me()
  return !!who && (who.permissions.includes(permission) || who.permissions.includes('*'))
}
