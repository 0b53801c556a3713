/** Some of the images below the box, before anything is searched for: what there is to be found. */

import { list } from "./api.js";
import { element } from "./element.js";
import { addressOf } from "./query.js";
import { captionOf } from "./summary.js";
import { shapeOf } from "./tile.js";

/** @import { StoredImage } from "./api.js" */

const SHOWN = 18;

export class Glimpse {
  #place;
  #isAsked = false;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
  }

  /** At the first time only: they stay. */
  async show() {
    if (this.#isAsked) {
      return;
    }
    this.#isAsked = true;
    try {
      const { hits } = await list(null, { limit: SHOWN });
      this.#place.replaceChildren(...hits.map(linkTo));
    } catch {
      this.#isAsked = false; // the first search says what is wrong
    }
  }
}

/** @param {StoredImage} image */
function linkTo(image) {
  const picture = element("img");
  picture.alt = captionOf(image);
  picture.loading = "lazy";
  const link = element("a", picture);
  link.href = addressOf({ query: null, image: image.id });
  const made = element("li", link);
  made.style.setProperty("--ratio", String(shapeOf(image)));
  picture.addEventListener("error", () => made.remove());
  picture.src = image.links.thumbnail;
  return made;
}
