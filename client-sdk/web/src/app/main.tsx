/** Starts the app: the worker first, then the page around what it says. */

import { render } from 'preact';

import { App } from './app.tsx';
import { startWorker } from '../sdk/index.ts';
import './style/style.css';

const root = document.getElementById('app');
if (root !== null) render(<App start={startWorker} />, root);

// Only so that a phone can install it, and says what is wrong without a network. It keeps no code: see public/sw.js.
if ('serviceWorker' in navigator && import.meta.env.PROD) {
  void navigator.serviceWorker.register('./sw.js').catch(() => undefined);
}
