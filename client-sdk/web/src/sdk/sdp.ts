/** Reads and mends SDP: what browsers write too much of, and which codec an answer agreed on (RFC 8866, RFC 9429). */

/** The video codecs of the media format. */
export type VideoCodec = 'AV1' | 'H264' | 'VP8' | 'VP9';
/** The codecs of the media format. */
export type Codec = VideoCodec | 'opus';

/** One m-line of a description, as far as it matters here. */
export interface MediaLine {
  kind: string;
  mid: string;
  direction: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
  /** Codec of the first payload type; undefined when it is none of ours. */
  codec: Codec | undefined;
  /** The other side accepts simulcast (RFC 8853). */
  simulcast: boolean;
}

/**
 * Returns the m-lines of a description in their order.
 *
 * The codec is that of the first payload type: an answer of the relay names the agreed one first.
 */
export function mediaLines(sdp: string): MediaLine[] {
  return sections(sdp)
    .slice(1)
    .map((lines) => {
      const [kind = '', , , first = ''] = (lines[0] ?? '').slice(2).split(' ');
      const has = (line: string): boolean => lines.includes(line);
      const direction = DIRECTIONS.find((one) => has(`a=${one}`)) ?? 'sendrecv';
      return {
        kind,
        mid: valueOf(lines, 'a=mid:') ?? '',
        direction,
        codec: codecOf(lines, first),
        simulcast: lines.some((line) => line.startsWith('a=simulcast:')),
      };
    });
}

/**
 * Returns the offer without the lines that name payload types which their m-line does not have.
 *
 * Firefox leaves `a=rtcp-fb`, `a=fmtp` and `a=rtpmap` lines of codecs that setCodecPreferences took out.
 */
export function withoutOrphans(sdp: string): string {
  const mended = sections(sdp).map((lines, index) => {
    if (index === 0) return lines;
    const offered = new Set((lines[0] ?? '').split(' ').slice(3));
    return lines.filter((line) => {
      const named = /^a=(?:rtcp-fb|fmtp|rtpmap):(\d+) /.exec(line)?.[1];
      return named === undefined || offered.has(named);
    });
  });
  return written(mended);
}

/**
 * Returns the offer with the given codecs added at the end of the first video m-line that receives.
 *
 * A browser asks so for codecs that it cannot play: when the answer takes one of them, the room carries nothing else,
 * and people can be told which codec it is. Such an answer must not be applied.
 */
export function askingFor(sdp: string, codecs: readonly VideoCodec[]): string {
  const all = sections(sdp);
  const video = all.findIndex((lines, index) => index > 0 && (lines[0] ?? '').startsWith('m=video '));
  const lines = all[video];
  if (lines === undefined || codecs.length === 0) return sdp;
  const used = new Set(all.flatMap((section) => (section[0] ?? '').split(' ').slice(3)));
  const free = FREE_TYPES.filter((type) => !used.has(String(type)));
  const added = codecs.flatMap((codec, index) => {
    const type = free[index];
    return type === undefined ? [] : [{ codec, type }];
  });
  const head = [lines[0] ?? '', ...added.map(({ type }) => String(type))].join(' ');
  const described = added.flatMap(({ codec, type }) => {
    const parameters = PARAMETERS[codec];
    return [`a=rtpmap:${type} ${codec}/90000`, ...(parameters ? [`a=fmtp:${type} ${parameters}`] : [])];
  });
  return written(all.with(video, [head, ...lines.slice(1), ...described]));
}

function codecOf(lines: readonly string[], payloadType: string): Codec | undefined {
  const name = valueOf(lines, `a=rtpmap:${payloadType} `)?.split('/')[0]?.toUpperCase();
  return CODECS.find((codec) => codec.toUpperCase() === name);
}

function valueOf(lines: readonly string[], start: string): string | undefined {
  return lines.find((line) => line.startsWith(start))?.slice(start.length);
}

/** The session's lines first, then those of each m-line. */
function sections(sdp: string): string[][] {
  const all: string[][] = [[]];
  for (const line of sdp.split(/\r?\n/)) {
    if (line === '') continue;
    if (line.startsWith('m=')) all.push([]);
    all.at(-1)?.push(line);
  }
  return all;
}

function written(all: readonly string[][]): string {
  return all.flat().join('\r\n') + '\r\n';
}

/** Every codec of the media format. */
export const CODECS: readonly Codec[] = ['H264', 'VP8', 'VP9', 'AV1', 'opus'];
const DIRECTIONS = ['sendrecv', 'sendonly', 'recvonly', 'inactive'] as const;
/** Dynamic payload types (RFC 3551 section 6), those least used by browsers first. */
const FREE_TYPES = Array.from({ length: 32 }, (_, index) => 127 - index);
/** Format parameters under which the relay forwards a codec. */
const PARAMETERS: Record<VideoCodec, string> = {
  AV1: 'profile=0',
  H264: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
  VP8: '',
  VP9: 'profile-id=0',
};
