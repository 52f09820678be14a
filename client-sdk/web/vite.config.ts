/** How the app is built: static files, relative addresses, nothing inline, so that a strict CSP fits it. */

import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  publicDir: 'public',
  build: {
    outDir: process.env['LATCHKEY_WEB_OUT'] ?? '../../target/web',
    emptyOutDir: true,
    target: ['chrome141', 'firefox128', 'safari17'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  worker: { format: 'es' },
});
