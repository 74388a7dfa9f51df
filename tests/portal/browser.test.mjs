// The portal in headless Chromium against a running motorcade: MOTORCADE_URL and MOTORCADE_LINK say where and how to enter.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { axeSource, base, open, settle, signIn } from './browser-tools.mjs'
import { fleetwisePages } from './fleetwise-pages.mjs'
import { shadowPage } from './shadow-page.mjs'

const axe = readFileSync(axeSource, 'utf8')
const dist = fileURLToPath(new URL('../../portal/dist/', import.meta.url))
let browser, page, problems, foreign
let frames = 0
const own = {}

const go = async (path) => {
  await page.goto(new URL(path, base()).href)
  await settle(page)
}
const theme = async (name) => {
  await page.evaluate((value) => localStorage.setItem('motorcade.theme', value), name)
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: name }])
}
const text = (selector) => page.$eval(selector, (element) => element.textContent.trim())
const api = (path) => page.evaluate(async (url) => (await fetch(url)).json(), path)
const path = () => page.evaluate(() => location.pathname)

async function findings() {
  // A colour on its way from one to another is nobody's choice: contrast is judged when transitions have ended.
  await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((a) => a instanceof CSSTransition).map((a) => a.finished)))
  await page.evaluate(axe)
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  return result.violations
    .filter((v) => v.impact === 'serious' || v.impact === 'critical')
    .flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')} ${n.failureSummary.replace(/\s+/g, ' ').slice(0, 200)}`))
}

/** How many pixels of the element's picture have the colour of a token, within a small distance. */
async function pixelsOf(selector, token) {
  const colour = await page.evaluate((name) => {
    const pen = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d')
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    pen.fillRect(0, 0, 1, 1)
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3)
  }, token)
  const element = await page.$(selector)
  const picture = await element.screenshot({ encoding: 'base64' })
  const blank = await browser.newPage()
  try {
    return await blank.evaluate(
      async (data, [r, g, b]) => {
        const image = new Image()
        image.src = `data:image/png;base64,${data}`
        await image.decode()
        const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height })
        const pen = canvas.getContext('2d')
        pen.drawImage(image, 0, 0)
        const { data: pixels } = pen.getImageData(0, 0, image.width, image.height)
        let n = 0
        for (let i = 0; i < pixels.length; i += 4) if (Math.abs(pixels[i] - r) + Math.abs(pixels[i + 1] - g) + Math.abs(pixels[i + 2] - b) < 24) n++
        return n
      },
      picture,
      colour,
    )
  } finally {
    await blank.close()
  }
}

before(async () => {
  ;({ browser, page, problems, foreign } = await open())
  const network = await page.createCDPSession()
  await network.send('Network.enable')
  network.on('Network.webSocketFrameReceived', () => frames++)
  // Keeps the sockets at hand, so that a test can cut the line.
  await page.evaluateOnNewDocument(() => {
    window.sockets = []
    window.WebSocket = class extends window.WebSocket {
      constructor(...rest) {
        super(...rest)
        window.sockets.push(this)
      }
    }
  })
})
after(() => browser?.close())

test('the first load stays within 120 kB of brotli', { skip: !existsSync(dist + 'index.html') && 'portal/dist is not built' }, () => {
  const html = readFileSync(dist + 'index.html', 'utf8')
  const files = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map((m) => m[1])
  const total = files.reduce((sum, file) => sum + statSync(`${dist}${file}.br`).size, 0)
  assert.ok(files.length >= 2, 'a script and a style sheet')
  assert.ok(total <= 120_000, `${total} bytes in ${files.join(', ')}`)
})

for (const name of ['light', 'dark']) {
  test(`sign-in has no serious accessibility finding, ${name}`, async () => {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: name }])
    await page.goto(base())
    await page.waitForSelector('form')
    assert.deepEqual(await findings(), [])
  })
}

test('a wrong password is refused in words and changes nothing', async () => {
  await page.type('input[autocomplete=username]', 'nobody')
  await page.type('input[type=password]', 'not-the-password')
  await page.keyboard.press('Enter')
  await page.waitForSelector('.failure')
  assert.ok((await text('.failure')).length > 10)
  assert.equal((await page.$$('nav.rail')).length, 0)
})

