/** Images that are stored more than once, or seem to be, in groups, as the API finds them page by page. */

import { addressOf } from "../address.js";
import { breakable, element, find } from "../element.js";
import { inOneLine } from "../failures.js";
import { ask } from "../requests.js";
import { thumbnailLink } from "../thumbnail.js";
import { sizeInWords } from "../wording.js";
import { pickOf } from "./selection.js";

/** @import { StoredImage } from "../api.js" */
/** @typedef {StoredImage & {size_bytes: number | null}} Sized null where it is not known */
/** @typedef {{kind: string, image: Sized, duplicates: Sized[], more: boolean}} Group */

const ENOUGH = 20; // groups before it asks whether to go on
const KINDS = new Map([
  ["exact", "The same picture"],
  ["near", "Probably the same picture"],
  ["similar", "Much alike"],
]);

export class Duplicates {
  #section;
  #list;
  #go;
  #compared = 0;
  /** @type {WeakMap<Element, Group>} by what shows it */
  #groups = new WeakMap();
  /** @type {string | null} */
  #cursor = "";
  #running = new AbortController();

  /** @param {HTMLElement} section */
  constructor(section) {
    this.#section = section;
    this.#list = find(section, ".groups", HTMLElement);
    this.#go = find(section, ".go-on", HTMLButtonElement);
    this.#go.addEventListener("click", () => this.#look());
  }

  /** @param {boolean} isAnew otherwise what was found before is still there */
  start(isAnew) {
    if (isAnew || this.#section.ariaBusy === "true") {
      this.#list.replaceChildren();
      this.#compared = 0;
      this.#cursor = "";
      this.#look();
    }
  }

  stop() {
    this.#running.abort();
  }

  /** After images were deleted: what is alone now is alike to nothing. */
  settle() {
    for (const shown of [...this.#list.children]) {
      const group = this.#groups.get(shown);
      const count = shown.querySelectorAll("li").length;
      if (group && count > (group.more ? 0 : 1)) {
        find(shown, "h3", HTMLElement).textContent = headingOf(group, count);
      } else {
        shown.remove();
      }
    }
    if (this.#section.ariaBusy === "false") {
      this.#tell(true);
    }
  }

  async #look() {
    this.#running.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    const enough = this.#list.children.length + ENOUGH;
    this.#go.hidden = true;
    this.#go.textContent = "Look further";
    this.#section.ariaBusy = "true";
    this.#say("Looking…");
    try {
      while (this.#cursor !== null && this.#list.children.length < enough) {
        const parameters = new URLSearchParams(this.#cursor ? { cursor: this.#cursor } : {});
        /** @type {{groups: Group[], compared: number, next: string | null}} */
        const page = await ask(`v1/duplicates?${parameters}`, { signal });
        this.#compared += page.compared;
        this.#cursor = page.next;
        for (const group of page.groups) {
          const shown = groupOf(group);
          this.#groups.set(shown, group);
          this.#list.append(shown);
        }
        this.#tell(this.#cursor === null || this.#list.children.length >= enough);
      }
      this.#go.hidden = this.#cursor === null;
    } catch (failure) {
      if (!signal.aborted) {
        this.#say(inOneLine(failure));
        this.#go.textContent = "Try again";
        this.#go.hidden = false;
      }
    }
    if (!signal.aborted) {
      this.#section.ariaBusy = "false";
    }
  }

  /** @param {boolean} hasStopped */
  #tell(hasStopped) {
    const groups = this.#list.children.length;
    const found = groups === 0 ? (hasStopped ? "No two are alike" : "Nothing yet") : groups === 1 ? "1 group" : `${groups} groups`;
    const compared = `${new Intl.NumberFormat("en").format(this.#compared)} images compared`;
    const rest = hasStopped && this.#cursor !== null ? ", others not yet" : "";
    this.#say(`${hasStopped ? "" : "Looking… "}${found}${rest ? " so far" : ""}; ${compared}${rest}.`);
  }

  /** @param {string} text */
  #say(text) {
    find(this.#section, ".summary", HTMLElement).textContent = text;
  }
}

/**
 * @param {Group} group
 * @param {number} count of its images that are there
 */
function headingOf({ kind, more }, count) {
  return `${KINDS.get(kind) ?? kind}: ${count}${more ? " and more" : ""} files`;
}

/** @param {Group} group */
function groupOf(group) {
  const all = [group.image, ...group.duplicates];
  const heading = element("h3", headingOf(group, all.length));
  const [least, most] = [Math.min(...all.map(pixelsOf)), Math.max(...all.map(pixelsOf))];
  const images = element("ul", ...all.map((one) => imageOf(one, pixelsOf(one) === most && most > least)));
  return element("li", heading, group.kind === "exact" ? choiceOf(images) : doubtOf(), images);
}

/** For whoever is about to delete some of them. */
function doubtOf() {
  const doubt = element("p", "A guess, by how they look: compare them first.");
  doubt.className = "doubtful";
  return doubt;
}

/**
 * A button that leaves one of equal files out and selects the others.
 * @param {HTMLElement} images
 */
function choiceOf(images) {
  const button = element("button", "Select all but the first");
  button.type = "button";
  button.className = "link choose-others";
  button.addEventListener("click", () => {
    [...images.querySelectorAll("input")].forEach((box, at) => {
      box.checked = at > 0;
      box.dispatchEvent(new Event("change", { bubbles: true }));
    });
  });
  return button;
}

/** @param {Sized} image */
function pixelsOf({ width, height }) {
  return width * height;
}

/**
 * @param {Sized} image
 * @param {boolean} isLargest of its group, which holds smaller ones
 */
function imageOf(image, isLargest) {
  const link = thumbnailLink(image, addressOf({ query: null, image: image.id }));
  const name = element("p", ...breakable(image.key));
  name.className = "key";
  const bytes = image.size_bytes === null ? "" : ` · ${sizeInWords(image.size_bytes)}`;
  const size = element("p", `${image.width} × ${image.height}${isLargest ? ", the largest" : ""}${bytes}`);
  return element("li", link, pickOf(image, image.key), name, size);
}
