/** The search box: words, and beside them what else the search is made of. Searches while one types. */

import { Chips } from "./chips.js";
import { find } from "./element.js";
import { ALL } from "./query.js";
import { termsTyped } from "./typed.js";

/** @import { Query, Term } from "./query.js" */

const TYPING_PAUSE_MS = 350; // as long as it takes to find the next letter
const LEAST_TYPED = 2;

export class Box {
  #input;
  #add;
  #chips;
  #page;
  #timer = 0;

  /**
   * @param {HTMLElement} area
   * @param {HTMLTemplateElement} template of a chip
   * @param {{
   *   onSearch: (terms: Term[]) => void, onAdjust: (change: Partial<Query>) => void, onTyped: (terms: Term[]) => void, onClear: () => void, onCrop: (term: Term) => void,
   *   describe: (term: Term) => Promise<{source: string, name: string}>,
   * }} page
   */
  constructor(area, template, page) {
    this.#page = page;
    this.#input = find(area, "input[type=search]", HTMLInputElement);
    this.#add = find(area, ".add", HTMLButtonElement);
    this.#chips = new Chips(find(area, ".terms", HTMLElement), template, {
      describe: page.describe,
      onCrop: page.onCrop,
      onChange: () => this.#search(),
      onAdjust: page.onAdjust,
      onRemoved: () => this.#input.focus(),
    });
    this.#add.addEventListener("click", () => this.#setAside());
    this.#input.addEventListener("input", (event) => this.#typed(event));
    this.#input.addEventListener("compositionend", (event) => this.#typed(event));
    find(area, "form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** Ready to type, where that does not raise a keyboard over the page. */
  invite() {
    if (matchMedia("(hover: hover)").matches) {
      this.#input.focus();
    }
  }

  /** @param {Query | null} query */
  show(query) {
    clearTimeout(this.#timer);
    const terms = query?.terms ?? [];
    const words = terms.find(({ text, weight }) => text && weight === 1);
    this.#input.value = words?.text ?? "";
    this.#chips.show({ ...(query ?? ALL), terms: terms.filter((term) => term !== words) });
    this.#arrange();
  }

  /** @returns {Term[]} */
  get #terms() {
    return [...termsTyped(this.#input.value), ...this.#chips.terms];
  }

  #submit() {
    clearTimeout(this.#timer);
    if (this.#terms.length === 0) {
      this.#input.focus();
      return;
    }
    if (matchMedia("(hover: none)").matches) {
      this.#input.blur(); // a phone's keyboard would cover what is found
    }
    this.#search();
  }

  #search() {
    clearTimeout(this.#timer);
    const terms = this.#terms;
    if (terms.length > 0) {
      this.#page.onSearch(terms);
    } else {
      this.#page.onClear();
    }
  }

  /** @param {Event} event */
  #typed(event) {
    clearTimeout(this.#timer);
    this.#arrange();
    const isComposing = event instanceof InputEvent && event.isComposing; // of Chinese or Japanese words, say
    const typed = this.#input.value.trim();
    if (!isComposing && (typed.length >= LEAST_TYPED || (typed === "" && (this.#chips.terms.length > 0 || this.#chips.query.filter)))) {
      this.#timer = setTimeout(() => this.#page.onTyped(this.#terms), TYPING_PAUSE_MS);
    }
  }

  /** What was typed becomes a part of its own, and the box is free for further words. */
  #setAside() {
    this.#chips.show({ ...this.#chips.query, terms: this.#terms });
    this.#input.value = "";
    this.#arrange();
    this.#input.focus();
  }

  #arrange() {
    const isAlone = this.#chips.terms.length + (this.#input.value.trim() ? 1 : 0) <= 1;
    this.#chips.isAlone = isAlone;
    this.#add.disabled = !this.#input.value.trim();
    this.#input.placeholder = this.#chips.terms.length > 0 ? "Add words" : "Describe an image";
  }
}
