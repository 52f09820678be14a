/** What getStats says about a connection, cut down to what decides and what people read. */

/** Totals of one connection so far. */
export interface Totals {
  packets: number;
  packetsLost: number;
  framesDecoded: number;
  freezes: number;
  /** Width and height of the newest decoded picture; 0 before the first. */
  width: number;
  height: number;
  /** Interarrival jitter of the picture's packets, in milliseconds (RFC 3550 section 6.4.1). */
  jitterMs: number;
  /** Sum over all emitted frames of the time spent in the jitter buffer, in milliseconds. */
  bufferedMs: number;
  bufferedFrames: number;
  /** Sum over all frames of the time spent decoding, in milliseconds. */
  decodeMs: number;
}

/** One report of getStats. */
type Report = Record<string, unknown> & { type: string };

/** Sums up what came in. */
export function incoming(reports: Iterable<Report>): Totals {
  const totals: Totals = {
    packets: 0,
    packetsLost: 0,
    framesDecoded: 0,
    freezes: 0,
    width: 0,
    height: 0,
    jitterMs: 0,
    bufferedMs: 0,
    bufferedFrames: 0,
    decodeMs: 0,
  };
  for (const report of reports) {
    if (report.type !== 'inbound-rtp') continue;
    totals.packets += number(report, 'packetsReceived');
    totals.packetsLost += number(report, 'packetsLost');
    if (report['kind'] !== 'video') continue;
    totals.framesDecoded += number(report, 'framesDecoded');
    totals.freezes += number(report, 'freezeCount');
    totals.width = Math.max(totals.width, number(report, 'frameWidth'));
    totals.height = Math.max(totals.height, number(report, 'frameHeight'));
    totals.jitterMs = Math.max(totals.jitterMs, number(report, 'jitter') * 1000);
    totals.bufferedMs += number(report, 'jitterBufferDelay') * 1000;
    totals.bufferedFrames += number(report, 'jitterBufferEmittedCount');
    totals.decodeMs += number(report, 'totalDecodeTime') * 1000;
  }
  return totals;
}

/** Bytes that came back from the relay at a sender: acknowledgements of any kind. */
export function answered(reports: Iterable<Report>): number {
  let bytes = 0;
  for (const report of reports) {
    if (report.type === 'candidate-pair')
      bytes += number(report, 'bytesReceived') + number(report, 'responsesReceived');
  }
  return bytes;
}

/** What people read about the last moment: from two totals and the seconds between them. */
export interface Rates {
  fps: number;
  /** Time in jitter buffer and decoder per frame, in milliseconds. */
  playoutMs: number;
}

/** Returns the rates between two totals of one connection. */
export function rates(before: Totals, now: Totals, seconds: number): Rates {
  const frames = now.framesDecoded - before.framesDecoded;
  const buffered = now.bufferedFrames - before.bufferedFrames;
  const waited = buffered > 0 ? (now.bufferedMs - before.bufferedMs) / buffered : 0;
  const decoded = frames > 0 ? (now.decodeMs - before.decodeMs) / frames : 0;
  return { fps: seconds > 0 ? Math.max(0, frames) / seconds : 0, playoutMs: Math.max(0, waited + decoded) };
}

function number(report: Report, name: string): number {
  const value = report[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}
