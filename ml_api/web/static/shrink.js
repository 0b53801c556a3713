/** Photographs at the size the model looks at, before they are sent: a phone's upload then takes a moment, whatever its connection. */

/** @import { Part } from "./query.js" */

const SMALL_BYTES = 256 * 1024; // not worth the work
const LEAST_EDGE_PX = 512;
const QUALITY = 0.92;

/** @type {WeakMap<Blob, Map<string, Promise<Blob>>>} by the part of it */
const shrunk = new WeakMap();

/**
 * The same picture, or a part of it, upright, with a shorter side of twice the model's edge, at least. What is small, or what this browser
 * cannot read and the server perhaps can (HEIC, TIFF), stays as it is; of that there are no parts: it throws.
 *
 * @param {Blob} file
 * @param {number} modelEdge in pixels
 * @param {Part} [part]
 * @returns {Promise<Blob>}
 */
export function shrink(file, modelEdge, part) {
  const parts = shrunk.get(file) ?? new Map();
  shrunk.set(file, parts);
  const name = String(part);
  if (!parts.has(name)) {
    const edge = Math.max(LEAST_EDGE_PX, 2 * modelEdge);
    parts.set(name, part ? redraw(file, edge, part) : whole(file, edge));
  }
  return parts.get(name);
}

/**
 * @param {Blob} file
 * @param {number} edge
 */
async function whole(file, edge) {
  if (file.size <= SMALL_BYTES) {
    return file;
  }
  try {
    const smaller = await redraw(file, edge, [0, 0, 1, 1]);
    return smaller.size < file.size ? smaller : file;
  } catch {
    return file;
  }
}

/**
 * @param {Blob} file
 * @param {number} edge
 * @param {Part} part
 */
async function redraw(file, edge, [left, top, width, height]) {
  const bitmap = await createImageBitmap(file); // upright, by default; older browsers refuse the word for that
  try {
    const [cutWidth, cutHeight] = [Math.max(1, width * bitmap.width), Math.max(1, height * bitmap.height)];
    const scale = Math.min(1, edge / Math.min(cutWidth, cutHeight));
    const canvas = drawn(bitmap, [left * bitmap.width, top * bitmap.height, cutWidth, cutHeight], scale);
    return await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  } finally {
    bitmap.close();
  }
}

/**
 * By halves: in Firefox each pixel of a drawing is made of four, and in one step grain stayed and stripes became others.
 * @param {CanvasImageSource} source
 * @param {[left: number, top: number, width: number, height: number]} cut in its pixels
 * @param {number} scale
 * @returns {OffscreenCanvas}
 */
function drawn(source, [left, top, width, height], scale) {
  if (scale < 0.5) {
    const twice = drawn(source, [left, top, width, height], 2 * scale);
    return drawn(twice, [0, 0, twice.width, twice.height], 0.5);
  }
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  const context = canvas.getContext("2d");
  if (!context) {
    throw new Error("this browser draws nothing");
  }
  context.fillStyle = "white"; // behind what is transparent, as on the server
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, left, top, width, height, 0, 0, canvas.width, canvas.height);
  return canvas;
}
