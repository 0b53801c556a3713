/** Photographs at the size the model looks at, before they are sent: a phone's upload then takes a moment, whatever its connection. */

const SMALL_BYTES = 256 * 1024; // not worth the work
const LEAST_EDGE_PX = 512;
const QUALITY = 0.92;

/** @type {WeakMap<File, Promise<Blob>>} */
const shrunk = new WeakMap();

/**
 * The same picture, upright, with a shorter side of twice the model's edge, at least. What is small, or what this browser cannot read
 * and the server perhaps can (HEIC, TIFF), stays as it is.
 *
 * @param {File} file
 * @param {number} modelEdge in pixels
 * @returns {Promise<Blob>}
 */
export function shrink(file, modelEdge) {
  if (!shrunk.has(file)) {
    shrunk.set(
      file,
      redraw(file, Math.max(LEAST_EDGE_PX, 2 * modelEdge)).catch(() => file),
    );
  }
  return shrunk.get(file);
}

async function redraw(file, edge) {
  if (file.size <= SMALL_BYTES) {
    return file;
  }
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }); // its width and height are the upright ones
  try {
    const scale = edge / Math.min(bitmap.width, bitmap.height);
    if (scale >= 1) {
      return file;
    }
    const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "white"; // behind what is transparent, as on the server
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    return blob.size < file.size ? blob : file;
  } finally {
    bitmap.close();
  }
}