test('a one-time link signs in, and its code leaves the address bar', async () => {
  await signIn(page)
  const href = await page.evaluate(() => location.href)
  assert.ok(!href.includes('code='), href)
  const vehicles = await api('/api/v1/vehicles?limit=1')
  const campaigns = await api('/api/v1/campaigns')
  own.vehicle = vehicles.items[0]
  own.campaign = campaigns.items[0]
  own.decoder = (await api('/api/v1/decoders?limit=1')).items[0]?.name
  const event = (await api(`/api/v1/vehicles/${own.vehicle.id}/events?limit=1`)).items[0]
  if (event) own.event = `/vehicles/${own.vehicle.id}/event?campaign=${event.campaign}&event=${event.event_id}&at=${Date.parse(event.time)}`
  assert.ok(own.vehicle, 'the platform under test has at least one vehicle')
})

test('the stream says it is live, and frames arrive', async () => {
  await go('/')
  await page.waitForFunction(() => document.querySelector('.top-live')?.textContent.includes('Live'), { timeout: 60_000 })
  const before = frames
  for (let i = 0; i < 600 && frames === before; i++) await new Promise((done) => setTimeout(done, 100))
  assert.ok(frames > before, 'no frame in a minute')
})

test('a cut line is shown and mended by itself', async () => {
  await page.evaluate(() => window.sockets.forEach((socket) => socket.close()))
  await page.waitForFunction(() => !/Live/.test(document.querySelector('.top-live')?.textContent ?? ''), { timeout: 60_000, polling: 20 })
  await page.waitForFunction(() => /Live/.test(document.querySelector('.top-live')?.textContent ?? ''), { timeout: 60_000 })
})

test('figures come from the platform', async () => {
  const shown = await page.$$eval('.figure-states .figure-value', (all) => all.slice(0, 5).map((e) => Number(e.textContent.replace(/\D/g, ''))))
  const overview = await api('/api/v1/overview')
  assert.ok(Math.abs(shown.reduce((a, b) => a + b, 0) - overview.counts.vehicles) <= 1, `${shown} against ${overview.counts.vehicles}`)
})

test('the map draws the base map and the vehicles, and reports no error', async () => {
  await theme('light')
  await go('/map')
  const state = await page.$eval('.map-box', (box) => ({ error: box.dataset.error ?? '', drawn: box.motorcadeMap.queryRenderedFeatures().length, attribution: box.querySelector('.maplibregl-ctrl-attrib')?.textContent ?? '' }))
  const info = await api('/api/v1/map')
  assert.equal(state.error, '')
  assert.ok(state.drawn > 10, `${state.drawn} features drawn`)
  assert.ok(state.attribution.includes(info.attribution.replace(/<[^>]*>/g, '').slice(0, 12)), state.attribution)
  let pixels = 0
  for (const token of ['--ok', '--notice', '--parked', '--offline']) pixels += await pixelsOf('.map-page', token)
  assert.ok(pixels > 60, `${pixels} pixels in the colours of vehicles`)
})

test('a base map that is still being made is waited for', async () => {
  const { identifier } = await page.evaluateOnNewDocument(() => {
    const real = window.fetch
    window.refused = 0
    window.fetch = (url, ...rest) => {
      if (url !== '/api/v1/map' || window.refused === 2) return real(url, ...rest)
      window.refused++
      return Promise.resolve(new Response('{"title":"Not yet"}', { status: 503, headers: { 'content-type': 'application/problem+json' } }))
    }
  })
  await page.goto(new URL('/map', base()).href)
  await page.waitForFunction(() => /being made/.test(document.querySelector('.map-note')?.textContent ?? ''), { timeout: 60_000, polling: 20 })
  await settle(page)
  assert.equal(await page.evaluate(() => window.refused), 2)
  assert.equal(await page.$('.map-note, .failure'), null)
  assert.ok(await page.$('.map-box'))
  await page.removeScriptToEvaluateOnNewDocument(identifier)
})

