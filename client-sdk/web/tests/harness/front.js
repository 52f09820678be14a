/** The way to the server over TCP, which a test can take away as a lost network does. */

import { createServer, connect } from 'node:net';

/**
 * Carries connections from a port of loopback to another.
 * @param {number} port where to listen
 * @param {number} to where the server listens
 */
export async function front(port, to) {
  const sockets = new Set();
  let away = false;
  const keep = (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
  };
  const server = createServer((client) => {
    keep(client);
    // A lost network answers nothing: whoever dials waits.
    if (away) return;
    const onward = connect(to, '127.0.0.1');
    keep(onward);
    client.pipe(onward).pipe(client);
    onward.on('close', () => client.destroy());
    client.on('close', () => onward.destroy());
  });
  await new Promise((resolve, reject) => server.on('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    /** Nothing goes through from now on, and what is open goes silent; or everything as before. */
    away(wanted) {
      away = wanted;
      for (const socket of sockets) {
        if (wanted) socket.unpipe().pause();
        else socket.destroy();
      }
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(resolve);
      }),
  };
}
