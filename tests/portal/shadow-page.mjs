// A vehicle's device shadows against a running motorcade.
import assert from 'node:assert/strict'
import { test } from 'node:test'

export function shadowPage({ page, own, go, findings }) {
  const name = `lamp-${String(Date.now()).slice(-7)}`
  const press = (words, within) => page().evaluate((w, box) => [...document.querySelectorAll(`${box} button`)].find((b) => b.textContent.trim() === w).click(), words, within)
  const rows = (pattern) => page().waitForFunction((p) => [...document.querySelectorAll('.shadow-panel tbody tr')].some((r) => new RegExp(p).test(r.textContent)), { timeout: 20_000 }, pattern)
  const send = (body) => page().evaluate(async (thing, n, b) => {
    const { csrf } = await (await fetch('/api/v1/me')).json()
    return (await fetch(`/api/v1/things/${thing}/shadow?name=${n}`, { method: 'PATCH', headers: { 'content-type': 'application/json', 'x-csrf-token': csrf }, body: JSON.stringify(b) })).status
  }, own.vehicle.name, name, body)

  test('a shadow is made, shows what is outstanding until the device reports it, and what was asked', async () => {
    await go(`/vehicles/${own.vehicle.id}?tab=shadow`)
    await page().waitForSelector('.shadow-panel button')
    await press('New shadow', '.shadow-panel')
    await page().waitForSelector('dialog[open] textarea')
    await page().type('dialog[open] input', name)
    await page().$eval('dialog[open] textarea', (e) => e.select())
    await page().type('dialog[open] textarea', '{"lamp": ')
    await press('Save', 'dialog[open]')
    await page().waitForFunction(() => /JSON object/.test(document.querySelector('dialog[open] .field-error')?.textContent ?? ''), { timeout: 20_000 })
    await page().$eval('dialog[open] textarea', (e) => e.select())
    await page().type('dialog[open] textarea', '{"lamp": {"left": true}}')
    await press('Save', 'dialog[open]')
    await page().waitForFunction(() => !document.querySelector('dialog[open]'), { timeout: 20_000 })
    await rows('lamp\\.left.*Outstanding.*true')
    assert.equal(new URL(page().url()).searchParams.get('shadow'), name)
    assert.deepEqual(await findings(), [])
    assert.equal(await send({ state: { reported: { lamp: { left: true }, volts: 12.5 } } }), 200)
    await rows('lamp\\.left.*Agreed.*true')
    await rows('volts.*Reported only.*12\\.5')
    await rows('^\\s*2.*Platform.*reported')
  })
}
