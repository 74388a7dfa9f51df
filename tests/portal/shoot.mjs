// Pictures of every page in both themes and two sizes: node tests/portal/shoot.mjs OUT_FOLDER [path,path...] [light|dark] [wide|narrow]
// Against MOTORCADE_URL with the one-time link MOTORCADE_LINK.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { open, settle, signIn } from './browser-tools.mjs'

const out = process.argv[2]
const only = process.argv[3]?.split(',').filter(Boolean)
const themes = process.argv[4] ? [process.argv[4]] : ['light', 'dark']
const sizes = process.argv[5] ? [process.argv[5]] : ['wide', 'narrow']
const pages = only ?? ['/', '/map', '/vehicles', '/vehicles/1', '/vehicles/1?tab=events', '/vehicles/1?tab=device', '/campaigns', '/campaigns/2', '/campaigns/2/edit', '/campaigns/new', '/devices', '/signals', '/signals/import', '/signals/manifests', '/signals/decoders/truck-draft', '/fleets/north', '/templates', '/vehicles/1?tab=campaigns', '/vehicles/1?tab=troubles&codes=any', '/settings']
mkdirSync(out, { recursive: true })
const { browser, page, problems } = await open()
if (!only) {
  for (const theme of themes) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }])
    await page.goto(process.env.MOTORCADE_URL)
    await page.waitForSelector('form')
    await page.screenshot({ path: join(out, `sign-in-${theme}.png`) })
  }
}
await signIn(page)
for (const theme of themes) {
  for (const size of sizes) {
    await page.setViewport(size === 'wide' ? { width: 1440, height: 900 } : { width: 390, height: 844, deviceScaleFactor: 2 })
    await page.evaluate((t) => localStorage.setItem('motorcade.theme', t), theme)
    for (const path of pages) {
      await page.goto(new URL(path, process.env.MOTORCADE_URL).href)
      await settle(page)
      await page.screenshot({ path: join(out, `${path.replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '') || 'centre'}-${theme}-${size}.png`) })
    }
  }
}
await browser.close()
for (const problem of problems) console.log('problem:', problem)
