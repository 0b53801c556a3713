/** Some of the images below the box, before anything is searched for: what there is to be found. */

import { addressOf } from "./address.js";
import { list } from "./api.js";
import { element } from "./element.js";
import { thumbnailLink } from "./thumbnail.js";
import { fillers, shapeOf } from "./tile.js";

/** @import { StoredImage } from "./api.js" */

const SHOWN = 18;

export class Glimpse {
  #place;
  #isAsked = false;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
  }

  /** @param {boolean} [isAnew] otherwise at the first time only: they stay */
  async show(isAnew = false) {
    if (this.#isAsked && !isAnew) {
      return;
    }
    this.#isAsked = true;
    try {
      const { hits } = await list(null, { limit: SHOWN });
      if (!this.#place.contains(document.activeElement)) { // who is at one of them stays there
        this.#place.replaceChildren(...hits.map(linkTo), ...fillers());
      }
    } catch {
      this.#isAsked = false; // the first search says what is wrong
    }
    this.settle();
  }

  /** No pictures are on their way. The foot of the page, which they would push down, is not to be seen before. */
  settle() {
    this.#place.ariaBusy = "false";
  }
}

/** @param {StoredImage} image */
function linkTo(image) {
  const made = element("li", thumbnailLink(image, addressOf({ query: null, image: image.id })));
  made.style.setProperty("--ratio", String(shapeOf(image)));
  made.addEventListener("error", () => made.remove(), true); // of the picture in it: such errors do not bubble
  return made;
}
