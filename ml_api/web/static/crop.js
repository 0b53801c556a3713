/** Choosing a part of an image: drawn with a mouse or a finger, or moved and sized by the arrow keys. */

import { find } from "./element.js";

/** @import { Part } from "./query.js" */

/** @type {Part} */
const AT_FIRST = [0.2, 0.2, 0.6, 0.6];
const LEAST = 0.05; // of a side: less than that shows nothing
const STEP = 0.02;

export class Crop {
  #dialog;
  #picture;
  #frame;
  /** @type {Part} */
  #part = AT_FIRST;
  /** @type {((part: Part | null) => void) | null} */
  #chosen = null;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    this.#picture = find(dialog, "img", HTMLImageElement);
    this.#frame = find(dialog, ".frame-of-part", HTMLElement);
    const canvas = find(dialog, ".canvas", HTMLElement);
    this.#picture.addEventListener("load", () => {
      canvas.style.setProperty("--ratio", String(this.#picture.naturalWidth / this.#picture.naturalHeight));
    });
    canvas.addEventListener("pointerdown", (event) => this.#grasp(event, canvas));
    dialog.addEventListener("keydown", (event) => this.#press(event));
    dialog.addEventListener("close", () => this.#chosen?.(dialog.returnValue === "part" ? this.#part : null));
  }

  /**
   * @param {{source: string, original?: string, name: string}} picture original: sharper, where this browser can show it
   * @param {Part} [before] the part that was chosen before
   * @returns {Promise<Part | null>} null if the dialog was left
   */
  choose({ source, original, name }, before = AT_FIRST) {
    this.#picture.src = source;
    this.#picture.alt = name;
    if (original) {
      this.#sharpen(source, original);
    }
    this.#lay(before);
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    this.#frame.focus();
    return new Promise((resolve) => {
      this.#chosen = resolve;
    });
  }

  /**
   * @param {string} source
   * @param {string} original
   */
  async #sharpen(source, original) {
    const sharp = new Image();
    sharp.src = original;
    await sharp.decode().catch(() => undefined); // a TIFF or HEIC, which not every browser shows
    if (sharp.naturalWidth > 0 && this.#picture.getAttribute("src") === source) {
      this.#picture.src = original;
    }
  }

  /**
   * A corner sizes, the inside moves, and outside a new frame is drawn.
   * @param {PointerEvent} start
   * @param {HTMLElement} canvas
   */
  #grasp(start, canvas) {
    if (!start.isPrimary || start.button !== 0) {
      return; // a second finger, or the mouse's other buttons
    }
    const target = start.target instanceof Element ? start.target : canvas;
    const from = this.#pointOf(start, canvas);
    const [left, top, width, height] = this.#part;
    const corner = target.closest("[data-corner]")?.getAttribute("data-corner");
    const isMoved = !corner && this.#frame.contains(target);
    const anchor = corner ? [corner.includes("w") ? left + width : left, corner.includes("n") ? top + height : top] : from;
    start.preventDefault();
    canvas.setPointerCapture(start.pointerId);
    /** @param {PointerEvent} event */
    const drag = (event) => {
      const [x, y] = this.#pointOf(event, canvas);
      if (isMoved) {
        this.#lay(within([left + x - from[0], top + y - from[1], width, height]));
      } else {
        const [from_x, from_y] = [Math.min(x, anchor[0]), Math.min(y, anchor[1])];
        this.#lay(within([from_x, from_y, Math.abs(x - anchor[0]), Math.abs(y - anchor[1])]));
      }
    };
    const release = (/** @type {Event} */ { type }) => {
      for (const end of ["pointerup", "pointercancel"]) {
        canvas.removeEventListener(end, release);
      }
      canvas.removeEventListener("pointermove", drag);
      if (type === "pointercancel") {
        this.#lay([left, top, width, height]); // it was the first of two fingers that zoom
      }
    };
    canvas.addEventListener("pointermove", drag);
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.key === "Enter" && document.activeElement === this.#frame) {
      event.preventDefault();
      this.#dialog.close("part");
    }
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (document.activeElement !== this.#frame || (x === 0 && y === 0)) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const [left, top, width, height] = this.#part;
    this.#lay(
      within(
        event.shiftKey ? [left, top, width + x * STEP, height + y * STEP] : [left + x * STEP, top + y * STEP, width, height],
      ),
    );
  }

  /**
   * @param {PointerEvent} event
   * @param {HTMLElement} canvas
   */
  #pointOf(event, canvas) {
    const box = canvas.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width, 0, 1), clamp((event.clientY - box.top) / box.height, 0, 1)];
  }

  /** @param {Part} part */
  #lay(part) {
    this.#part = /** @type {Part} */ (part.map((side) => Number(side.toFixed(3)))); // as it stands in the address
    const names = ["--left", "--top", "--wide", "--high"];
    names.forEach((name, at) => this.#frame.style.setProperty(name, `${part[at] * 100}%`));
    const [left, top, width, height] = part.map((side) => Math.round(side * 100));
    this.#frame.ariaValueText = `${width} % wide and ${height} % high, from ${left} % of the left and ${top} % of the top`;
  }
}

/**
 * @param {Part} part
 * @returns {Part}
 */
function within([left, top, width, height]) {
  const [wide, high] = [clamp(width, LEAST, 1), clamp(height, LEAST, 1)];
  return [clamp(left, 0, 1 - wide), clamp(top, 0, 1 - high), wide, high];
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
function clamp(value, least, most) {
  return Math.min(most, Math.max(least, value));
}
