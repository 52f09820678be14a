// Runs Janus with its WHIP and WHEP servers on this machine, for `latchkey-loadtest compare`; see loadtest/docs/compare.md.
//
//   node janus.mjs FOLDER [CAMERAS [EVENT_LOOPS]]
//
// FOLDER is where the two servers were unpacked. Prints one JSON line when all three are ready:
// {"whip": URL with {id}, "whep": URL with {id}, "pid": of Janus, "local": address that its media has}. Ends, with all that
// it started, when its standard input ends or on SIGTERM and SIGINT.
//
//   camera ── WHIP ──▶ VideoRoom ── RTP over loopback ──▶ Streaming ── WHEP ──▶ viewers      (all but HTTP inside Janus)
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync, symlinkSync, mkdirSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const [folder, cameras, loops] = [resolve(process.argv[2] ?? '.'), Number(process.argv[3] ?? 1), Number(process.argv[4] ?? 0)];
const home = mkdtempSync(join(tmpdir(), 'latchkey-janus-'));
const started = [];

function end(code) {
  for (const child of started) child.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true });
  process.exit(code);
}
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => end(0));
process.stdin.on('end', () => end(0)).resume();

function run(program, args, options) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
  child.on('error', (error) => fail(`${program} did not start: ${error.message}`));
  child.on('exit', (code) => fail(`${program} ended with ${code}`));
  started.push(child);
  return child;
}

function fail(text) {
  console.error(`janus.mjs: ${text}`);
  end(1);
}

// Ports that are free now: Janus wants its own told, and so do the two servers.
const freePort = (server, listen) => new Promise((done, failed) => {
  server.on('error', failed);
  listen(server, () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});
const freeTcp = () => freePort(createServer(), (server, then) => server.listen(0, '127.0.0.1', then));
const freeUdp = () => freePort(createSocket('udp4'), (socket, then) => socket.bind(0, '127.0.0.1', then));

async function ready(what, url) {
  for (let tries = 0; tries < 300; tries += 1) {
    try {
      if ((await fetch(url)).ok) return;
    } catch { /* not yet */ }
    await sleep(100);
  }
  fail(`${what} was not ready within 30 s`);
}

// Its ICE passes loopback by; a datagram to another address of this machine takes the same way through the kernel.
const local = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
if (!local) fail('this machine has no address but loopback, which the ICE of Janus passes by');
const [socketPort, whipPort, whepPort] = await Promise.all([freeTcp(), freeTcp(), freeTcp()]);
const numbers = Array.from({ length: cameras }, (_, camera) => camera);
const ports = await Promise.all(numbers.map(async () => {
  const [rtp, rtcp] = await Promise.all([freeUdp(), freeUdp()]);
  return { rtp, rtcp };
}));
const each = (text) => numbers.map(text).join('\n');

writeFileSync(join(home, 'janus.jcfg'), `
general: { debug_level = 2, session_timeout = 0${loops > 0 ? `, event_loops = ${loops}` : ''} }
media: { slowlink_threshold = 0 }
nat: { ice_lite = true, ice_enforce_list = "${local}", ignore_mdns = true }
plugins: { disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so" }
transports: { disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so" }
`);
writeFileSync(join(home, 'janus.transport.websockets.jcfg'), `
general: { ws = true, ws_ip = "127.0.0.1", ws_port = ${socketPort}, wss = false }
admin: { admin_ws = false }
`);
writeFileSync(join(home, 'janus.plugin.videoroom.jcfg'), each((camera) => `
room-${camera + 1}: { publishers = 1, videocodec = "vp8", bitrate = 0, fir_freq = 0, notify_joining = false }
`));
writeFileSync(join(home, 'janus.plugin.streaming.jcfg'), each((camera) => `
camera-${camera}: {
  type = "rtp", id = ${camera + 1}, description = "${camera}", audio = false, video = true, videoiface = "lo",
  videoport = ${ports[camera].rtp}, videortcpport = ${ports[camera].rtcp}, videopt = 96, videocodec = "vp8"
}
`));
const janus = run('janus', ['-F', home], { env: { ...process.env } });

// The WHIP server reads ./config.js beside its source.
const source = join(folder, 'debian/usr/share/simple-whip-server');
mkdirSync(join(home, 'whip/src'), { recursive: true });
for (const name of ['server.js', 'whip-janus.js']) symlinkSync(join(source, 'src', name), join(home, 'whip/src', name));
writeFileSync(join(home, 'whip/src/config.js'), `module.exports = ${JSON.stringify({
  janus: { address: `ws://127.0.0.1:${socketPort}` }, port: whipPort, rest: '/whip', allowTrickle: true,
})};`);
symlinkSync(join(source, 'node_modules'), join(home, 'whip/node_modules'));
// Node resolves links by itself; here `./config.js` is to be found beside the link.
run(process.execPath, ['--preserve-symlinks', '--preserve-symlinks-main', join(home, 'whip/src/server.js')], { cwd: join(home, 'whip') });
await ready('the WHIP server', `http://127.0.0.1:${whipPort}/whip/healthcheck`);
for (const camera of numbers) {
  const { rtp, rtcp } = ports[camera];
  const reply = await fetch(`http://127.0.0.1:${whipPort}/whip/create`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      id: String(camera), room: camera + 1, label: `camera ${camera}`,
      recipient: { host: '127.0.0.1', videoPort: rtp, videoRtcpPort: rtcp },
    }),
  });
  if (!reply.ok) fail(`the WHIP server made no endpoint: ${reply.status} ${await reply.text()}`);
}

const { JanusWhepServer } = await import(
  pathToFileURL(createRequire(join(folder, 'npm/package.json')).resolve('janus-whep-server')));
const whep = new JanusWhepServer({
  janus: { address: `ws://127.0.0.1:${socketPort}` }, rest: { port: whepPort, basePath: '/whep' }, debug: 'err',
});
await whep.start();
for (const camera of numbers) whep.createEndpoint({ id: String(camera), mountpoint: camera + 1 });

console.log(JSON.stringify({
  whip: `http://127.0.0.1:${whipPort}/whip/endpoint/{id}`,
  whep: `http://127.0.0.1:${whepPort}/whep/endpoint/{id}`,
  pid: janus.pid,
  local,
}));
