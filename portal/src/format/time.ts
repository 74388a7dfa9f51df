// Times and ages. "Now" is the server's: the portal keeps the difference between both clocks (see live/clock.ts).
import { locale, t } from '../text/text'

const clockFormat = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const shortClock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const utcClock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: 'UTC' })
const clockMsFormat = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23' })
const dayFormat = new Intl.DateTimeFormat(locale, { year: 'numeric', month: 'short', day: '2-digit' })
const dayShort = new Intl.DateTimeFormat(locale, { month: 'short', day: '2-digit' })

export const clock = (ms: number): string => clockFormat.format(ms)
export const clockMs = (ms: number): string => (Number.isFinite(ms) ? clockMsFormat.format(ms) : '–')
export const clockMinutes = (ms: number): string => shortClock.format(ms)
export const clockUtc = (ms: number): string => utcClock.format(ms)
export const day = (ms: number): string => dayFormat.format(ms)

/** Time of day when it is today, date and time otherwise. */
export function moment(ms: number, now: number): string {
  if (!Number.isFinite(ms)) return '–'
  return day(ms) === day(now) ? clock(ms) : `${dayShort.format(ms)} ${clock(ms)}`
}
/** The same to the millisecond. */
export const momentMs = (ms: number, now: number): string => (!Number.isFinite(ms) || day(ms) === day(now) ? clockMs(ms) : `${dayShort.format(ms)} ${clockMs(ms)}`)
export const dateTime = (ms: number): string => `${day(ms)} ${clock(ms)}`

/** "4 s", "3 min", "2 h 05 min", "3 d 4 h". */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return t('span.s', { s: seconds })
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return t('span.min', { min: minutes })
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return minutes % 60 ? t('span.hmin', { h: hours, min: String(minutes % 60).padStart(2, '0') }) : t('span.h', { h: hours })
  const days = Math.floor(hours / 24)
  return hours % 24 && days < 10 ? t('span.dh', { d: days, h: hours % 24 }) : t('span.d', { d: days })
}

/** An age that does not flicker: below two seconds it is "now". */
export function age(ms: number): string {
  return ms < 2000 ? t('age.now') : t('age.ago', { span: span(ms) })
}

export const parse = (text: string | undefined): number => (text === undefined ? NaN : Date.parse(text))
export const rfc3339 = (ms: number): string => new Date(ms).toISOString()

/** The value a datetime-local field wants, in the reader's zone. */
export function localField(ms: number): string {
  const d = new Date(ms)
  const two = (n: number): string => String(n).padStart(2, '0')
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`
}