const listed = () => [
  '/', '/map', '/vehicles', `/vehicles/${own.vehicle.id}`, `/vehicles/${own.vehicle.id}?tab=events`, `/vehicles/${own.vehicle.id}?tab=device`, '/campaigns',
  ...(own.campaign ? [`/campaigns/${own.campaign.id}`, `/campaigns/${own.campaign.id}/edit`] : []), '/campaigns/new', '/devices', `/devices/client?id=${encodeURIComponent(own.vehicle.name)}`, '/devices/client?id=nobody', '/devices/trace', '/signals', '/signals?view=tree', '/settings', '/nowhere',
  `/vehicles/${own.vehicle.id}?at=${Date.now() - 5000}`, `/vehicles/${own.vehicle.id}?range=custom&from=${Date.now() - 60_000}&to=${Date.now() - 5000}`, '/vehicles?add=1', '/signals/import', '/signals/manifests', '/fleets', '/templates/new',
  `/vehicles/${own.vehicle.id}?tab=campaigns`, `/vehicles/${own.vehicle.id}?tab=troubles&codes=any`, `/vehicles/${own.vehicle.id}?tab=shadow`, ...(own.event ? [own.event] : []), ...(own.decoder ? [`/signals/decoders/${own.decoder}`] : []),
]

test('every page is accessible in both themes and at 360 pixels, where it needs no sideways scrolling, and its map has no error', async () => {
  await theme('system')
  const shade = (value) => page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }])
  try {
    for (const where of listed()) {
      await page.setViewport({ width: 1440, height: 900 })
      await shade('light')
      await go(where)
      assert.deepEqual(await findings(), [], `${where}, light`)
      await shade('dark')
      await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark')
      assert.deepEqual(await findings(), [], `${where}, dark`)
      await page.setViewport({ width: 360, height: 740 })
      const over = () => page.evaluate(() => {
        const main = document.querySelector('main')
        return [main.scrollWidth - main.clientWidth, document.documentElement.scrollWidth - innerWidth]
      })
      // Charts and maps follow a frame or two behind their boxes.
      await page.waitForFunction(() => document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth && document.documentElement.scrollWidth <= innerWidth, { timeout: 60_000 }).catch(async () => assert.fail(`${where}: ${await over()}`))
      const cut = await page.$$eval('.rail *, .time-bar *', (all) => all.filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80)))
      assert.deepEqual(cut, [], `${where}: cut at the right`)
      assert.deepEqual(await findings(), [], `${where}, narrow`)
      assert.equal(await page.evaluate(() => document.querySelector('.map-box')?.dataset.error ?? ''), '', where)
    }
  } finally {
    await theme('light')
    await page.setViewport({ width: 1440, height: 900 })
  }
})

test('a person without a mouse gets from the list to a vehicle, to a campaign, and back', async () => {
  await go('/')
  await page.keyboard.press('g')
  await page.keyboard.press('v')
  await page.waitForFunction(() => location.pathname === '/vehicles')
  await settle(page)
  await page.keyboard.press('/')
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('type')), 'search')
  await page.keyboard.type(own.vehicle.name)
  await page.waitForFunction((name) => document.querySelectorAll('tbody tr').length >= 1 && document.querySelector('tbody tr')?.textContent.includes(name), {}, own.vehicle.name)
  await page.evaluate(() => document.activeElement.blur())
  await page.keyboard.press('j')
  await page.waitForFunction(() => document.activeElement?.tagName === 'TR')
  await page.keyboard.press('Enter')
  await page.waitForFunction((id) => location.pathname === `/vehicles/${id}`, {}, own.vehicle.id)
  await page.keyboard.down('Control')
  await page.keyboard.press('k')
  await page.keyboard.up('Control')
  await page.waitForSelector('dialog.palette[open]')
  await page.keyboard.type('campa')
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => location.pathname === '/campaigns')
  await settle(page)
  await page.keyboard.press('?')
  await page.waitForSelector('dialog.dialog[open]')
  assert.deepEqual(await findings(), [])
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => !document.querySelector('dialog[open]'))
  assert.equal(await path(), '/campaigns')
})

test('the focus is always visible while tabbing through the command centre', async () => {
  await go('/')
  for (let i = 0; i < 25; i++) {
    await page.keyboard.press('Tab')
    const ring = await page.evaluate(() => {
      const e = document.activeElement
      if (!e || e === document.body) return 'nothing'
      const s = getComputedStyle(e)
      const inner = getComputedStyle(e.firstElementChild ?? e)
      return s.outlineStyle !== 'none' || s.boxShadow !== 'none' || inner.boxShadow !== 'none' ? '' : e.outerHTML.slice(0, 120)
    })
    assert.equal(ring, '', `after ${i + 1} tabs`)
  }
})

