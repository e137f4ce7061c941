/**
 * Small media files made here, so that none lies in the repository: a silent recording in OGG with Opus.
 */

const RATE = 48_000;
const FRAME = 960;
/** A frame of 20 ms of silence: CELT, full band, mono. */
const SILENCE = Buffer.from([0xf8, 0xff, 0xfe]);

const CRC_TABLE = Array.from({ length: 256 }, (_, index) => {
  let value = index << 24;
  for (let bit = 0; bit < 8; bit += 1) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value >>> 0;
});

function crcOf(bytes) {
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) ^ CRC_TABLE[((crc >>> 24) ^ byte) & 0xff]) >>> 0;
  return crc;
}

/** One page of an OGG stream (RFC 3533). */
function oggPage(sequence, kind, granule, packets) {
  const head = Buffer.alloc(27);
  head.write("OggS");
  head[5] = kind;
  head.writeBigUInt64LE(BigInt(granule), 6);
  head.writeUInt32LE(1, 14);
  head.writeUInt32LE(sequence, 18);
  head[26] = packets.length;
  const page = Buffer.concat([head, Buffer.from(packets.map((packet) => packet.length)), ...packets]);
  page.writeUInt32LE(crcOf(page), 22);
  return page;
}

/** A recording of `seconds` of silence. */
export function silentVoice(seconds) {
  const opusHead = Buffer.from("OpusHead\x01\x01\x00\x00\x80\xbb\x00\x00\x00\x00\x00", "latin1");
  const tags = Buffer.concat([Buffer.from("OpusTags"), Buffer.alloc(8)]);
  const pages = [oggPage(0, 2, 0, [opusHead]), oggPage(1, 0, 0, [tags])];
  const frames = Math.ceil((seconds * RATE) / FRAME);
  for (let done = 0; done < frames; done += 50) {
    const count = Math.min(50, frames - done);
    const last = done + count >= frames;
    pages.push(oggPage(pages.length, last ? 4 : 0, (done + count) * FRAME, Array.from({ length: count }, () => SILENCE)));
  }
  return Buffer.concat(pages);
}
