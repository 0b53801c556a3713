/** One image, large, in a dialog: the browser keeps the focus inside and gives it back. */

import { breakable, element, find, isShown } from "./element.js";
import { factsOf } from "./facts.js";
import { Heat } from "./heat.js";
import { captionOf } from "./summary.js";
import { stepBySwipes } from "./swipe.js";
import { thumbnailLink } from "./thumbnail.js";
import { lead } from "./ways.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Failure } from "./failures.js" */
/** @import { Ways } from "./ways.js" */

/**
 * @typedef {object} Surroundings
 * @property {Ways} ways
 * @property {string} words that are searched for; empty if none
 * @property {boolean} heat whether it is shown where they are found
 * @property {[number, number] | null} position among the hits, from 1, and how many are loaded
 * @property {string} extent how many there are, in words
 * @property {Failure | null} halt why nothing comes after it, although there is more
 */

export class Detail {
  #dialog;
  #page;
  #picture;
  #heat;
  /** @type {StoredImage | null} */
  #image = null;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {{
   *   onClose: () => void, onStep: (by: number) => void, onCrop: (image: StoredImage) => void, onHeat: (isOn: boolean) => void,
   *   onMore: () => Promise<void>,
   *   similar: (image: StoredImage) => Promise<{image: StoredImage, address: string}[]>,
   *   only: (path: string[], condition: unknown) => string,
   * }} page
   */
  constructor(dialog, page) {
    this.#dialog = dialog;
    this.#page = page;
    this.#picture = find(dialog, ".stage img", HTMLImageElement);
    const [canvas, button] = [find(dialog, ".heat", HTMLCanvasElement), find(dialog, ".find", HTMLButtonElement)];
    this.#heat = new Heat(canvas, button, find(dialog, ".trouble", HTMLElement), page.onHeat);
    dialog.addEventListener("close", page.onClose);
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) {
        dialog.close(); // everything inside has its own element: this is the backdrop
      }
    });
    this.#on(".close", () => dialog.close());
    this.#on(".previous", () => page.onStep(-1));
    this.#on(".next", () => page.onStep(1));
    stepBySwipes(find(dialog, ".stage", HTMLElement), page.onStep);
    this.#on(".go-on", () => this.#goOn());
    this.#on(".copy", () => this.#copyAddress());
    this.#on(".crop-part", () => this.#image && page.onCrop(this.#image));
  }

  /**
   * @param {StoredImage} image
   * @param {Surroundings} surroundings
   */
  show(image, { ways, words, heat, position, extent, halt }) {
    const isAnother = !this.#dialog.open || this.#image?.id !== image.id;
    this.#image = image;
    lead(this.#dialog, image, ways);
    const [here, count] = position ?? [1, 1];
    find(this.#dialog, ".position", HTMLElement).textContent = position ? `${here} of ${extent}` : "";
    find(this.#dialog, ".previous", HTMLElement).hidden = here <= 1;
    find(this.#dialog, ".next", HTMLElement).hidden = here >= count;
    this.#stop(halt);
    if (isAnother) {
      this.#heat.offer(image, words);
      this.#describe(image);
      this.#load(image);
      this.#compare(image);
    }
    this.#heat.turn(heat);
    if (!this.#dialog.open) {
      this.#dialog.showModal();
    }
  }

  hide() {
    this.#dialog.close();
  }

  /** @param {Failure | null} halt */
  #stop(halt) {
    const place = find(this.#dialog, ".halt", HTMLElement);
    place.hidden = !halt;
    find(place, "span", HTMLElement).textContent = halt ? `The images after this one could not be loaded. ${halt.message}` : "";
  }

  /** What the server did not give before is asked for once more. */
  async #goOn() {
    const button = find(this.#dialog, ".go-on", HTMLButtonElement);
    if (button.ariaDisabled !== "true") {
      button.ariaDisabled = "true";
      await this.#page.onMore();
      button.ariaDisabled = "false";
      if (!isShown(button)) {
        find(this.#dialog, ".next", HTMLElement).focus(); // the button that had it is gone
      }
    }
  }

  /** @param {StoredImage} image */
  #describe(image) {
    const caption = captionOf(image);
    find(this.#dialog, "h2", HTMLElement).replaceChildren(...breakable(caption));
    const key = find(this.#dialog, ".key", HTMLElement);
    key.replaceChildren(...breakable(image.key));
    key.hidden = caption === image.key;
    const rows = factsOf(image).flatMap((fact) => [element("dt", fact.name), element("dd", this.#value(fact))]);
    find(this.#dialog, "dl", HTMLElement).replaceChildren(...rows);
    find(this.#dialog, ".original", HTMLAnchorElement).href = image.links.content;
    const download = find(this.#dialog, ".download", HTMLAnchorElement);
    download.href = image.links.content;
    download.download = image.key.split("/").at(-1) ?? "";
    find(this.#dialog, ".record", HTMLAnchorElement).href = image.links.self;
    find(this.#dialog, ".copy", HTMLElement).textContent = "Copy link";
    find(this.#dialog, ".about", HTMLElement).scrollTop = 0;
  }

  /**
   * A fact leads to what else has it, among what is searched for.
   * @param {import("./facts.js").Fact} fact
   */
  #value({ name, value, path, condition }) {
    if (!path) {
      return value;
    }
    const link = element("a", value);
    link.href = this.#page.only(path, condition);
    link.title = `Only images with this: ${name}`;
    return link;
  }

  /** @param {StoredImage} image */
  async #load(image) {
    const picture = this.#picture;
    picture.alt = captionOf(image);
    this.#lay(image.width, image.height);
    this.#canShowOriginal = true;
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

  /**
   * At its own size, as it is all there is to see; the original is for other programs.
   * @param {StoredImage} image
   */
  async #stayAtThumbnail({ links }) {
    const picture = this.#picture;
    await picture.decode().catch(() => undefined); // not there either, or another image has taken its place
    if (picture.getAttribute("src") === links.thumbnail) {
      this.#canShowOriginal = false;
      if (picture.naturalWidth > 0) {
        this.#lay(picture.naturalWidth, picture.naturalHeight);
        picture.classList.add("preview");
      }
    }
  }

  /**
   * Images like this one, small, below what is known of it.
   * @param {StoredImage} image
   */
  async #compare(image) {
    const list = find(this.#dialog, ".similar ul", HTMLElement);
    list.replaceChildren();
    const similar = await this.#page.similar(image).catch(() => []); // the image itself is there to be seen all the same
    if (this.#image?.id === image.id) {
      list.replaceChildren(...similar.map(linkTo));
      find(this.#dialog, ".similar", HTMLElement).hidden = similar.length === 0;
    }
  }

  async #copyAddress() {
    const button = find(this.#dialog, ".copy", HTMLButtonElement);
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Link copied";
    } catch {
      button.textContent = "Copy it from the address bar"; // without https, browsers let no page write to the clipboard
    }
  }

  /**
   * @param {number} width of the picture, in pixels
   * @param {number} height
   */
  #lay(width, height) {
    this.#picture.classList.remove("preview");
    const stage = find(this.#dialog, ".stage", HTMLElement);
    stage.style.setProperty("--width", String(width));
    stage.style.setProperty("--height", String(height));
  }

  /** @param {boolean} can whether this browser shows the file; it can be downloaded all the same */
  set #canShowOriginal(can) {
    find(this.#dialog, ".original", HTMLElement).hidden = !can;
  }

  /**
   * @param {string} selector
   * @param {() => void} act
   */
  #on(selector, act) {
    find(this.#dialog, selector, HTMLButtonElement).addEventListener("click", act);
  }
}

/** @param {{image: StoredImage, address: string}} similar */
function linkTo({ image, address }) {
  const link = thumbnailLink(image, address);
  link.title = captionOf(image);
  return element("li", link);
}
