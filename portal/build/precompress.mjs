// Writes a brotli-11 twin beside every text file of dist, so that the server never compresses at run time.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants } from 'node:zlib'

const root = fileURLToPath(new URL('../dist/', import.meta.url))
const text = /\.(js|mjs|css|html|svg|json|webmanifest|txt)$/
const rows = []

function walk(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) walk(path)
    else if (text.test(name)) {
      const raw = readFileSync(path)
      const small = brotliCompressSync(raw, {
        params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length },
      })
      writeFileSync(path + '.br', small)
      rows.push([relative(root, path), raw.length, small.length])
    }
  }
}

walk(root)
rows.sort((a, b) => b[2] - a[2])
for (const [name, raw, small] of rows) console.log(`${String(raw).padStart(9)} ${String(small).padStart(8)} br  ${name}`)
