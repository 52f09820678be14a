/** A page that has its worker take times; `window.cost` resolves with the rows. */

const worker = new Worker('/worker.js', { type: 'module' });
window.cost = new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => (data.rows ? resolve(data.rows) : reject(new Error(data.error)));
  worker.onerror = (event) => reject(new Error(event.message ?? 'the worker failed'));
});
