// Unit tests of the portal: bundles unit/*.test.ts with the portal's own esbuild and runs them with node's test runner (TAP).
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const portal = fileURLToPath(new URL('../../portal/', import.meta.url))
const { buildSync } = createRequire(createRequire(portal).resolve('vite'))('esbuild')
const out = mkdtempSync(join(tmpdir(), 'motorcade-portal-'))
try {
  buildSync({
    entryPoints: readdirSync(join(here, 'unit')).filter((name) => name.endsWith('.test.ts')).map((name) => join(here, 'unit', name)),
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node18',
    conditions: ['browser'],
    nodePaths: [join(portal, 'node_modules')],
    logLevel: 'warning',
  })
  const files = readdirSync(out).filter((name) => name.endsWith('.test.mjs')).map((name) => join(out, name))
  const run = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...files], { stdio: 'inherit' })
  process.exitCode = run.status ?? 1
} finally {
  rmSync(out, { recursive: true, force: true })
}
