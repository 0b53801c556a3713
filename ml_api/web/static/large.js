/** One image shown large: its neighbours among the hits, what it leads to, and the way back to where it was opened. */

import { addressOf } from "./address.js";
import { search } from "./api.js";
import { Detail } from "./detail.js";
import { Failure } from "./failures.js";
import { fieldAt, withCondition } from "./filters/conditions.js";
import { ALL } from "./query.js";
import { captionOf } from "./summary.js";
import { waysFrom } from "./ways.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Marking } from "./marking.js" */
/** @import { Results } from "./results.js" */
/** @import { Search } from "./search.js" */
/** @import { Trail } from "./trail.js" */

const COMPARED = 6; // images beside a large one
const AHEAD = 3; // hits before the last one, from where on more are asked for

/**
 * @typedef {object} Page
 * @property {Trail} trail
 * @property {Search} search
 * @property {Results} results
 * @property {Marking} marking
 * @property {() => Promise<void>} searched when the search under way has ended
 * @property {(id: string) => void} onCrop
 * @property {(caption: string) => void} onShown
 */

export class Large {
  #dialog;
  #detail;
  #page;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {Page} page
   */
  constructor(dialog, page) {
    this.#dialog = dialog;
    this.#page = page;
    this.#detail = new Detail(dialog, {
      onClose: () => this.#leave(),
      onStep: (by) => this.step(by),
      onCrop: ({ id }) => page.onCrop(id),
      onHeat: (heat) => page.trail.note({ heat }),
      onMore: () => page.search.more(),
      similar: (image) => this.#similar(image),
      only: (path, condition) => this.#only(path, condition),
    });
  }

  /** There are more hits, or it is known why not. */
  async update() {
    const { image } = this.#page.trail.view;
    if (image) {
      await this.show(image);
    }
  }

  /** @param {string | null} id */
  async show(id) {
    if (!id) {
      this.#detail.hide();
      return;
    }
    const { trail, search, marking, onShown } = this.#page;
    try {
      const image = await search.find(id);
      const { view } = trail;
      if (view.image === id) {
        const { hits, halt, extent } = search;
        const here = hits.findIndex((hit) => hit.id === id);
        const words = view.query?.terms.find(({ text, weight }) => text && weight > 0)?.text ?? "";
        const position = /** @type {[number, number] | null} */ (here < 0 ? null : [here + 1, hits.length]);
        const ways = waysFrom(view.query, id);
        this.#detail.show(image, { ways, words, heat: view.heat === true, position, extent, halt: here === hits.length - 1 ? halt : null });
        marking.offer(this.#dialog, image, captionOf(image));
        marking.opened(id);
        onShown(captionOf(image));
        if (here >= 0 && here >= hits.length - AHEAD && !halt) {
          search.more(); // whoever steps on and on comes to all hits, as whoever scrolls does
        }
      }
    } catch (failure) {
      await this.#page.searched(); // or its hits would replace what is said here
      if (trail.view.image === id && failure instanceof Failure) {
        this.#tell(failure, id);
      }
    }
  }

  /**
   * The image cannot be shown: behind where it were, it is said why.
   * @param {Failure} failure
   * @param {string} id
   */
  #tell(failure, id) {
    const { trail, results } = this.#page;
    trail.go({ ...trail.view, image: null }, { replacing: true });
    results.failBeside(failure, () => trail.go({ ...trail.view, image: id }, { opening: true }));
    results.showFailure();
  }

  /** @param {number} by */
  step(by) {
    const { trail, search } = this.#page;
    const { view } = trail;
    const here = search.hits.findIndex(({ id }) => id === view.image);
    const image = here < 0 ? undefined : search.hits[here + by];
    if (image) {
      trail.go({ ...view, image: image.id, heat: false }, { replacing: true });
    }
  }

  /** The dialog was closed, by the user or because the address no longer names an image. */
  #leave() {
    const { trail, results } = this.#page;
    const { image } = trail.view;
    if (image) {
      trail.leaveImage(() => results.focus(image));
    }
  }

  /**
   * The search at hand, or else the listing, of images for which a condition holds.
   * @param {string[]} path
   * @param {unknown} condition
   */
  #only(path, condition) {
    const query = this.#page.trail.view.query ?? ALL;
    return addressOf({ query: { ...query, filter: withCondition(query.filter, fieldAt(path), condition) }, image: null });
  }

  /** @param {StoredImage} image */
  async #similar({ id }) {
    const slice = { limit: COMPARED + 1 };
    const { hits } = await search({ terms: [{ id, weight: 1 }], filter: null }, slice, new AbortController().signal);
    const others = hits.filter((hit) => hit.id !== id).slice(0, COMPARED);
    return others.map((image) => ({ image, address: addressOf({ ...this.#page.trail.view, image: image.id, heat: false }) }));
  }
}
