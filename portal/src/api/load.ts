// Data on a page: loaded, kept fresh, never flickering. The last good value stays while a newer one is fetched or fails.
import { batch, createEffect, createSignal, on, onCleanup, type Accessor } from 'solid-js'
import { createStore, reconcile } from 'solid-js/store'
import { ApiError } from './client'

export interface Loaded<T> {
  value: Accessor<T | undefined>
  error: Accessor<ApiError | undefined>
  pending: Accessor<boolean>
  /** performance.now() of the last good answer; 0 before the first. */
  at: Accessor<number>
  again: () => Promise<void>
}

export interface LoadOptions {
  /** Ask again this often, in ms, while the page is visible. */
  every?: number
  /** The field that tells list items apart when a newer list replaces an older one. */
  key?: string
}

export function useLoad<S, T extends object>(
  source: Accessor<S | undefined>,
  fetcher: (input: S, signal: AbortSignal) => Promise<T>,
  options: LoadOptions = {},
): Loaded<T> {
  const [store, setStore] = createStore<{ value: T | undefined }>({ value: undefined })
  const [error, setError] = createSignal<ApiError>()
  const [pending, setPending] = createSignal(false)
  const [at, setAt] = createSignal(0)
  let running: AbortController | undefined

  async function load(fresh: boolean): Promise<void> {
    const input = source()
    running?.abort()
    if (input === undefined) return
    const mine = new AbortController()
    running = mine
    setPending(true)
    try {
      const value = await fetcher(input, mine.signal)
      if (mine.signal.aborted) return
      batch(() => {
        if (fresh) setStore('value', undefined)
        setStore('value', reconcile(value, { key: options.key ?? 'id' }) as never)
        setError(undefined)
        setAt(performance.now())
      })
    } catch (cause) {
      if (mine.signal.aborted) return
      setError(cause instanceof ApiError ? cause : new ApiError(0, String(cause), '', '', ''))
    } finally {
      if (running === mine) setPending(false)
    }
  }

  createEffect(
    on(source, (now, before) => {
      if (before !== undefined && now !== undefined && JSON.stringify(now) === JSON.stringify(before)) return
      void load(before !== undefined)
    }),
  )
  if (options.every) {
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible' && !pending()) void load(false)
    }, options.every)
    onCleanup(() => clearInterval(timer))
  }
  onCleanup(() => running?.abort())
  return { value: () => store.value, error, pending, at, again: () => load(false) }
}