test('the vehicle page goes to a past moment and back to live from the keyboard', async () => {
  await go(`/vehicles/${own.vehicle.id}`)
  assert.equal(await page.$eval('.time-live', (e) => e.getAttribute('aria-pressed')), 'true')
  await page.focus('.time-slider')
  for (let i = 0; i < 6; i++) await page.keyboard.press('ArrowLeft')
  await page.waitForFunction(() => new URLSearchParams(location.search).has('at'))
  await page.waitForSelector('.time-live[aria-pressed=false]')
  await page.waitForFunction(() => /As of/.test(document.querySelector('.vehicle-title').textContent))
  await page.focus('.time-live')
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => !new URLSearchParams(location.search).has('at'))
})

test('a condition is judged while one types, and an error is shown at its character', async () => {
  await go('/campaigns/new')
  await page.evaluate(() => document.querySelector('input[type=radio][value=condition]').click())
  await page.waitForSelector('.expression-text')
  await page.type('.expression-text', '$variable.`A.B` > ')
  await page.waitForSelector('.expression-answer .mark-critical', { timeout: 60_000 })
  assert.match(await text('.expression-answer'), /Line 1, column \d+/)
  assert.equal(await text('.expression-place mark'), 'A')
  assert.deepEqual(await findings(), [])
})

test('whom a campaign reaches is said only when the manifests were looked at', async () => {
  await go('/campaigns/new')
  const button = () => text('.editor-foot .primary')
  assert.doesNotMatch(await button(), /\d/)
  assert.equal(await page.evaluate(() => document.activeElement?.classList.contains('code')), true)
  // The press takes the focus from the empty name, which complains: what is pressed must not move away under the pointer.
  await page.waitForSelector('.picker-hit')
  await page.click('.picker-hit')
  await page.waitForSelector('.picker-chosen tbody tr', { timeout: 60_000 })
  const fqn = await text('.picker-chosen tbody th')
  const reach = await page.evaluate(async (name) => {
    const csrf = (await (await fetch('/api/v1/me')).json()).csrf
    const reply = await fetch('/api/v1/campaigns/reach', { method: 'POST', headers: { 'content-type': 'application/json', 'x-csrf-token': csrf }, body: JSON.stringify({ target_kind: 'all', signals: [name] }) })
    return reply.json()
  }, fqn)
  assert.ok(reach.targeted >= reach.vehicles && reach.parts.length > 0)
  await page.waitForFunction((n) => document.querySelector('.editor-foot .primary').textContent.includes(`on ${n} vehicle`), { timeout: 60_000 }, reach.vehicles)
  const lacking = reach.parts.filter((part) => !part.reached || part.missing).map((part) => part.manifest)
  assert.deepEqual(await page.$$eval('.reach tbody th', (cells) => cells.map((c) => c.textContent)).catch(() => []), lacking)
  await page.evaluate(() => document.querySelector('input[type=radio][value=vehicle]').click())
  await page.type('input[list=vehicle-names]', 'no-such-vehicle')
  await page.waitForFunction(() => /names no vehicle/.test(document.querySelector('.editor-foot').textContent), { timeout: 60_000 })
})

test('signals are chosen and taken back from the keyboard, and Enter in a field runs nothing', async () => {
  await go('/campaigns/new')
  await page.waitForSelector('.picker-hit')
  await page.focus('.picker input[type=search]')
  await page.keyboard.press('Enter')
  const focused = () => page.evaluate(() => document.activeElement.className + ' ' + [...document.querySelectorAll('.picker-hit')].indexOf(document.activeElement))
  assert.equal(await focused(), 'picker-hit 0')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.waitForSelector('.picker-chosen tbody tr')
  await page.waitForFunction(() => document.activeElement.classList.contains('picker-hit'))
  assert.equal(await focused(), 'picker-hit 1') // the next one stands where the chosen one stood
  await page.keyboard.press('Space')
  await page.waitForFunction(() => document.querySelectorAll('.picker-chosen tbody tr').length === 2)
  await page.focus('.picker-chosen tbody tr:first-child button')
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => document.querySelectorAll('.picker-chosen tbody tr').length === 1)
  await page.waitForFunction(() => document.activeElement.closest('.picker-chosen'))
  await page.focus('.editor input.code')
  await page.keyboard.type('enter-runs-nothing')
  await page.keyboard.press('Enter')
  await new Promise((done) => setTimeout(done, 500))
  assert.equal(await path(), '/campaigns/new')
  assert.ok(!(await api('/api/v1/campaigns')).items.some((c) => c.name === 'enter-runs-nothing'))
  // What has the focus is never under the bar at the bottom.
  await page.focus('.picker input[type=search]')
  for (let i = 0; i < 24; i++) {
    await page.keyboard.press('Tab')
    const hidden = await page.evaluate(() => {
      const e = document.activeElement
      const foot = document.querySelector('.editor-foot')
      return !foot.contains(e) && !document.querySelector('.rail, .top').contains(e) && e.closest('main') && e.getBoundingClientRect().top >= foot.getBoundingClientRect().top ? e.outerHTML.slice(0, 80) : ''
    })
    assert.equal(hidden, '', `after ${i + 1} tabs`)
  }
})

