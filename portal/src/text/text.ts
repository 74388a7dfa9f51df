// The one way words reach the screen: t('key', {…}) fills {name} in a line of the catalogue; a line with plural forms
// picks its form by the number called "count" (Intl.PluralRules).
import { en } from './en'

export type Key = keyof typeof en
export type Line = string | { one: string; other: string }
type Values = Record<string, string | number>

export const locale = 'en'
const plural = new Intl.PluralRules(locale)
const count = new Intl.NumberFormat(locale)

export function t(key: Key, values?: Values): string {
  const line: Line = en[key]
  const chosen = typeof line === 'string' ? line : plural.select(Number(values?.count ?? 0)) === 'one' ? line.one : line.other
  if (!values) return chosen
  return chosen.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name]
    return value === undefined ? whole : typeof value === 'number' ? count.format(value) : value
  })
}

/** The same for keys put together at run time ("motion." + state): falls back to the last part of the key. */
export function word(group: string, name: string): string {
  const key = `${group}.${name}`
  return key in en ? t(key as Key) : name
}
