/** Where in a large image the words of the search are found: a veil over it that is clear where they are found most. */

import { heatMap } from "./api.js";
import { Failure } from "./failures.js";

/** @import { HeatMap, StoredImage } from "./api.js" */

const EDGE_PX = 512; // of the longer side; the browser stretches it
const VEIL = 0.78; // of the darkest part
const WORDS = "Where it matches";

export class Heat {
  #canvas;
  #button;
  #trouble;
  #isLooking = false;
  /** @type {{image: StoredImage, text: string} | null} */
  #asked = null;
  #running = new AbortController();

  /**
   * @param {HTMLCanvasElement} canvas over the picture
   * @param {HTMLButtonElement} button
   * @param {HTMLElement} trouble where it is told what went wrong
   * @param {(isOn: boolean) => void} onTurn
   */
  constructor(canvas, button, trouble, onTurn) {
    this.#canvas = canvas;
    this.#button = button;
    this.#trouble = trouble;
    button.addEventListener("click", () => {
      const isOn = canvas.hidden && !this.#isLooking;
      this.turn(isOn);
      onTurn(isOn);
    });
  }

  /**
   * @param {StoredImage} image
   * @param {string} text that is looked for; empty: nothing to look for
   */
  offer(image, text) {
    this.#hide();
    this.#asked = { image, text };
    this.#button.hidden = !text;
  }

  /** @param {boolean} isOn */
  turn(isOn) {
    if (!isOn) {
      this.#hide();
    } else if (this.#canvas.hidden && !this.#isLooking) {
      this.#show();
    }
  }

  #hide() {
    this.#running.abort();
    this.#isLooking = false;
    this.#canvas.hidden = true;
    this.#trouble.hidden = true;
    this.#button.textContent = WORDS;
    this.#button.setAttribute("aria-pressed", "false");
  }

  async #show() {
    const { image, text } = this.#asked ?? {};
    if (!image || !text) {
      return;
    }
    this.#running.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    this.#isLooking = true;
    this.#trouble.hidden = true;
    this.#button.textContent = "Looking…";
    try {
      const map = await heatMap(image.id, text, signal);
      if (!signal.aborted) {
        draw(this.#canvas, map, image);
        this.#canvas.hidden = false;
        this.#button.setAttribute("aria-pressed", "true");
      }
    } catch (failure) {
      if (!signal.aborted) {
        const why = failure instanceof Failure ? failure.message : String(failure);
        this.#trouble.textContent = `It cannot be shown where the words are found. ${why}`;
        this.#trouble.hidden = false;
      }
    }
    if (!signal.aborted) {
      this.#button.textContent = WORDS;
    }
    this.#isLooking &&= signal.aborted; // another one may be looked for by now
  }
}

/**
 * As large as the picture, so that it lies over it part by part.
 * @param {HTMLCanvasElement} canvas
 * @param {HeatMap} map
 * @param {StoredImage} image
 */
function draw(canvas, { rows, columns, heat }, { width, height }) {
  const scale = EDGE_PX / Math.max(width, height);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const grid = new OffscreenCanvas(columns, rows);
  const pixels = new ImageData(columns, rows);
  heat.flat().forEach((share, at) => {
    pixels.data[4 * at + 3] = Math.round(255 * VEIL * (1 - share));
  });
  grid.getContext("2d")?.putImageData(pixels, 0, 0);
  const context = canvas.getContext("2d");
  if (context) {
    context.imageSmoothingQuality = "high";
    context.drawImage(grid, 0, 0, canvas.width, canvas.height);
  }
}