test('the palette runs a command and finds a campaign', async () => {
  const type = async (words) => {
    await page.keyboard.down('Control')
    await page.keyboard.press('k')
    await page.keyboard.up('Control')
    await page.waitForSelector('dialog.palette[open]')
    await page.keyboard.type(words)
  }
  await go('/')
  await type('add veh')
  await page.keyboard.press('Enter')
  await page.waitForSelector('dialog.dialog[open] form')
  assert.equal(await path(), '/vehicles')
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => !document.querySelector('dialog[open]') && !location.search.includes('add'))
  if (!own.campaign) return
  await type(own.campaign.name)
  await page.waitForFunction((name) => [...document.querySelectorAll('.palette-name')].some((e) => e.textContent === name), {}, own.campaign.name)
  await page.evaluate((name) => [...document.querySelectorAll('.palette-hit')].find((e) => e.querySelector('.palette-name').textContent === name).click(), own.campaign.name)
  await page.waitForFunction((id) => location.pathname === `/campaigns/${id}`, {}, own.campaign.id)
})

test('a campaign is drafted with a real signal, shown, and deleted after asking', async () => {
  const name = `browser-test-${process.pid}-${Date.now()}`
  await go('/campaigns/new')
  await page.type('.editor input.code', name)
  await page.waitForSelector('.picker-hit')
  await page.click('.picker-hit')
  await page.waitForSelector('.picker-chosen tbody tr')
  await page.evaluate(() => [...document.querySelectorAll('.editor-foot button')].find((b) => b.type === 'button').click())
  await page.waitForFunction(() => /^\/campaigns\/\d+$/.test(location.pathname), { timeout: 60_000 })
  await settle(page)
  assert.equal(await text('h1'), name)
  const id = (await path()).split('/').pop()
  await page.evaluate(() => document.querySelector('.deeds .danger-text').click())
  await page.waitForSelector('dialog[open] .danger')
  assert.match(await text('dialog[open]'), /vehicle/)
  assert.deepEqual(await findings(), [])
  await page.click('dialog[open] .danger')
  await page.waitForFunction(() => location.pathname === '/campaigns')
  const left = await api('/api/v1/campaigns')
  assert.ok(!left.items.some((c) => String(c.id) === id))
})

test('the catalog is a tree that arrows open, a search leads through, and a campaign begins from', async () => {
  await go('/signals?view=tree')
  await page.waitForSelector('[role=treeitem][aria-expanded]')
  await page.focus('[role=treeitem][tabindex="0"]')
  const rows = () => page.$$eval('[role=treeitem]', (all) => all.length)
  await page.keyboard.press('ArrowLeft')
  const shut = await rows()
  await page.keyboard.press('ArrowRight')
  await page.waitForFunction((n) => document.querySelectorAll('[role=treeitem]').length > n, {}, shut)
  await page.waitForSelector('[role=treeitem][aria-expanded=true]:focus')
  await page.keyboard.press('ArrowRight')
  await page.waitForSelector('[role=treeitem][aria-level="2"]:focus')
  await page.keyboard.press('ArrowLeft')
  await page.waitForSelector('[role=treeitem][aria-level="1"]:focus')
  const fqn = (await api('/api/v1/signals?limit=1&filter=Speed')).items[0].fqn
  await page.type('input[type=search]', fqn)
  await page.waitForFunction((name) => document.querySelectorAll('.tree-leaf').length > 0 && [...document.querySelectorAll('.tree-leaf')].every((row) => row.textContent.includes(name)), {}, fqn.split('.').at(-1))
  await page.click('.tree-leaf')
  await page.waitForSelector('.signal-detail h2')
  assert.match((await text('.signal-detail h2')).replace(/\s/g, ''), new RegExp(fqn.replaceAll('.', '\\.')))
  assert.deepEqual(await findings(), [])
  await page.click('.signal-detail a.button')
  await page.waitForFunction(() => location.pathname === '/campaigns/new')
  await page.waitForFunction((name) => document.querySelector('form').textContent.replace(/\s/g, '').includes(name), {}, fqn)
})

