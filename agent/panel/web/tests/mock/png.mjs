// Pictures of the mock: a road, a vehicle and its plate, drawn by rectangles and written as PNG.

import { deflateSync } from "node:zlib";

const TABLE = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function crc(bytes) {
  let c = 0xffffffff;
  for (const b of bytes) c = TABLE[(c ^ b) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, "latin1");
  data.copy(out, 8);
  out.writeUInt32BE(crc(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

export class Picture {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.rows = Buffer.alloc((width * 3 + 1) * height);
  }

  rect(x0, y0, w, h, [r, g, b]) {
    const left = Math.max(0, Math.round(x0));
    const right = Math.min(this.width, Math.round(x0 + w));
    for (let y = Math.max(0, Math.round(y0)); y < Math.min(this.height, Math.round(y0 + h)); y++) {
      const row = y * (this.width * 3 + 1) + 1;
      for (let x = left; x < right; x++) {
        this.rows[row + x * 3] = r;
        this.rows[row + x * 3 + 1] = g;
        this.rows[row + x * 3 + 2] = b;
      }
    }
  }

  png() {
    const header = Buffer.alloc(13);
    header.writeUInt32BE(this.width, 0);
    header.writeUInt32BE(this.height, 4);
    header.set([8, 2, 0, 0, 0], 8);
    return Buffer.concat([
      Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]),
      chunk("IHDR", header),
      chunk("IDAT", deflateSync(this.rows, { level: 1 })),
      chunk("IEND", Buffer.alloc(0)),
    ]);
  }
}

function plate(picture, x, y, w) {
  const h = w / 3.14;
  picture.rect(x, y, w, h, [230, 235, 240]);
  picture.rect(x + w * 0.02, y + h * 0.06, w * 0.96, h * 0.88, [14, 66, 158]);
  for (let i = 0; i < 7; i++) {
    const cx = x + w * (0.06 + i * 0.13);
    picture.rect(cx, y + h * 0.22, w * 0.085, h * 0.56, [240, 244, 248]);
    picture.rect(cx + w * 0.025, y + h * 0.36, w * 0.035, h * (i % 2 ? 0.12 : 0.28), [14, 66, 158]);
  }
}

function vehicle(picture, { x, y, w, h }) {
  picture.rect(x + w * 0.12, y, w * 0.76, h * 0.45, [52, 58, 66]);
  picture.rect(x + w * 0.17, y + h * 0.06, w * 0.66, h * 0.3, [112, 130, 146]);
  picture.rect(x, y + h * 0.38, w, h * 0.48, [196, 60, 52]);
  picture.rect(x + w * 0.04, y + h * 0.5, w * 0.16, h * 0.14, [250, 244, 214]);
  picture.rect(x + w * 0.8, y + h * 0.5, w * 0.16, h * 0.14, [250, 244, 214]);
  picture.rect(x + w * 0.06, y + h * 0.86, w * 0.18, h * 0.14, [20, 20, 22]);
  picture.rect(x + w * 0.76, y + h * 0.86, w * 0.18, h * 0.14, [20, 20, 22]);
}

/** Where the vehicle and its plate are at step `n` of its way, in parts of the picture. */
export function placeAt(n) {
  const s = (n % 24) / 24;
  const w = 0.1 + s * 0.24;
  const x = 0.36 + s * 0.06;
  const y = 0.3 + s * 0.22;
  const h = w * 1.3;
  const pw = w * 0.3;
  return { box: { x, y, w, h }, plate: { x: x + (w - pw) / 2, y: y + h * 0.7, w: pw } };
}

export function road(width, height, n) {
  const picture = new Picture(width, height);
  for (let y = 0; y < height; y += 4) {
    const v = y < height * 0.28 ? 188 - (y / height) * 60 : 96 + ((y * 7) % 5);
    picture.rect(0, y, width, 4, y < height * 0.28 ? [v, v + 12, v + 24] : [v, v, v + 2]);
  }
  for (let k = 0; k < 9; k++) {
    const y = height * (0.32 + k * 0.08);
    const off = (k + 1) * 0.02;
    picture.rect(width * (0.5 - off * 2.1), y, 3 + k * 1.4, height * 0.045, [226, 226, 220]);
    picture.rect(width * (0.62 + off), y, 3 + k * 1.4, height * 0.045, [226, 226, 220]);
  }
  const at = placeAt(n);
  const px = (b) => ({ x: b.x * width, y: b.y * height, w: b.w * width, h: b.h * height });
  vehicle(picture, px(at.box));
  plate(picture, at.plate.x * width, at.plate.y * height, at.plate.w * width);
  return picture.png();
}

export function thumbnail() {
  const picture = new Picture(320, 300);
  picture.rect(0, 0, 320, 300, [104, 106, 110]);
  vehicle(picture, { x: 34, y: 20, w: 252, h: 262 });
  plate(picture, 112, 196, 96);
  return picture.png();
}

export function crop() {
  const picture = new Picture(220, 72);
  picture.rect(0, 0, 220, 72, [170, 52, 46]);
  plate(picture, 6, 3, 208);
  return picture.png();
}
