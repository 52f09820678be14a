/** A page that is one leg of a relay: it watches or publishes with a key that the test gave. `window.leg` is its face. */

const worker = new Worker('worker.js', { type: 'module' });
const video = document.getElementById('picture');
let connection;
let resource;
let timings = {};

window.leg = { watch, publish, figures, stats, pixels, session, leave, askKeyFrame };

/**
 * Watches a room.
 * @param {{door: string, grant: string, key: string, descriptor?: boolean}} order `descriptor`: asks for the Dependency
 * Descriptor where the browser can
 */
async function watch({ door, grant, key, descriptor = false }) {
  connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const stream = new MediaStream();
  for (const kind of ['video', 'audio']) {
    const transceiver = connection.addTransceiver(kind, { direction: 'recvonly' });
    // At once: Chromium takes no transform for a receiver that is a moment old.
    const options = { name: `open ${kind}`, side: 'open', key };
    transceiver.receiver.transform = new RTCRtpScriptTransform(worker, options);
    stream.addTrack(transceiver.receiver.track);
    if (descriptor && kind === 'video') switchOn(transceiver, /dependency-descriptor/);
  }
  video.srcObject = stream;
  const began = performance.now();
  timings = { began };
  video.requestVideoFrameCallback(() => (timings.firstFrame = performance.now() - began));
  await join(door, grant);
  video.play().catch(() => {});
  return answered(connection.remoteDescription.sdp, 'video');
}

/**
 * Publishes the browser's own camera.
 * @param {{door: string, grant: string, key: string, codec: string, descriptor?: boolean, plain?: boolean}} order
 * `plain`: forgets to seal
 */
async function publish({ door, grant, key, codec, descriptor = false, plain = false }) {
  connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const media = await navigator.mediaDevices.getUserMedia({
    video: { width: 640, height: 360 },
    audio: true,
  });
  for (const track of media.getTracks()) {
    const transceiver = connection.addTransceiver(track, { direction: 'sendonly', streams: [media] });
    const { codecs } = RTCRtpSender.getCapabilities(track.kind);
    const wanted = track.kind === 'video' ? codec : 'opus';
    const chosen = codecs.filter(
      ({ mimeType }) => mimeType === `${track.kind}/${wanted}` || /\/(rtx)$/.test(mimeType),
    );
    transceiver.setCodecPreferences(chosen);
    if (descriptor && track.kind === 'video') switchOn(transceiver, /dependency-descriptor/);
    if (plain) continue;
    const options = { name: `seal ${track.kind}`, side: 'seal', key };
    transceiver.sender.transform = new RTCRtpScriptTransform(worker, options);
  }
  video.srcObject = media;
  timings = { began: performance.now() };
  await join(door, grant);
  video.play().catch(() => {});
}

/** Posts the offer and applies the answer; candidates are not waited for, as the relay has its own and learns ours. */
async function join(door, grant) {
  connection.oniceconnectionstatechange = () => mark(`ice ${connection.iceConnectionState}`);
  connection.onconnectionstatechange = () => mark(connection.connectionState);
  await connection.setLocalDescription();
  mark('offer made');
  const headers = { authorization: `Bearer ${grant}`, 'content-type': 'application/sdp' };
  const response = await fetch(door, { method: 'POST', headers, body: connection.localDescription.sdp });
  const answer = await response.text();
  mark('answered');
  if (!response.ok) throw new Error(`${response.status} ${answer}`);
  resource = new URL(response.headers.get('location'), door).href;
  for (const kind of ['video', 'audio']) worker.postMessage({ kind, codec: answered(answer, kind) });
  window.leg.sdp = { offer: connection.localDescription.sdp, answer };
  await connection.setRemoteDescription({ type: 'answer', sdp: answer });
  mark('answer taken');
}

/** What the relay says of the session. */
async function session() {
  const response = await fetch(resource);
  return { status: response.status, body: await response.text() };
}

/** Ends the session at the relay; returns the status of its DELETE. */
async function leave() {
  const { status } = await fetch(resource, { method: 'DELETE' });
  connection.close();
  return status;
}

/** Everything that can be counted. */
async function figures() {
  const rtp = Object.fromEntries(
    (await stats())
      .filter(({ type }) => type === 'inbound-rtp' || type === 'outbound-rtp')
      .map((line) => [`${line.type === 'inbound-rtp' ? 'in' : 'out'} ${line.kind}`, line]),
  );
  const state = connection.connectionState;
  return {
    state,
    timings,
    rtp,
    tallies: await ask('tallies'),
    width: video.videoWidth,
    height: video.videoHeight,
  };
}

/** The browser's own statistics, all of them. */
async function stats() {
  return [...(await connection.getStats()).values()];
}

/** Asks the sender for a key frame, from the worker. */
function askKeyFrame() {
  return ask({ askKeyFrame: 'open video' });
}

/**
 * The picture as a small grid of colours.
 * @returns {number[][]} `columns` x `rows` means of [red, green, blue], row by row
 */
function pixels({ columns = 8, rows = 4 } = {}) {
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, columns, rows);
  const { data } = context.getImageData(0, 0, columns, rows);
  return Array.from({ length: columns * rows }, (_, at) => [...data.subarray(4 * at, 4 * at + 3)]);
}

function ask(question) {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data);
    worker.postMessage(question, [port2]);
  });
}

function mark(what) {
  timings[what] ??= performance.now() - timings.began;
}

/** Has an extension offered that the browser knows and leaves out; does nothing where it cannot be chosen. */
function switchOn(transceiver, uri) {
  if (!transceiver.getHeaderExtensionsToNegotiate) return;
  const extensions = transceiver.getHeaderExtensionsToNegotiate();
  for (const extension of extensions) if (uri.test(extension.uri)) extension.direction = 'sendrecv';
  transceiver.setHeaderExtensionsToNegotiate(extensions);
}

/** The codec of an answer's m-line; none where nothing will flow. */
function answered(sdp, kind) {
  const section = sdp.split(/^m=/m).find((section) => section.startsWith(kind)) ?? '';
  if (/^a=inactive/m.test(section)) return undefined;
  return /^a=rtpmap:\d+ ([^/]+)/m.exec(section)?.[1];
}
