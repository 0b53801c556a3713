/** What went wrong, in words, and what can be done: try again, sign in, choose another image, leave a filter out. */

import { element, find } from "./element.js";

/** @import { Failure } from "./failures.js" */
/** @import { Filter } from "./query.js" */

export class Notice {
  #place;
  #again;
  #page;
  /** @type {() => void | Promise<void>} */
  #retry = () => undefined;
  #isUnreached = false; // which a connection that is there again may have mended

  /**
   * @param {HTMLElement} place
   * @param {{onFilter: (filter: Filter | null) => void, onRetried: () => void}} page onRetried: the button that was pressed is gone
   */
  constructor(place, page) {
    this.#place = place;
    this.#again = find(place, ".notice-retry", HTMLButtonElement);
    this.#page = page;
    this.#again.addEventListener("click", async () => {
      await this.#retry();
      page.onRetried();
    });
    const retry = () => this.isSeen && this.#isUnreached && this.#retry();
    window.addEventListener("online", retry);
    window.addEventListener("pageshow", ({ persisted }) => persisted && retry()); // WebKit keeps a page, and ends what it had asked for
  }

  get isSeen() {
    return !this.#place.hidden;
  }

  get hasFocus() {
    return this.#place.contains(document.activeElement);
  }

  /**
   * @param {Failure} failure
   * @param {() => void | Promise<void>} retry
   */
  tell({ title, message, said, requestId, wantsKey, final, ofFile, unreached, ways }, retry) {
    find(this.#place, "h2", HTMLElement).textContent = title;
    find(this.#place, ".notice-detail", HTMLElement).textContent = message;
    find(this.#place, "details", HTMLElement).hidden = !said && !requestId;
    find(this.#place, ".notice-said", HTMLElement).textContent = said;
    find(this.#place, "code", HTMLElement).textContent = requestId;
    this.#again.hidden = final && !wantsKey;
    this.#again.textContent = wantsKey ? "Sign in" : "Try again"; // which asks for a key once more
    find(this.#place, ".choose", HTMLElement).hidden = !ofFile;
    find(this.#place, ".ways", HTMLElement).replaceChildren(...ways.map(({ words, filter }) => this.#wayOut(words, filter)));
    this.#retry = retry;
    this.#isUnreached = unreached;
    this.#place.hidden = false;
  }

  hide() {
    this.#place.hidden = true;
  }

  /** @param {FocusOptions} [how] */
  focus(how) {
    this.#again.focus(how);
  }

  /** It stands behind all hits, or behind the first images: far from whoever follows a link. */
  scrollTo() {
    this.#place.scrollIntoView({ block: "center" });
  }

  /**
   * @param {string} words
   * @param {Filter | null} filter
   */
  #wayOut(words, filter) {
    const button = element("button", words);
    button.type = "button";
    button.className = "button small";
    button.addEventListener("click", () => this.#page.onFilter(filter));
    return element("li", button);
  }
}
