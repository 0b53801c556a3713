/** One image, large, in a dialog: the browser keeps the focus inside and gives it back. */

import { element } from "./element.js";
import { captionOf, rounded } from "./results.js";

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
    this.#lay(image.width, image.height);
    this.#offer("Open original");
    picture.src = image.links.thumbnail;
    const original = new Image();
    original.src = image.links.content;
    try {
      await original.decode();
    } catch {
      await this.#stayAtThumbnail(image); // a TIFF or HEIC, which not every browser shows
      return;
    }
    if (picture.getAttribute("src") === image.links.thumbnail) {
      picture.src = original.src;
    }
  }

  /** At its own size, as it is all there is to see; the original is for other programs. */
  async #stayAtThumbnail({ key, links }) {
    const picture = this.#picture;
    await picture.decode().catch(() => undefined); // not there either, or another image has taken its place
    if (picture.getAttribute("src") === links.thumbnail) {
      this.#offer("Download original", key.split("/").at(-1));
      if (picture.naturalWidth > 0) {
        this.#lay(picture.naturalWidth, picture.naturalHeight);
        picture.classList.add("preview");
      }
    }
  }

  /** @param {number} width of the picture, in pixels */
  #lay(width, height) {
    this.#picture.classList.remove("preview");
    this.#picture.style.setProperty("--width", String(width));
    this.#picture.style.setProperty("--height", String(height));
  }

  /** @param {string} [fileName] to download it under */
  #offer(text, fileName) {
    const link = this.#dialog.querySelector(".original");
    link.textContent = text;
    link.toggleAttribute("download", fileName !== undefined);
    if (fileName !== undefined) {
      link.download = fileName;
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
  const similarity = score === undefined ? [] : [["Similarity", rounded(score, 3)]];
  return [["Size", `${width} × ${height}`], ...similarity, ...Object.entries(facts).flatMap(rowsOf).map(([name, value]) => [wordsOf(name), value])];
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

/** "facts.main_colour" as people write it: "Facts: main colour". */
function wordsOf(name) {
  const words = name.replaceAll(".", ": ").replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function written(item) {
  return item !== null && typeof item === "object"
    ? Object.entries(item)
        .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
        .join(", ")
    : String(item);
}