/** Answers to a path are changed in the page before it sees them: change(json) runs there. */
async function bend(path, change) {
  const { identifier } = await page.evaluateOnNewDocument(`{
    const real = window.fetch
    window.fetch = async (url, ...rest) => {
      const reply = await real(url, ...rest)
      if (!String(url).startsWith(${JSON.stringify(path)}) || !reply.ok || reply.status === 204) return reply
      return new Response(JSON.stringify((${change})(await reply.json())), { status: reply.status, headers: reply.headers })
    }
  }`)
  return () => page.removeScriptToEvaluateOnNewDocument(identifier)
}

test('a client has a page with what the platform says of it, and rates from two readings', async () => {
  await go('/devices')
  await page.waitForSelector('.devices-list tbody tr:not(.table-space)')
  await page.evaluate((name) => [...document.querySelectorAll('.devices-list tbody a')].find((a) => a.textContent === name).click(), own.vehicle.name)
  await page.waitForFunction(() => location.pathname === '/devices/client')
  await page.waitForSelector('.client-figures')
  assert.equal(await text('h1'), own.vehicle.name)
  const rate = () => text('.client-figures div:first-child dd')
  assert.match(await rate(), /^–/) // one reading is no rate
  await page.waitForFunction(() => /^[\d.,]+msg\/s$/.test(document.querySelector('.client-figures div:first-child dd').textContent.trim()), { timeout: 60_000 })
  const { client, events } = await api(`/api/v1/clients/detail?client_id=${encodeURIComponent(own.vehicle.name)}`)
  const facts = await page.$$eval('.client-facts .facts > div', (all) => Object.fromEntries(all.map((e) => [e.querySelector('dt').textContent, e.querySelector('dd').textContent])))
  assert.equal(facts.Address, client.address)
  assert.equal(facts.MQTT, client.version)
  assert.ok(Number(facts.Received.replace(/\D/g, '')) <= client.received)
  assert.equal((await page.$$('.event-list li')).length, events.length)
  assert.equal(await page.$('.event-takeover, .client-alarm'), null)
})

test('a client page counts what was refused or delayed, by cause', async () => {
  const limited = [{ cause: 'behind_refused', meaning: 'publish refused: the disk is far behind', count: 7 }, { cause: 'behind_wait', meaning: 'client not read for a while: the disk is behind', count: 35 }]
  const straight = await bend('/api/v1/clients/detail', `(d) => ({ ...d, client: { ...d.client, limited: ${JSON.stringify(limited)} } })`)
  try {
    await go(`/devices/client?id=${encodeURIComponent(own.vehicle.name)}`)
    await page.waitForSelector('.client-limits .facts')
    const rows = await page.$$eval('.client-limits .facts > div', (all) => all.map((e) => [e.querySelector('dt').textContent, e.querySelector('dd').textContent]))
    assert.deepEqual(rows, [['publish refused: the disk is far behind', '7 behind_refused'], ['client not read for a while: the disk is behind', '35 behind_wait']])
  } finally {
    await straight()
  }
})

test('a take-over stands out with both addresses, and an unknown client is said to be none', async () => {
  const straight = await bend('/api/v1/clients/detail', `(d) => ({ ...d, events: [{ time: new Date().toISOString(), client_id: d.client.client_id, address: '10.0.0.1:4000', kind: 'ended', code: 142, text: 'session taken over: client id "' + d.client.client_id + '" connected from 10.0.0.2:5000 while this connection from 10.0.0.1:4000 was open' }, ...d.events] })`)
  try {
    for (const name of ['light', 'dark']) {
      await theme(name)
      await go(`/devices/client?id=${encodeURIComponent(own.vehicle.name)}`)
      for (const where of ['.client-alarm', '.event-takeover']) assert.match(await text(where), /Two devices use this id.*10\.0\.0\.2:5000.*10\.0\.0\.1:4000/)
      assert.deepEqual(await findings(), [])
    }
  } finally {
    await straight()
  }
  await go('/devices/client?id=nobody%2Fat%20all')
  assert.match(await text('.failure'), /nobody\/at all/)
  assert.equal(await page.$('.client-figures'), null)
})

