import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, convert, heading, quantity, signalValue, unitName } from '../../../portal/src/format/number'
import { age, span } from '../../../portal/src/format/time'
import { en } from '../../../portal/src/text/en'
import { t } from '../../../portal/src/text/text'

test('values keep about four digits and never a false exactness', () => {
  assert.equal(signalValue(0, '', 'metric'), '0')
  assert.equal(signalValue(1234.567, '', 'metric'), '1,235')
  assert.equal(signalValue(123.456, '', 'metric'), '123.5')
  assert.equal(signalValue(12.3456, '', 'metric'), '12.35')
  assert.equal(signalValue(0.12345, '', 'metric'), '0.123')
  assert.equal(signalValue(-0, '', 'metric'), '0')
  assert.equal(signalValue(0.1 + 0.2, '', 'metric'), '0.300')
  assert.equal(signalValue(NaN, '', 'metric'), '–')
  assert.match(signalValue(1e12, '', 'metric'), /E12/)
})

test('imperial converts value and unit together', () => {
  assert.equal(unitName('km/h', 'imperial'), 'mph')
  assert.ok(Math.abs(convert(100, 'km/h', 'imperial') - 62.137) < 0.001)
  assert.equal(convert(100, 'degC', 'imperial'), 212)
  assert.equal(unitName('degC', 'imperial'), '°F')
  assert.equal(unitName('m/s^2', 'metric'), 'm/s²')
  assert.equal(convert(50, '%', 'imperial'), 50)
  assert.equal(unitName('%', 'imperial'), '%')
  assert.equal(quantity(undefined, 'km', 0, 'metric'), '–')
  assert.equal(quantity(88.4, 'km/h', 0, 'metric'), '88 km/h')
})

test('sizes and headings', () => {
  assert.equal(bytes(0), '0 B')
  assert.equal(bytes(1536), '1.50 KiB')
  assert.equal(bytes(5 * 1024 ** 3), '5.00 GiB')
  assert.equal(heading(359), 'north')
  assert.equal(heading(46), 'north-east')
})

test('spans read like a person says them', () => {
  assert.equal(span(-5), '0 s')
  assert.equal(span(59_999), '59 s')
  assert.equal(span(20 * 60_000), '20 min')
  assert.equal(span(2 * 3_600_000 + 5 * 60_000), '2 h 05 min')
  assert.equal(span(27 * 3_600_000), '1 d 3 h')
  assert.equal(age(1500), 'now')
  assert.equal(age(5000), '5 s ago')
})

test('the catalogue fills names and picks plural forms', () => {
  assert.equal(t('silent.some', { count: 3, span: '20 min' }), '3 vehicles have not reported for 20 min')
  assert.equal(t('silent.some', { count: 1, span: '20 min' }), '1 vehicle has not reported for 20 min')
  assert.equal(t('deed.suspend.do', { count: 1412 }), 'Suspend on 1,412 vehicles')
})

test('the catalogue has no empty line, no exclamation mark, and both plural forms name the same values', () => {
  const names = (text: string): string => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).filter((n) => n !== 'count').sort().join()
  for (const [key, line] of Object.entries(en) as [string, string | { one: string; other: string }][]) {
    for (const text of typeof line === 'string' ? [line] : [line.one, line.other]) {
      assert.ok(text.trim().length > 0, key)
      assert.ok(!/!(?!isNull)/.test(text), key)
    }
    if (typeof line !== 'string') assert.equal(names(line.one), names(line.other), key)
  }
})
