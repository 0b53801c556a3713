/** Images as terms of a search: what to show of them, and choosing a part of one. */

import { Crop } from "./crop.js";
import { imageLost } from "./failures.js";
import { identityOf, queryOf } from "./query.js";
import { captionOf } from "./summary.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Query, Term } from "./query.js" */

export class Pictured {
  #crop;
  #page;

  /**
   * @param {HTMLDialogElement} dialog in which a part is drawn
   * @param {{find: (id: string) => Promise<StoredImage>, query: () => Query | null, onAsk: (query: Query) => void}} page
   */
  constructor(dialog, page) {
    this.#crop = new Crop(dialog);
    this.#page = page;
  }

  /**
   * Search with a part of an image: in place of the term, or instead of all.
   * @param {Term} term
   * @param {boolean} [isAlone]
   */
  async crop(term, isAlone = false) {
    const part = await this.#crop.choose(await this.describe(term), term.part);
    const query = this.#page.query();
    if (part && (isAlone || !query)) {
      this.#page.onAsk(queryOf({ ...term, part }));
    } else if (part && query) {
      const terms = query.terms.map((one) => (identityOf(one) === identityOf(term) ? { ...term, part } : one));
      this.#page.onAsk({ ...query, terms, marks: null });
    }
  }

  /**
   * What to show of an image that is searched with, and its name.
   * @param {Term} term
   * @returns {Promise<{source: string, original?: string, name: string}>}
   */
  async describe({ like, file }) {
    if (file) {
      return { source: URL.createObjectURL(file), name: file.name };
    }
    if (!like) {
      throw imageLost();
    }
    const image = await this.#page.find(like);
    return { source: image.links.thumbnail, original: image.links.content, name: captionOf(image) };
  }
}
