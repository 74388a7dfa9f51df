// The FleetWise pages against a running motorcade: import, manifests, roll-out, events, fleets, state templates, access keys.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Real inputs stand beside the checkout, or where MOTORCADE_DATA says. */
const real = join(process.env.MOTORCADE_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url)), 'dbc', 'tesla_model3_party.dbc')

/** Two messages of a made vehicle: one signal that any catalog with a speed knows, one that none does. */
const dbc = (stamp) => `VERSION "1"
BU_: ECU
BO_ 291 Drive${stamp}: 8 ECU
 SG_ VehicleSpeed : 0|16@1+ (0.01,0) [0|250] "km/h" ECU
 SG_ Zqx${stamp} : 16|8@1+ (1,0) [0|255] "" ECU
`

export function fleetwisePages({ page, own, go, text, api, path, findings, pixelsOf }) {
  const stamp = String(Date.now()).slice(-7)
  const press = (words, within = 'body') => page().evaluate((w, box) => {
    const found = [...document.querySelectorAll(`${box} button, ${box} a.button`)].find((b) => b.textContent.trim() === w && b.checkVisibility())
    if (!found) throw new Error(`no button "${w}"`)
    found.click()
  }, words, within)
  const fill = async (label, value) => {
    const field = await page().evaluateHandle((l) => document.getElementById([...document.querySelectorAll('label')].find((e) => e.firstChild.textContent.trim() === l && e.checkVisibility())?.htmlFor), label)
    const element = field.asElement()
    assert.ok(element, `a field "${label}"`)
    if ((await element.evaluate((e) => e.tagName)) === 'SELECT') return void (await element.select(value))
    await element.evaluate((e) => e.select())
    await element.type(value)
  }
  const send = async (method, path, body) => {
    const status = await page().evaluate(async (m, p, b) => {
      const { csrf } = await (await fetch('/api/v1/me')).json()
      const reply = await fetch(p, { method: m, headers: { 'content-type': 'application/json', 'x-csrf-token': csrf }, body: b && JSON.stringify(b) })
      return reply.ok ? 0 : `${reply.status} ${await reply.text()}`
    }, method, path, body)
    assert.equal(status, 0, `${method} ${path}`)
  }
  const closed = () => page().waitForFunction(() => !document.querySelector('dialog[open]'), { timeout: 60_000 })
  const waitText = (selector, pattern) => page().waitForFunction((s, p) => new RegExp(p).test(document.querySelector(s)?.textContent ?? ''), { timeout: 60_000 }, selector, pattern)

  test('a DBC file is read, named, checked and imported; what it lacks is told before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'motorcade-dbc-'))
    try {
      writeFileSync(join(folder, `wizard-${stamp}.dbc`), dbc(stamp))
      writeFileSync(join(folder, 'nothing.dbc'), '{"no": "dbc"}')
      // The page reads it, the server does not: a signal of 99 bits.
      writeFileSync(join(folder, 'broken.dbc'), dbc(stamp).replace('16|8@1+', '16|99@1+'))
      await go('/signals/import')
      await press('Read and name')
      await page().waitForSelector('.field-error')
      let input = await page().$('input[type=file]')
      await input.uploadFile(join(folder, 'nothing.dbc'))
      await press('Read and name')
      await waitText('.failure', 'No signal was found')
      await input.uploadFile(join(folder, 'broken.dbc'))
      await press('Read and name')
      await page().waitForSelector('.naming-name')
      await press('Check')
      await page().waitForSelector('.import-check')
      await press('Import 2 signals')
      await waitText('.failure', 'broken\\.dbc:5\\b')
      await press('Back')
      await page().waitForSelector('.naming-name')
      await press('Back')
      await page().waitForSelector('input[type=file]')
      input = await page().$('input[type=file]')
      await input.uploadFile(join(folder, `wizard-${stamp}.dbc`))
      await press('Read and name')
      await page().waitForSelector('.naming-name')
      assert.deepEqual(await findings(), [])
      const rows = () => page().$$eval('tbody tr:not(.table-space)', (all) => all.map((tr) => ({ signal: tr.querySelector('.signals-name').textContent, name: tr.querySelector('input').value, state: tr.lastElementChild.textContent.trim() })))
      const first = await rows()
      assert.deepEqual(first.map((r) => r.signal), ['VehicleSpeed', `Zqx${stamp}`])
      assert.equal(first[1].name, '')
      assert.match(first[1].state, /^No match/)
      const rename = async (at, name) => {
        const fields = await page().$$('.naming-name')
        await fields[at].evaluate((e) => e.select())
        await fields[at].type(name)
        await fields[at].evaluate((e) => e.blur())
      }
      await rename(1, 'no name')
      await waitText('.editor-foot', '1 name is wrong')
      await press('Check')
      assert.equal((await rows()).length, 1)
      await rename(0, `Vehicle.Wizard.Speed${stamp}`)
      await page().waitForFunction(() => !/wrong/.test(document.querySelector('.editor-foot').textContent))
      await press('Check')
      await page().waitForSelector('.import-check')
      assert.deepEqual(await findings(), [])
      await press('Import 2 signals')
      await page().waitForSelector('.import-done', { timeout: 60_000 })
      const manifest = await api(`/api/v1/manifests/wizard-${stamp}/signals`)
      assert.equal(manifest.items.length, 2)
      assert.ok(manifest.items.some((s) => s.fqn === `Vehicle.Wizard.Speed${stamp}`), JSON.stringify(manifest.items.map((s) => s.fqn)))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('a real DBC file becomes an active decoder, with the names that were taken', async (t) => {
    if (!existsSync(real)) return t.skip(`${real} is not there`)
    const name = `real-${stamp}`
    await go('/signals/import')
    await (await page().$('input[type=file]')).uploadFile(real)
    await fill('Manifest name', name)
    await press('Read and name')
    await page().waitForSelector('.naming-take', { timeout: 60_000 })
    const taken = await page().$eval('.naming-take', (e) => e.title.replace(/^Name it ([\w.]+).*/, '$1'))
    await page().click('.naming-take')
    await page().waitForFunction((fqn) => [...document.querySelectorAll('.naming-name')].some((e) => e.value === fqn), {}, taken)
    const count = Number((await text('.import-tools .segment')).replace(/\D/g, ''))
    assert.ok(count > 50, `${count} signals`)
    await press('Check')
    await page().waitForSelector('.import-check')
    await page().click('.import-check .primary')
    await page().waitForSelector('.import-done', { timeout: 60_000 })
    await go(`/signals/decoders/${name}`)
    await waitText('.page-head', 'Active')
    const decoders = (await api(`/api/v1/decoders/${name}/signals?limit=1000`)).items
    assert.equal(decoders.length, count)
    assert.ok(decoders.some((d) => d.fullyQualifiedName === taken), taken)
  })

  test('a decoder’s form and document say the same; what is wrong is told beside the field and keeps it from being saved', async () => {
    const name = `wizard-${stamp}`
    await go(`/signals/decoders/${name}`)
    await page().waitForSelector('tbody tr:not(.table-space)')
    await page().evaluate(() => document.querySelector('tbody tr:not(.table-space)').click())
    await page().waitForSelector('.decoder-editor')
    assert.ok(await page().$('.decoder-form fieldset[disabled]'), 'an active manifest is fixed')
    await press('Back to draft')
    await page().waitForSelector('dialog[open]')
    await press('Back to draft', 'dialog[open]')
    await closed()
    await page().waitForSelector('.decoder-form fieldset:not([disabled])')
    await fill('Start bit', '8')
    await page().waitForFunction(() => JSON.parse(document.querySelector('#decoder-document').value).canSignal.startBit === 8)
    await fill('Length in bits', '0')
    await page().waitForSelector('.decoder-form .field-error, .decoder-complaints')
    assert.equal(await page().evaluate(() => [...document.querySelectorAll('.editor-foot button')].pop().disabled), true)
    await fill('Length in bits', '16')
    await page().waitForFunction(() => ![...document.querySelectorAll('.editor-foot button')].pop().disabled)
    assert.deepEqual(await findings(), [])
    await press('Save', '.editor-foot')
    await waitText('.editor-foot', 'Nothing is changed')
    const signals = (await api(`/api/v1/decoders/${name}/signals`)).items
    assert.ok(signals.some((d) => d.canSignal.startBit === 8 && d.canSignal.length === 16), JSON.stringify(signals))
  })

  test('a fleet is made, filled and emptied, and a campaign can be for it', async () => {
    const id = `fleet-${stamp}`
    await go('/fleets')
    await press('Add fleet')
    await page().waitForSelector('dialog[open] form')
    await fill('Fleet id', id)
    await press('Add fleet', 'dialog[open]')
    await closed()
    await page().waitForFunction((f) => location.pathname === `/fleets/${f}`, {}, id)
    await page().waitForSelector('.vocabulary-list .section-head')
    await press('Add vehicles')
    await page().waitForSelector('dialog[open] textarea')
    await fill('Names of the vehicles', `${own.vehicle.name}\nnobody-${stamp}`)
    await press('Add 2 vehicles', 'dialog[open]')
    await waitText('dialog[open]', `nobody-${stamp}`)
    await press('Done', 'dialog[open]')
    await closed()
    assert.deepEqual((await api(`/api/v1/fleets/${id}/vehicles`)).items, [own.vehicle.name])
    assert.deepEqual(await findings(), [])
    await go('/campaigns/new')
    await page().evaluate(() => document.querySelector('input[type=radio][value=fleet]').click())
    await page().waitForFunction((f) => [...document.querySelectorAll('option')].some((o) => o.value === f), {}, id)
    await go(`/fleets/${id}`)
    await page().waitForSelector('tbody .button')
    await press('Take out', 'tbody')
    await page().waitForSelector('dialog[open]')
    await press('Take out', 'dialog[open]')
    await closed()
    await page().waitForFunction(() => ![...document.querySelectorAll('.section-head .danger-text')].pop().disabled, { timeout: 60_000 })
    await press('Delete fleet')
    await page().waitForSelector('dialog[open]')
    await press('Delete fleet', 'dialog[open]')
    await page().waitForFunction(() => location.pathname === '/fleets')
    assert.equal((await api('/api/v1/fleets?limit=1000')).items.some((f) => (f.id ?? f.fleetId) === id), false)
  })

  test('the roll-out counts add up, a count filters the list, and the address keeps it', async () => {
    await go(`/campaigns/${own.campaign.id}`)
    await page().waitForSelector('.rollout-count')
    const { items } = await api(`/api/v1/campaigns/${own.campaign.id}/vehicles?limit=1000`)
    const shown = await page().$$eval('.rollout-count .figure-value', (all) => all.map((e) => Number(e.textContent.replace(/\D/g, ''))))
    assert.equal(shown.reduce((a, b) => a + b, 0), items.length)
    const state = items[0].state
    await page().evaluate((at) => document.querySelectorAll('.rollout-count')[at].click(), ['refused', 'pending', 'healthy', 'none'].indexOf(state))
    await page().waitForFunction((s) => new URLSearchParams(location.search).get('state') === s, {}, state)
    const query = await page().evaluate(() => location.search)
    await go(`/campaigns/${own.campaign.id}${query}`)
    await page().waitForSelector('.rollout-count[aria-pressed=true]')
    assert.deepEqual(await findings(), [])
  })

  test('a campaign with a condition is made, approved, and converges on the vehicle that is there; the one that is not says why', async () => {
    const [fleet, ghost, name] = [`both-${stamp}`, `ghost-${stamp}`, `watch-${stamp}`]
    const arn = (await api('/api/v1/catalogs')).items[0].arn
    await send('POST', '/api/v1/vehicles', { name: ghost, manifest: own.vehicle.manifest })
    await send('POST', '/api/v1/fleets', { fleetId: fleet, signalCatalogArn: arn })
    for (const vehicle of [own.vehicle.name, ghost]) await send('PUT', `/api/v1/fleets/${fleet}/vehicles/${vehicle}`)
    await go('/campaigns/new')
    await fill('Name', name)
    await page().evaluate(() => document.querySelector('input[type=radio][value=fleet]').click())
    await page().waitForFunction((f) => [...document.querySelectorAll('option')].some((o) => o.value === f), {}, fleet)
    await fill('Fleet', fleet)
    await page().evaluate(() => document.querySelector('input[type=radio][value=condition]').click())
    await page().waitForSelector('.expression-text')
    await page().type('.expression-text', '$variable.`Vehicle.Speed` >= 0')
    await page().waitForSelector('.editor-missing .link-button', { timeout: 60_000 })
    await page().click('.editor-missing .link-button') // the condition's signal is collected, too
    await fill('Least time between two triggers', '2000')
    await page().evaluate(() => [...document.querySelectorAll('label')].find((l) => /^Trigger once when/.test(l.textContent)).click()) // it holds from the start: no rise
    await fill('Keep collecting after the trigger', '500')
    await page().waitForFunction(() => / on 2 vehicles/.test(document.querySelector('.editor-foot .primary').textContent), { timeout: 60_000 })
    assert.deepEqual(await findings(), [])
    await press('Save as draft and try')
    await page().waitForFunction(() => /^\/campaigns\/\d+\/edit$/.test(location.pathname), { timeout: 60_000 })
    own.watch = Number((await path()).split('/')[2])
    // Tried before anybody approves it: the vehicle that drove has triggers, the one that never was has no data.
    await page().waitForFunction((n, g) => {
      const row = (name) => [...document.querySelectorAll('.try-result tbody tr')].find((tr) => tr.textContent.includes(name))?.textContent ?? ''
      return /Looked at/.test(row(n)) && /Nothing stored/.test(row(g))
    }, { timeout: 60_000 }, own.vehicle.name, ghost)
    const tried = await page().$$eval('.try-figures dd', (all) => all.map((e) => Number(e.textContent.replace(/[^\d.]/g, ''))))
    assert.ok(tried[0] > 0 && tried[2] > 0 && tried[3] > 0, `triggers, messages, rows, bytes: ${tried}`)
    assert.equal(await page().evaluate(async (c) => (await (await fetch(`/api/v1/campaigns/${c}`)).json()).status, own.watch), 'draft')
    assert.deepEqual(await findings(), [])
    await go(`/campaigns/${own.watch}`)
    await waitText('.page-head', 'Draft')
    await page().waitForSelector('.page-head .deeds .primary')
    await page().click('.page-head .deeds .primary')
    await page().waitForSelector('dialog[open]')
    await page().click('dialog[open] .primary')
    await closed()
    await waitText('.page-head', 'Running')
    // The worst first: refused, pending, healthy, not there.
    const counts = (want) => page().waitForFunction((w) => [...document.querySelectorAll('.rollout-count .figure-value')].map((e) => e.textContent).join() === w, { timeout: 60_000 }, want)
    await counts('0,1,1,0')
    const rows = await page().$$eval('.campaign-vehicles tbody tr:not(.table-space)', (all) => Object.fromEntries(all.map((tr) => [tr.children[0].textContent.trim(), tr.textContent])))
    assert.match(rows[own.vehicle.name], /Healthy.*Confirmed/)
    assert.match(rows[ghost], /Pending.*Never checked in/)
    assert.deepEqual(await findings(), [])
    await page().evaluate(() => [...document.querySelectorAll('.rollout-reason')].find((b) => /Never checked in/.test(b.textContent)).click())
    await page().waitForFunction((n) => [...document.querySelectorAll('.campaign-vehicles tbody tr:not(.table-space)')].map((tr) => tr.children[0].textContent.trim()).join() === n, { timeout: 60_000 }, ghost)
    assert.match(await page().evaluate(() => location.search), /reason=never_checked_in/)
  })

  test('its event opens with what was before and after the trigger, and the reach stands in the address', async () => {
    await go(`/vehicles/${own.vehicle.id}?tab=events`)
    const link = await page().waitForFunction((n) => [...document.querySelectorAll('tbody tr')].find((tr) => tr.textContent.includes(n))?.querySelector('a')?.getAttribute('href'), { timeout: 60_000 }, `watch-${stamp}`)
    await go(await link.jsonValue())
    await page().waitForFunction(() => {
      const [before, after] = (document.querySelector('.event-tools [role=status]')?.textContent ?? '').match(/\d+/g) ?? []
      return Number(before) > 0 && Number(after) > 0
    }, { timeout: 60_000 })
    await page().waitForSelector('.event-charts .chart-box canvas')
    assert.ok((await pixelsOf('.event-charts .chart-box', '--accent-text')) > 40, 'the trigger’s line is drawn')
    assert.match(await text('.event-expression'), /Vehicle\.Speed/)
    await fill('Before the trigger', '30000')
    await page().waitForFunction(() => new URLSearchParams(location.search).get('before') === '30000')
    assert.deepEqual(await findings(), [])
    await go(`/campaigns/${own.watch}`)
    await page().waitForFunction(() => Number(document.querySelector('.cost tbody td')?.textContent.replace(/\D/g, '')) > 0, { timeout: 60_000 })
  })

  test('a campaign that goes to its first vehicle shows how that does, and goes on to all when a person says so', async () => {
    const name = `staged-${stamp}`
    await send('POST', '/api/v1/campaigns', { name, target_kind: 'all', kind: 'time', period_ms: 60_000, signals: [{ fqn: 'Vehicle.Speed' }], rollout: { vehicles: [own.vehicle.name] }, start_now: true })
    const { id } = (await api('/api/v1/campaigns')).items.find((c) => c.name === name)
    await go(`/campaigns/${id}`)
    await page().waitForFunction(() => /On the first vehicle/.test(document.querySelector('.stage')?.textContent ?? '') && [...document.querySelectorAll('.stage dd')].slice(0, 2).map((e) => e.textContent).join() === '1,1', { timeout: 60_000 })
    assert.deepEqual(await findings(), [])
    await press('Go on to all', '.stage')
    await page().waitForSelector('dialog[open]')
    await press('Go on to all', 'dialog[open]')
    await closed()
    await page().waitForFunction(() => /On all/.test(document.querySelector('.stage').textContent), { timeout: 30_000 })
    await send('DELETE', `/api/v1/campaigns/${id}`)
  })

  test('two decoder manifests are compared, and a kind of difference picks its rows', async (t) => {
    const [one, two] = (await api('/api/v1/manifests')).items.map((m) => m.name)
    if (!two) return t.skip('this platform has one manifest')
    const told = await api(`/api/v1/decoders/${one}/compare?with=${two}`)
    await go(`/signals/decoders/${one}/compare`)
    await fill('Compare with', two)
    await page().waitForSelector('.rollout-count')
    assert.deepEqual(await page().$$eval('.rollout-count .figure-value', (all) => all.map((e) => Number(e.textContent.replace(/\D/g, '')))), [told.removed, told.changed, told.added, told.same])
    const kind = ['removed', 'changed', 'added'].find((k) => told[k] > 0)
    if (kind) {
      await page().evaluate((at) => document.querySelectorAll('.rollout-count')[at].click(), ['removed', 'changed', 'added'].indexOf(kind))
      await page().waitForFunction((n) => new RegExp(`^${n.toLocaleString('en')} row`).test(document.querySelector('.table-tools').textContent.trim()), {}, told[kind])
    }
    assert.deepEqual(await findings(), [])
  })

  test('a state template is made, given to a vehicle and taken away', async () => {
    const name = `state-${stamp}`
    await go('/templates/new')
    await page().waitForSelector('.template-form')
    await press('Add state template', '.template-form')
    await page().waitForSelector('.template-form .field-error')
    await fill('Name', name)
    await page().waitForSelector('.picker-hit')
    await page().click('.picker-hit')
    await press('Add state template', '.template-form')
    await page().waitForFunction((n) => location.pathname === `/templates/${n}`, { timeout: 60_000 }, name)
    await go(`/vehicles/${own.vehicle.id}?tab=campaigns`)
    await press('Give a state template', '#templates')
    await page().waitForSelector('dialog[open] option')
    await fill('State template', name)
    await press('Give a state template', 'dialog[open]')
    await closed()
    await waitText('#templates', name)
    assert.deepEqual(await findings(), [])
    await press('Take away', '#templates')
    await page().waitForSelector('dialog[open]')
    await press('Take away', 'dialog[open]')
    await closed()
    assert.equal((await api(`/api/v1/vehicles/${own.vehicle.id}/templates`)).items.some((x) => x.template === name), false)
    assert.equal(await path(), `/vehicles/${own.vehicle.id}`)
  })

  test('an access key’s secret is shown once, and the key can be revoked', async () => {
    const name = `key ${stamp}`
    await go('/settings')
    await press('Create access key', '#access-keys')
    await page().waitForSelector('dialog[open] form')
    await fill('Access key', name)
    await press('Create access key', 'dialog[open]')
    await page().waitForSelector('dialog[open] .once')
    const key = (await api('/api/v1/access-keys')).items.find((k) => k.name === name)
    assert.ok(key && (await text('dialog[open]')).includes(key.key_id))
    assert.deepEqual(await findings(), [])
    await press('Done', 'dialog[open]')
    await closed()
    await page().evaluate((n) => [...[...document.querySelectorAll('#access-keys tbody tr')].find((tr) => tr.textContent.includes(n)).querySelectorAll('button')].pop().click(), name)
    await page().waitForSelector('dialog[open]')
    await press('Revoke', 'dialog[open]')
    await closed()
    assert.equal((await api('/api/v1/access-keys')).items.some((k) => k.name === name), false)
  })
}
