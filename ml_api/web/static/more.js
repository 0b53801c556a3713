/** The end of the grid: more is asked for as it comes into sight, and by its button. */

import { find } from "./element.js";

const AHEAD = "300px"; // so far before it is in sight

export class More {
  #place;
  #button;
  #watch;

  /**
   * @param {HTMLElement} place behind the grid
   * @param {{isEager: () => boolean, onMore: () => void}} page isEager: whether to ask without the button
   */
  constructor(place, { isEager, onMore }) {
    this.#place = place;
    this.#button = find(place, "button", HTMLButtonElement);
    this.#button.addEventListener("click", onMore);
    const come = (/** @type {IntersectionObserverEntry[]} */ entries) =>
      entries.some((entry) => entry.isIntersecting) && !place.hidden && isEager() && onMore();
    this.#watch = new IntersectionObserver(come, { rootMargin: `0px 0px ${AHEAD}` });
    this.#watch.observe(place);
  }

  get hasFocus() {
    return this.#place.contains(document.activeElement);
  }

  /** @param {boolean} isThere whether there is more */
  set isThere(isThere) {
    this.#place.hidden = !isThere;
  }

  /** @param {boolean} isLoading */
  set isLoading(isLoading) {
    this.#button.textContent = isLoading ? "Loading…" : "Show more";
    this.#button.setAttribute("aria-disabled", String(isLoading));
    this.#watch.unobserve(this.#place);
    this.#watch.observe(this.#place); // tells where the end is now: who keeps on scrolling was never seen to be away from it
  }

  /** @param {number} seconds */
  loadsLong(seconds) {
    this.#button.textContent = `Still loading: the server has not answered for ${seconds} seconds`;
  }
}
