// What browser tests and pictures share: a headless Chromium, sign-in by link, waiting for the page to be ready.
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const portal = fileURLToPath(new URL('../../portal/', import.meta.url))
const require = createRequire(portal)
const puppeteer = (await import(require.resolve('puppeteer-core'))).default
export const axeSource = require.resolve('axe-core/axe.min.js')

export const base = () => {
  const url = process.env.MOTORCADE_URL
  if (!url) throw new Error('MOTORCADE_URL is not set: give the address of a running motorcade, and MOTORCADE_LINK its one-time sign-in link')
  return url.endsWith('/') ? url : url + '/'
}

export async function open(options = {}) {
  const own = new URL(base()).host
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--enable-unsafe-swiftshader', '--disable-background-networking', '--disable-component-update', '--no-first-run', '--disable-sync', '--mute-audio', '--force-color-profile=srgb'],
    protocolTimeout: 300_000,
    ...options,
  })
  const page = await browser.newPage()
  page.setDefaultTimeout(60_000) // a machine may be slow
  await page.setViewport({ width: 1440, height: 900 })
  const problems = []
  const foreign = []
  page.on('pageerror', (error) => problems.push(`page error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) problems.push(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (/^(https?|wss?):$/.test(url.protocol) && url.host !== own) foreign.push(request.url())
  })
  return { browser, page, problems, foreign }
}

export async function signIn(page) {
  const link = process.env.MOTORCADE_LINK
  if (!link) throw new Error('MOTORCADE_LINK is not set: the one-time sign-in link that motorcade prints at its start')
  await page.goto(link.startsWith('http') ? link : base() + link.replace(/^\/?#?/, '#'))
  await page.waitForSelector('nav.rail', { timeout: 60_000 })
}

/** Ready: no skeleton, no waiting map, fonts there. */
export async function settle(page) {
  await page.waitForFunction(
    () => {
      if (!document.querySelector('main h1, .sign-in')) return false
      if (document.querySelector('.skeleton, .map-wait')) return false
      const map = document.querySelector('.map-box')
      return !map || map.dataset.idle === 'yes' || map.dataset.error !== undefined || map.clientHeight === 0
    },
    { timeout: 60_000, polling: 200 },
  )
  await page.evaluate(() => document.fonts.ready.then(() => undefined))
  await new Promise((done) => setTimeout(done, 300))
}
