/**
 * What sealing and opening a frame costs in node: `node --experimental-websocket client-sdk/wasm/tests/node/bench.js`, after
 * `make wasm-test`. In browsers: `npm run bench` in client-sdk/web.
 */

import { costs, table } from './cost.js';
import { Legs, load } from './module.js';

const legs = new Legs();
const rows = await costs(await load(), await legs.url());
for (const line of table(rows)) console.log(line);
await legs.end();
process.exit(0);
