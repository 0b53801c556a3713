/**
 * The way through the page. Each view has an address and an entry of the browser's history: links, Back, Forward and reloading lead to it,
 * and to the place that one had scrolled to.
 */

import { addressOf, viewAt } from "./address.js";
import { ALL, keptOf, nameOf, withTerm } from "./query.js";

/** @import { View } from "./address.js" */
/** @import { Query } from "./query.js" */
/** @import { Place } from "./results.js" */

/**
 * How a view is gone to. fresh: ask anew, from the top; opening: Back closes the large view; replacing: the entry of the history;
 * typing: the words in the box are not finished.
 * @typedef {{fresh?: boolean, opening?: boolean, replacing?: boolean, typing?: boolean}} How
 */

/**
 * What the history keeps of a view beside its address. terms: with images that no address can name; isOpened: Back closes the large view;
 * place and y: where it was scrolled to; filters: whether their panel is open.
 * @typedef {{terms?: unknown, isOpened?: boolean, typing?: boolean, place?: Place | null, y?: number, filters?: boolean}} Entry
 */

/** @typedef {{entry: Entry | null, address: string, isReplaced: boolean}} Change of the history */

const SETTLED_MS = 200; // after scrolling
const REFUSED_MS = 1000;

export class Trail {
  #page;
  /** @type {View} */
  #view = { query: null, image: null, tool: null };
  #isLeaving = false; // on the way back to where an image was opened
  /** @type {Change | null} */
  #owed = null; // what the history has refused so far
  #timer = 0;

  /**
   * @param {{
   *   place: () => Place | null,
   *   onShow: (view: View, change: {isAnother: boolean, fresh: boolean, typing: boolean}) => void,
   *   onStart: () => void,
   * }} page isAnother: not the same search with another arrangement or image; onStart: a link led to where one starts
   */
  constructor(page) {
    this.#page = page;
  }

