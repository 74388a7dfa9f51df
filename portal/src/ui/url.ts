// Page state in the address: filters, selection, time. Written with replace, so that Back leaves the page.
import { useNavigate, useSearchParams } from '@solidjs/router'
import { untrack } from 'solid-js'
import { withChanges } from './address'

export interface UrlState {
  get: (name: string) => string
  set: (changes: Record<string, string | undefined>) => void
}

export function useUrl(): UrlState {
  const [params] = useSearchParams()
  const navigate = useNavigate()
  return {
    get: (name) => {
      const value = params[name]
      return (Array.isArray(value) ? value[0] : value) ?? ''
    },
    set: (changes) =>
      untrack(() => {
        const next = withChanges(location.search, changes)
        if (next !== location.search) navigate(location.pathname + next, { replace: true, scroll: false })
      }),
  }
}
