/** The grid of hits, and what stands in its place while one waits. All texts of others go in as text, never as HTML. */

import { Copies } from "./copies.js";
import { element, find, isShown } from "./element.js";
import { Fold } from "./fold.js";
import { isUnlikely } from "./likely.js";
import { More } from "./more.js";
import { Notice } from "./notice.js";
import { fillers, skeleton } from "./tile.js";

/** @import { View } from "./address.js" */
/** @import { StoredImage } from "./api.js" */
/** @import { Failure } from "./failures.js" */
/** @import { Found } from "./likely.js" */
/** @import { Filter } from "./query.js" */
/** @import { Summary } from "./summary.js" */

const SKELETONS = 12;

/** @typedef {{id: string, top: number, count: number}} Place one hit, where it stands on the screen, and how many have come */

export class Results {
  #section;
  #summary;
  #grid;
  #notice;
  #more;
  #long;
  /** @type {HTMLElement | null} */
  #tail = null; // what stands behind the last hit
  #fold;
  #copies;
  #tileOf;
  /** @type {Partial<View>} */
  #arrangement = {};
  /** @type {() => void} */
  #cancel = () => undefined;

  /**
   * @param {HTMLElement} section
   * @param {{
   *   tileOf: (image: StoredImage, copies: Copies) => HTMLElement,
   *   onMore: () => void, onFilter: (filter: Filter | null) => void, onArranged: (change: Partial<View>) => void,
   * }} page
   */
  constructor(section, { tileOf, onMore, onFilter, onArranged }) {
    this.#section = section;
    this.#summary = find(section, ".summary", HTMLElement);
    this.#grid = find(section, ".grid", HTMLElement);
    this.#long = find(section, ".long", HTMLElement);
    /** @param {Partial<View>} change */
    const arranged = (change) => {
      this.#arrangement = { ...this.#arrangement, ...change };
      onArranged(change);
    };
    this.#fold = new Fold(this.#grid, (unlikely) => arranged({ unlikely }));
    this.#copies = new Copies({ tileOf: (image) => this.tile(image), onChange: (opened) => arranged({ opened }) });
    this.#tileOf = tileOf;
    this.#notice = new Notice(find(section, ".notice", HTMLElement), { onFilter, onRetried: () => this.takeFocus() });
    this.#more = new More(find(section, ".more", HTMLElement), {
      isEager: () => !this.#notice.isSeen, // after an error, it waits for the button
      onMore,
    });
    find(this.#long, "button", HTMLButtonElement).addEventListener("click", () => {
      this.#cancel();
      this.#notice.focus();
    });
  }

  /**
   * Something is on its way.
   * @param {boolean} keeps what is there, as it is about to be much the same
   */
  wait(keeps) {
    if (keeps && this.links.length > 0) {
      this.#section.ariaBusy = "true";
      return;
    }
    this.clear();
    this.#section.ariaBusy = "true";
    this.#summary.textContent = "Searching…";
    this.#grid.append(...Array.from({ length: SKELETONS }, skeleton), ...fillers());
  }

  /**
   * @param {number} seconds
   * @param {() => void} cancel
   */
  waitLong(seconds, cancel) {
    this.#summary.textContent = `Still searching: the server has not answered for ${seconds} seconds.`;
    this.#cancel = cancel;
    this.#long.hidden = false;
  }

  /**
   * @param {Found} found
   * @param {Summary} summary
   */
  show(found, summary) {
    this.clear();
    const last = fillers();
    this.#tail = last[0];
    this.#grid.append(...last);
    this.#lay(found.hits, found);
    this.summarise(summary);
  }

  /**
   * One more page. What is on the screen stays where it is, also where likely matches come to stand before it.
   * @param {StoredImage[]} hits
   * @param {Found} found with them
   * @param {Summary} summary
   */
  append(hits, found, summary) {
    const { place } = this;
    const wasAtButton = this.#more.hasFocus || this.#notice.hasFocus;
    const links = this.#lay(hits, found).map((made) => find(made, ".open", HTMLElement));
    this.summarise(summary);
    this.#notice.hide();
    if (place) {
      this.goTo(place);
    }
    if (wasAtButton && links.length > 0) { // the keyboard goes on with what is new
      (links.find(isShown) ?? this.#fold).focus({ preventScroll: true });
    }
  }

  /**
   * What is shown of it, now and of what is found from now on.
   * @param {Partial<View>} view
   */
  arrange({ opened, unlikely }) {
    this.#arrangement = { opened, unlikely };
    this.#copies.show(this.#grid, opened ?? []);
    this.#fold.turn(unlikely === true);
  }

  /** @param {StoredImage} image */
  tile(image) {
    return this.#tileOf(image, this.#copies);
  }

  /** @param {boolean} isLoading */
  set isLoadingMore(isLoading) {
    this.#more.isLoading = isLoading;
  }

  /** @param {number} seconds */
  loadsLong(seconds) {
    this.#more.loadsLong(seconds);
  }

  /**
   * @param {Failure} failure
   * @param {() => void | Promise<void>} retry
   */
  fail(failure, retry) {
    this.clear();
    this.#notice.tell(failure, retry);
  }

  /**
   * Something else than the search failed; what was found stays.
   * @param {Failure} failure
   * @param {() => void | Promise<void>} retry
   */
  failBeside(failure, retry) {
    this.#notice.tell(failure, retry);
  }

  showFailure() {
    this.#notice.scrollTo();
  }

  /** @returns {HTMLAnchorElement[]} the links that open the hits, in order, without those that are folded away */
  get links() {
    return [...this.#grid.querySelectorAll(".open")].filter((link) => link instanceof HTMLAnchorElement).filter(isShown);
  }

  /** @param {string} id */
  focus(id) {
    this.#fold.openFor(id);
    this.links.find((link) => link.dataset.id === id)?.focus();
  }

  /** The keyboard goes on with the first hit or, where there is none, with what failed, unless the visitor is somewhere else. */
  takeFocus() {
    const here = document.activeElement;
    if (!here || here === document.body || !isShown(here)) {
      (this.links[0] ?? this.#notice).focus({ preventScroll: true });
    }
  }

  /** @returns {Place | null} the first hit on the screen; none at the top */
  get place() {
    const seen = window.scrollY > 0 ? this.links.find((link) => link.getBoundingClientRect().bottom > 0) : undefined;
    const count = this.#grid.querySelectorAll(".hit:not(.copy)").length;
    return seen ? { id: String(seen.dataset.id), top: seen.getBoundingClientRect().top, count } : null;
  }

  /** @param {Place} place */
  goTo({ id, top }) {
    this.#fold.openFor(id);
    const link = this.links.find((one) => one.dataset.id === id);
    const by = link ? link.getBoundingClientRect().top - top : 0;
    if (Math.abs(by) >= 1) { // or who is scrolling would be stopped
      window.scrollBy(0, by);
    }
  }

  /** Nothing to show. The section itself stays, as a reader may not hear of a result in what has just come into being. */
  clear() {
    this.#section.ariaBusy = "false";
    this.#summary.replaceChildren();
    this.#grid.replaceChildren();
    this.#fold.reset();
    find(this.#section, ".doubt", HTMLElement).hidden = true;
    this.#notice.hide();
    this.#long.hidden = true;
    this.#more.isThere = false;
  }

  /**
   * Hits behind those that are there, each on its side of the fold.
   * @param {StoredImage[]} hits
   * @param {Found} found with them
   */
  #lay(hits, { least, isSpent, next }) {
    const tiles = hits.map((hit) => this.tile(hit));
    const unlikely = tiles.filter((_, at) => isUnlikely(hits[at], least));
    if (unlikely.length > 0 && !this.#fold.start) {
      this.#tail?.before(...this.#fold.begin());
    }
    (this.#fold.start ?? this.#tail)?.before(...tiles.filter((made) => !unlikely.includes(made)));
    this.#tail?.before(...unlikely);
    this.#grid.classList.toggle("spent", isSpent);
    this.#more.isThere = next !== null;
    this.arrange(this.#arrangement);
    return tiles;
  }

  /** @param {Summary} summary of what is there now */
  summarise({ count, relation, text, time, note }) {
    const how = element("span", relation, ...(text ? [" ", element("strong", text)] : []));
    how.className = "how";
    const others = [time, note].filter(Boolean).map((words) => element("span", words));
    others.forEach((other) => other.classList.toggle("time", other.textContent === time));
    this.#summary.replaceChildren(element("span", count, how), ...others);
    find(this.#section, ".doubt", HTMLElement).hidden = !this.#fold.holdsAll;
    this.#fold.turn(!this.#fold.isClosed); // in other words, if all before it was deleted
  }
}