const button = (words) => page.evaluate((w) => [...(document.querySelector('dialog[open]') ?? document.querySelector('main')).querySelectorAll('button')].find((b) => b.textContent.trim() === w).click(), words)
const traceRows = () => page.$$eval('.trace-list tbody tr:not(.table-space)', (all) => all.map((tr) => tr.children[0].textContent + ' ' + tr.children[4].textContent))

test('a live trace shows what passes and nothing else, pauses, clears, and ends when it is left', async () => {
  const told = new Set()
  const calls = []
  const hear = async (reply) => {
    const at = new URL(reply.url()).pathname
    if (!at.startsWith('/api/v1/traces')) return
    calls.push(`${reply.request().method()} ${at} ${reply.status()}`)
    if (reply.request().method() === 'GET' && reply.ok()) for (const e of (await reply.json()).items) told.add(e.topic)
  }
  page.on('response', hear)
  try {
    await go('/devices/trace')
    await page.focus('.trace-fields input')
    await page.keyboard.type('/x#')
    await page.keyboard.press('Enter')
    await page.waitForSelector('.trace-fields .field-error')
    assert.deepEqual(calls, [])
    await go('/devices/trace')
    await button('Start')
    await page.waitForFunction(() => document.querySelectorAll('.trace-list tbody tr:not(.table-space)').length >= 3, { timeout: 60_000 })
    await button('Pause')
    const before = await traceRows()
    for (const row of before) assert.ok([...told].some((topic) => row.endsWith(` ${topic}`)), row)
    await page.waitForFunction(() => /[1-9][\d,]* more wait/.test(document.querySelector('.trace-state').textContent), { timeout: 60_000 })
    assert.deepEqual(await traceRows(), before)
    await page.click('.trace-list tbody tr')
    await page.waitForSelector('.trace-detail .trace-topic')
    for (const name of ['light', 'dark']) {
      await page.evaluate((t) => (document.documentElement.dataset.theme = t), name)
      await page.evaluate(() => Promise.all(document.getAnimations().map((a) => a.finished))) // colours glide
      assert.deepEqual(await findings(), [])
    }
    await button('Clear')
    await page.waitForFunction(() => !document.querySelector('.trace-list'))
    await button('Resume')
    await page.waitForSelector('.trace-list tbody tr', { timeout: 60_000 })
    await page.evaluate(() => document.querySelector('.crumb a').click())
    await page.waitForFunction(() => location.pathname === '/devices')
    for (let i = 0; i < 600 && !calls.some((c) => c.startsWith('DELETE')); i++) await new Promise((done) => setTimeout(done, 100))
    const id = calls.find((c) => c.startsWith('GET')).split(' ')[1]
    assert.ok(calls.includes(`DELETE ${id} 204`), calls.join('\n'))
    assert.equal((await api(id)).status, 404)
  } finally {
    page.off('response', hear)
  }
})

test('a refused message stands out with its note, and missed ones are counted', async () => {
  const straight = await bend('/api/v1/traces/', `(d) => ({ items: d.items.map((e) => ({ ...e, kind: 'refused', note: 'the policy does not allow it' })), missed: 7 })`)
  try {
    await go('/devices/trace')
    await button('Start')
    await page.waitForSelector('.trace-list tr.alarm', { timeout: 60_000 })
    assert.match(await text('.trace-list tr.alarm'), /Refused.*the policy does not allow it/)
    assert.match(await text('.trace-state'), /7|14|21|28|35/)
    await button('Stop')
    assert.deepEqual(await findings(), [])
  } finally {
    await straight()
  }
})

