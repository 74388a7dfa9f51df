// What this person likes, kept in this browser: theme and density. Units are in format/number.ts.
import { createEffect, createRoot, createSignal } from 'solid-js'

export type ThemeChoice = 'system' | 'light' | 'dark'
export type Density = 'comfortable' | 'compact'

const dark = matchMedia('(prefers-color-scheme: dark)')
const [systemDark, setSystemDark] = createSignal(dark.matches)
dark.addEventListener('change', () => setSystemDark(dark.matches))

function kept<T extends string>(key: string, values: readonly T[], first: T): [() => T, (next: T) => void] {
  const found = localStorage.getItem(key) as T | null
  const [value, setValue] = createSignal<T>(found && values.includes(found) ? found : first)
  return [
    value,
    (next) => {
      setValue(() => next)
      localStorage.setItem(key, next)
    },
  ]
}

export const [themeChoice, setThemeChoice] = kept<ThemeChoice>('motorcade.theme', ['system', 'light', 'dark'], 'system')
export const [density, setDensity] = kept<Density>('motorcade.density', ['comfortable', 'compact'], 'compact')
export const [railOpen, setRailOpen] = kept<'open' | 'closed'>('motorcade.rail', ['open', 'closed'], 'closed')

const [applied, setApplied] = createSignal<'light' | 'dark'>('light')
/** The theme on the screen now; set after the document has it, so that readers of the tokens see the new ones. */
export const theme = applied

createRoot(() => {
  createEffect(() => {
    const chosen = themeChoice()
    const now = chosen === 'system' ? (systemDark() ? 'dark' : 'light') : chosen
    document.documentElement.dataset.theme = now
    setApplied(now)
  })
  createEffect(() => {
    document.documentElement.dataset.density = density()
  })
})

/** Row height in px of the current density; the tables' windows are counted in it. */
export const rowHeight = (): number => (density() === 'compact' ? 32 : 40)
