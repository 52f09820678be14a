/** Development only, never shipped: the app over the fake worker, with a relay inside the page that sends a drawn picture. */

import { render } from 'preact';

import { App } from '../app/app.tsx';
import '../app/style/style.css';

const scene = new URLSearchParams(location.search).get('scene') ?? 'admin';

const realFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const url = input instanceof Request ? input.url : String(input);
  if (!url.includes('/fake-whep/')) return realFetch(input, init);
  if (init?.method !== 'POST' || url.endsWith('/first-frame')) return new Response(null, { status: 200 });
  return new Response(await answer(String(init.body)), {
    status: 201,
    headers: { Location: `${url}/session` },
  });
};

const peers: RTCPeerConnection[] = [];

async function answer(offer: string): Promise<string> {
  const peer = new RTCPeerConnection();
  peers.push(peer);
  await peer.setRemoteDescription({ type: 'offer', sdp: offer });
  if (offer.includes('a=recvonly')) {
    const [track] = drawn().getVideoTracks();
    const video = peer.getTransceivers().find((transceiver) => transceiver.receiver.track.kind === 'video');
    if (track && video) {
      video.direction = 'sendonly';
      await video.sender.replaceTrack(track);
    }
  }
  await peer.setLocalDescription();
  await new Promise<void>((resolve) => {
    if (peer.iceGatheringState === 'complete') resolve();
    else
      peer.addEventListener(
        'icegatheringstatechange',
        () => peer.iceGatheringState === 'complete' && resolve(),
      );
  });
  return peer.localDescription?.sdp ?? '';
}

/** A garden path at dusk, with somebody's light moving on it. */
function drawn(): MediaStream {
  const canvas = document.createElement('canvas');
  canvas.width = 1280;
  canvas.height = 720;
  const pen = canvas.getContext('2d');
  let turn = 0;
  setInterval(() => {
    if (!pen) return;
    const sky = pen.createLinearGradient(0, 0, 0, 720);
    sky.addColorStop(0, '#27405a');
    sky.addColorStop(0.5, '#c98f6a');
    sky.addColorStop(0.51, '#37452f');
    sky.addColorStop(1, '#141a12');
    pen.fillStyle = sky;
    pen.fillRect(0, 0, 1280, 720);
    pen.fillStyle = '#7d7566';
    pen.beginPath();
    pen.moveTo(600, 367);
    pen.lineTo(680, 367);
    pen.lineTo(980, 720);
    pen.lineTo(300, 720);
    pen.fill();
    pen.fillStyle = '#ffe9b0';
    pen.beginPath();
    pen.arc(640 + 90 * Math.sin(turn), 470 + 30 * Math.cos(turn), 14, 0, 7);
    pen.fill();
    turn += 0.05;
  }, 33);
  return canvas.captureStream(30);
}

const root = document.getElementById('app');
const start = (): Worker =>
  new Worker(new URL('./fake-worker.ts', import.meta.url), { type: 'module', name: scene });
if (root !== null) render(<App start={start} />, root);