test('a service is created, complained about beside its fields, given a new password, disabled and enabled', async () => {
  const name = `browser-test-${process.pid}-${Date.now()}`
  const field = (label) => page.evaluateHandle((l) => document.getElementById([...document.querySelectorAll('dialog[open] label')].find((e) => e.firstChild.textContent === l).htmlFor), label)
  const fill = async (label, value) => {
    const element = await field(label)
    await element.evaluate((e) => e.select())
    await element.type(value)
  }
  const complaints = () => page.$$eval('dialog[open] .field', (all) => Object.fromEntries(all.filter((e) => e.querySelector('.field-error')).map((e) => [e.querySelector('label').firstChild.textContent, e.querySelector('.field-error').textContent.trim()])))
  const state = () => page.evaluate((n) => [...document.querySelectorAll('#services tbody tr')].find((tr) => tr.textContent.includes(n))?.textContent ?? '', name)
  const press = (words) => page.evaluate((n, w) => [...[...document.querySelectorAll('#services tbody tr')].find((tr) => tr.textContent.includes(n)).querySelectorAll('button')].find((b) => b.textContent === w).click(), name, words)
  const closed = () => page.waitForFunction(() => !document.querySelector('dialog[open]'), { timeout: 60_000 })
  const service = async () => (await api('/api/v1/services')).items.find((s) => s.name === name)
  await go('/settings')
  await button('Add service')
  await page.waitForSelector('dialog[open] form')
  await fill('Name', 'a/b')
  await fill('Password', 'short')
  await fill('Policy', '{"publish": 1}')
  await button('Create service')
  assert.deepEqual(Object.keys(await complaints()).sort(), ['Name', 'Password', 'Policy'])
  assert.deepEqual(await findings(), [])
  await fill('Name', name)
  await fill('Password', 'long-enough-password')
  await fill('Policy', '{"publish": ["a/#/b"]}') // only the server knows that this is no pattern
  await button('Create service')
  await page.waitForFunction(() => [...document.querySelectorAll('dialog[open] .field-error')].some((e) => /publish/.test(e.textContent)), { timeout: 60_000 })
  assert.deepEqual(Object.keys(await complaints()), ['Policy'])
  assert.equal(await service(), undefined)
  await fill('Policy', '{"publish": ["a/#"]}')
  await button('Create service')
  await closed()
  await page.waitForFunction((n) => [...document.querySelectorAll('#services tbody tr')].some((tr) => tr.textContent.includes(n)), { timeout: 60_000 }, name)
  assert.match(await state(), /Active.*Password/)
  await button('Add service')
  await page.waitForSelector('dialog[open] form')
  await fill('Name', name)
  await button('Create service')
  await page.waitForSelector('dialog[open] .field-error', { timeout: 60_000 })
  assert.match((await complaints()).Name, /already/)
  await button('Cancel')
  await closed()
  await press('New password')
  await page.waitForSelector('dialog[open] form')
  await button('Set password')
  assert.deepEqual(Object.keys(await complaints()), ['New password'])
  await fill('New password', 'another-long-password')
  await button('Set password')
  await closed()
  for (const [deed, disabled] of [['Disable', true], ['Enable', false]]) {
    await press(deed)
    await page.waitForSelector('dialog[open]')
    await button(deed)
    await closed()
    await page.waitForFunction((n, d) => [...document.querySelectorAll('#services tbody tr')].some((tr) => tr.textContent.includes(n) && tr.textContent.includes(d ? 'Disabled' : 'Active')), { timeout: 60_000 }, name, disabled)
    assert.equal((await service()).disabled, disabled)
  }
  assert.equal((await service()).password, true)
  await press('Disable') // what stays behind cannot get in
  await page.waitForSelector('dialog[open]')
  await button('Disable')
  await closed()
})

fleetwisePages({ page: () => page, own, go, text, api, path, findings, pixelsOf })
shadowPage({ page: () => page, own, go, findings })

test('a row less wanted: the table copies, sorts and remembers in the address', async () => {
  await go('/vehicles')
  await page.evaluate(() => [...document.querySelectorAll('.th-button')].find((b) => b.textContent.startsWith('Speed')).click())
  await page.waitForFunction(() => new URLSearchParams(location.search).get('sort') === 'speed')
  const speeds = await page.$$eval('tbody tr:not(.table-space) td:nth-child(3)', (cells) => cells.map((c) => Number(c.textContent)).filter((n) => !Number.isNaN(n)))
  for (let i = 1; i < speeds.length; i++) assert.ok(speeds[i] <= speeds[i - 1], `${speeds[i - 1]} before ${speeds[i]}`)
})

test('signing out leads to the sign-in page and ends the stream', async () => {
  await page.evaluate(() => document.querySelector('.top-user').click())
  await page.waitForSelector('.user-sheet')
  await page.evaluate(() => [...document.querySelectorAll('.user-sheet button')].pop().click())
  await page.waitForSelector('.sign-in')
  const before = frames
  await new Promise((done) => setTimeout(done, 1200))
  assert.equal(frames, before)
})

test('no request went to a foreign address, and no page complained', () => {
  assert.deepEqual(foreign, [])
  assert.deepEqual(problems, [])
})
