import { defineConfig } from 'vite'
import solid from 'vite-plugin-solid'

// MOTORCADE_URL: the server that the development server forwards /api to.
const server = process.env.MOTORCADE_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [solid()],
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // the content security policy allows no data: scripts or styles
    modulePreload: { polyfill: false },
    cssCodeSplit: true,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      output: {
        manualChunks: (id) => (id.includes('maplibre-gl') ? 'maplibre' : id.includes('uplot') ? 'uplot' : undefined),
      },
    },
  },
  server: { proxy: { '/api': { target: server, ws: true, changeOrigin: false } } },
})
