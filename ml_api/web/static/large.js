/** One image shown large: its neighbours among the hits, what it leads to, and the way back to where it was opened. */

import { search } from "./api.js";
import { Detail } from "./detail.js";
import { Failure } from "./failures.js";
import { fieldAt, withCondition } from "./filters/conditions.js";
import { addressOf, AGAINST, ALL, likeQuery, withTerm } from "./query.js";
import { captionOf } from "./summary.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Marking } from "./marking.js" */
/** @import { How } from "./page.js" */
/** @import { Query, View } from "./query.js" */
/** @import { Results } from "./results.js" */

const COMPARED = 6; // images beside a large one
const AHEAD = 3; // hits before the last one, from where on more are asked for

/**
 * @typedef {object} Page
 * @property {() => View} view
 * @property {() => StoredImage[]} hits
 * @property {() => Promise<void>} searched
 * @property {() => Promise<boolean>} onMore whether there are more hits now
 * @property {(id: string) => Promise<StoredImage>} find
 * @property {(view: View, how: How) => void} onGo
 * @property {(id: string) => void} onCrop
 * @property {(isOn: boolean) => void} onHeat
 * @property {(caption: string) => void} onShown
 * @property {Marking} marking
 */

export class Large {
  #dialog;
  #detail;
  #results;
  #page;
  #isLeaving = false;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {Results} results
   * @param {Page} page
   */
  constructor(dialog, results, page) {
    this.#dialog = dialog;
    this.#results = results;
    this.#page = page;
    this.#detail = new Detail(dialog, {
      onClose: () => this.#leave(),
      onStep: (by) => this.step(by),
      onCrop: ({ id }) => page.onCrop(id),
      onHeat: page.onHeat,
      similar: (image) => this.#similar(image),
      only: (path, condition) => this.#only(path, condition),
    });
  }

  /** Whether the browser is on its way back to where the image was opened. It would go back from anywhere else, too. */
  get isLeaving() {
    return this.#isLeaving;
  }

  /** @param {string | null} id */
  async show(id) {
    if (!id) {
      this.#detail.hide();
      return;
    }
    try {
      const image = await this.#page.find(id);
      const view = this.#page.view();
      if (view.image === id) {
        const hits = this.#page.hits();
        const here = hits.findIndex((hit) => hit.id === id);
        const words = view.query?.terms.find(({ text, weight }) => text && weight > 0)?.text ?? "";
        const position = /** @type {[number, number] | null} */ (here < 0 ? null : [here + 1, hits.length]);
        this.#detail.show(image, { ways: waysFrom(view.query, id), words, heat: view.heat === true, position });
        this.#page.marking.offer(this.#dialog, image, captionOf(image));
        this.#page.marking.opened(id);
        this.#page.onShown(captionOf(image));
        if (here >= 0 && here >= hits.length - AHEAD) {
          this.#goOn(id);
        }
      }
    } catch (failure) {
      await this.#page.searched(); // or its hits would replace what is said here
      const view = this.#page.view();
      if (view.image === id && failure instanceof Failure) {
        this.#page.onGo({ ...view, image: null }, { replacing: true });
        this.#results.failBeside(failure, () => this.#page.onGo({ ...view, image: id }, { opening: true }));
        this.#results.showFailure();
      }
    }
  }

  /**
   * Whoever steps on and on comes to all hits, as whoever scrolls does.
   * @param {string} id
   */
  async #goOn(id) {
    if ((await this.#page.onMore()) && this.#page.view().image === id) {
      await this.show(id);
    }
  }

  /** @param {number} by */
  step(by) {
    const view = this.#page.view();
    const hits = this.#page.hits();
    const here = hits.findIndex(({ id }) => id === view.image);
    const image = here < 0 ? undefined : hits[here + by];
    if (image) {
      this.#page.onGo({ ...view, image: image.id, heat: false }, { replacing: true });
    }
  }

  /** The dialog was closed, by the user or because the address no longer names an image. */
  #leave() {
    const view = this.#page.view();
    const { image } = view;
    if (!image) {
      return;
    }
    if (history.state?.isOpened) {
      this.#isLeaving = true;
      const arrive = () => {
        this.#isLeaving = false;
        this.#results.focus(image);
      };
      window.addEventListener("popstate", arrive, { once: true });
      history.back();
    } else {
      this.#page.onGo({ ...view, image: null }, { replacing: true });
      this.#results.focus(image);
    }
  }

  /**
   * The search at hand, or else the listing, of images for which a condition holds.
   * @param {string[]} path
   * @param {unknown} condition
   */
  #only(path, condition) {
    const query = this.#page.view().query ?? ALL;
    return addressOf({ query: { ...query, filter: withCondition(query.filter, fieldAt(path), condition) }, image: null });
  }

  /** @param {StoredImage} image */
  async #similar({ id }) {
    const slice = { limit: COMPARED + 1 };
    const { hits } = await search({ terms: [{ id, weight: 1 }], filter: null }, slice, new AbortController().signal);
    const others = hits.filter((hit) => hit.id !== id).slice(0, COMPARED);
    return others.map((image) => ({ image, address: addressOf({ ...this.#page.view(), image: image.id, heat: false }) }));
  }
}

/**
 * Where an image leads: to itself, to a search of its own, and to the search at hand with it, or without what it shows.
 * @param {Query | null} query
 * @param {string} id
 */
export function waysFrom(query, id) {
  /** @param {number} weight */
  const further = (weight) => ({ address: addressOf({ query: withTerm(query, { like: id, weight }), image: null }), weight });
  return {
    open: { address: addressOf({ query, image: id }) },
    like: { address: addressOf({ query: likeQuery(id), image: null }) },
    also: further(1),
    unlike: further(AGAINST),
  };
}