  /** To what the address says. */
  start() {
    const [arrival] = performance.getEntriesByType("navigation");
    if (arrival instanceof PerformanceNavigationTiming && arrival.type === "navigate") {
      this.#write(null, location.href, true); // whoever types the address that they are at asks for what it says; browsers keep the entry
    }
    history.scrollRestoration = "manual"; // the browser's own would scroll before there is anything to scroll over
    document.addEventListener("click", (event) => this.#follow(event));
    window.addEventListener("popstate", () => this.#arrive());
    let timer = 0;
    document.addEventListener("scroll", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#keepPlace(), SETTLED_MS);
    });
    window.addEventListener("pagehide", () => this.#keepPlace());
    window.addEventListener("pageshow", ({ persisted }) => {
      if (persisted) {
        window.scrollTo(0, this.entry.y ?? 0); // WebKit brings the page back as it was, but for that
      }
    });
    this.#arrive();
  }

  get view() {
    return this.#view;
  }

  /** @returns {Entry} */
  get entry() {
    return (this.#owed ? this.#owed.entry : history.state) ?? {};
  }

  /**
   * @param {Query} query
   * @param {How} [how]
   */
  ask(query, how = {}) {
    this.go({ query, image: null }, { fresh: true, ...how });
  }

  /**
   * The search at hand with other filters or marks.
   * @param {Partial<Query>} change
   */
  adjust(change) {
    this.ask({ ...(this.#view.query ?? ALL), ...change });
  }

  /**
   * @param {View} view
   * @param {How} [how]
   */
  go(view, how = {}) {
    if (this.#isLeaving) {
      window.addEventListener("popstate", () => this.go(view, how), { once: true });
      return;
    }
    const { fresh = false, opening = false, replacing = false, typing = false } = how;
    const isSame = addressOf(view) === addressOf(this.#view) && nameOf(view.query) === nameOf(this.#view.query);
    const isReplaced = replacing || isSame || (typing && this.entry.typing === true);
    const isOpened = opening || (replacing && view.image !== null && Boolean(this.entry.isOpened));
    const place = fresh ? null : this.#page.place();
    if (!isReplaced) {
      this.#keepPlace();
    }
    const y = this.#isAnother(view) ? 0 : window.scrollY;
    const entry = { terms: keptOf(view.query), isOpened, typing, place, y, filters: this.entry.filters };
    this.#write(entry, addressOf(view), isReplaced);
    if (fresh) {
      window.scrollTo(0, 0);
    }
    this.#show(view, { fresh, typing });
  }

  /**
   * Out of the large view: to where it was opened or, if it was not opened here, to what stands behind it.
   * @param {() => void} onArrived
   */
  leaveImage(onArrived) {
    if (!history.state?.isOpened) {
      this.go({ ...this.#view, image: null }, { replacing: true });
      onArrived();
      return;
    }
    this.#isLeaving = true; // until then the browser would go back from anywhere else, too
    const arrive = () => {
      this.#isLeaving = false;
      onArrived();
    };
    window.addEventListener("popstate", arrive, { once: true });
    history.back();
  }

  /**
   * The same in another arrangement, which whoever opens the address finds.
   * @param {Partial<View>} change
   */
  note(change) {
    this.#view = { ...this.#view, ...change };
    this.#write(this.entry, addressOf(this.#view), true);
  }

  /**
   * Whoever comes back finds it, and nobody else.
   * @param {Entry} change
   */
  keep(change) {
    this.#write({ ...this.entry, ...change }, this.#owed?.address ?? location.href, true);
  }

  /**
   * Browsers take some hundred changes in ten seconds. Of more, as of who holds an arrow key down over the large view, Safari and
   * Firefox complain, and Chrome says nothing: the page goes on, and the last of them is written as soon as it is taken.
   * @param {Entry | null} entry
   * @param {string} address
   * @param {boolean} isReplaced
   */
  #write(entry, address, isReplaced) {
    clearTimeout(this.#timer);
    const owed = { entry, address, isReplaced: isReplaced && this.#owed?.isReplaced !== false };
    this.#owed = isTaken(owed) ? null : owed;
    if (this.#owed) {
      this.#timer = setTimeout(() => this.#write(entry, address, owed.isReplaced), REFUSED_MS);
    }
  }

  #keepPlace() {
    this.keep({ place: this.#page.place(), y: window.scrollY });
  }

  #arrive() {
    clearTimeout(this.#timer);
    this.#owed = null; // to another entry than was meant
    this.#show(viewAt(location.search, this.entry.terms), { fresh: false, typing: false });
  }

  /**
   * @param {View} view
   * @param {{fresh: boolean, typing: boolean}} how
   */
  #show(view, how) {
    const isAnother = how.fresh || this.#isAnother(view);
    this.#view = view;
    this.#page.onShow(view, { ...how, isAnother });
  }

  /** @param {View} view */
  #isAnother(view) {
    return nameOf(view.query) !== nameOf(this.#view.query) || view.tool !== this.#view.tool;
  }

  /**
   * Links within this page change what it shows; new tabs and windows stay the browser's.
   * @param {MouseEvent} event
   */
  #follow(event) {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!isPlain || !(link instanceof HTMLAnchorElement) || link.target || link.download) {
      return;
    }
    if (link.origin !== location.origin || link.pathname !== location.pathname || link.hash) {
      return;
    }
    event.preventDefault();
    const { query, image, tool } = viewAt(link.search);
    const { id, weight } = link.dataset;
    if (image) {
      this.go({ ...this.#view, image, heat: false }, { opening: this.#view.image === null, replacing: this.#view.image !== null });
    } else if (id && weight) {
      this.ask(withTerm(this.#view.query, { like: id, weight: Number(weight) })); // with images of one's own, which no address names
    } else if (query) {
      this.ask(query);
    } else {
      this.go({ query: null, image: null, tool });
      this.#page.onStart();
    }
  }
}

/**
 * @param {Change} change
 * @returns {boolean} whether the history has it now
 */
function isTaken({ entry, address, isReplaced }) {
  try {
    history[isReplaced ? "replaceState" : "pushState"](entry, "", address);
    return location.href === new URL(address, location.href).href;
  } catch {
    return false;
  }
}
