/** One image, large, in a dialog: the browser keeps the focus inside and gives it back. */

import { element } from "./element.js";
import { captionOf } from "./results.js";

/** @import { Image } from "./api.js" */

export class Detail {
  #dialog;
  #picture;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {{onClose: () => void, onStep: (by: number) => void}} page
   */
  constructor(dialog, { onClose, onStep }) {
    this.#dialog = dialog;
    this.#picture = dialog.querySelector(".stage img");
    dialog.addEventListener("close", onClose);
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) {
        dialog.close(); // everything inside has its own element: this is the backdrop
      }
    });
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    dialog.querySelector(".previous").addEventListener("click", () => onStep(-1));
    dialog.querySelector(".next").addEventListener("click", () => onStep(1));
  }

  /**
   * @param {Image} image
   * @param {{like: string, hasPrevious: boolean, hasNext: boolean}} surroundings
   */
  show(image, { like, hasPrevious, hasNext }) {
    const find = (selector) => this.#dialog.querySelector(selector);
    const isAnother = !this.#dialog.open || find(".similar").dataset.id !== image.id;
    find("h2").textContent = captionOf(image);
    find(".key").textContent = image.key;
    find(".key").hidden = captionOf(image) === image.key;
    find("dl").replaceChildren(...factsOf(image).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
    find(".similar").href = like;
    find(".similar").dataset.id = image.id;
    find(".original").href = image.links.content;
    find(".record").href = image.links.self;
    find(".previous").hidden = !hasPrevious;
    find(".next").hidden = !hasNext;
    if (isAnother) {
      this.#load(image);
    }
    if (!this.#dialog.open) {
      this.#dialog.showModal();
    }
  }

  hide() {
    this.#dialog.close();
  }

  /** @param {Image} image */
  async #load(image) {
    const picture = this.#picture;
    picture.alt = captionOf(image);
    picture.style.setProperty("--width", String(image.width));
    picture.style.setProperty("--height", String(image.height));
    picture.src = image.links.thumbnail;
    const original = new Image();
    original.src = image.links.content;
    try {
      await original.decode();
    } catch {
      return; // a TIFF or HEIC, which not every browser shows: the thumbnail stays
    }
    if (picture.getAttribute("src") === image.links.thumbnail) {
      picture.src = original.src;
    }
  }
}

/**
 * @param {Image} image
 * @returns {[string, string][]}
 */
function factsOf({ width, height, score, metadata }) {
  const { caption, ...others } = metadata;
  const facts = typeof caption === "string" ? others : metadata; // as a text it is the heading
  const similarity = score === undefined ? [] : [["Similarity", score.toFixed(3)]];
  return [["Size", `${width} × ${height}`], ...similarity, ...Object.entries(facts).flatMap(rowsOf)];
}

/** Metadata is any JSON: objects become rows of dotted names, lists are written in one. */
function rowsOf([name, value]) {
  if (value === null || value === "") {
    return [];
  }
  if (Array.isArray(value)) {
    return [[name, value.map(written).join(typeof value[0] === "object" ? "; " : ", ")]];
  }
  if (typeof value === "object") {
    return Object.entries(value).flatMap(([inner, within]) => rowsOf([`${name}.${inner}`, within]));
  }
  return [[name, String(value)]];
}

function written(item) {
  return item !== null && typeof item === "object"
    ? Object.entries(item)
        .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
        .join(", ")
    : String(item);
}
