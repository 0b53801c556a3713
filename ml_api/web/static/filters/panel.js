/** The filter panel: a column beside the results, and where that is too narrow a sheet over them. */

import { element, find } from "../element.js";
import { Failure } from "../failures.js";
import { conditionsOf, withConditionOn } from "./conditions.js";
import { controlOf } from "./controls.js";
import { controlsFor, OWN } from "./fields.js";

/** @import { Facets } from "../api.js" */
/** @import { Filter, Query } from "../query.js" */
/** @import { Control, Known } from "./fields.js" */
/** @import { Made } from "./controls.js" */

const WIDE = "(min-width: 60rem)"; // enough for a column beside the results
const MOST_COUNTED = 10; // fields in one request
const number = new Intl.NumberFormat("en");
const OPEN_AT_FIRST = 5; // fields whose controls are seen without asking

export class FilterPanel {
  #dialog;
  #button;
  #list;
  #page;
  #wide = matchMedia(WIDE);
  /** @type {Filter | null} */
  #filter = null;
  /** @type {Map<string, {made: Made, group: HTMLDetailsElement}>} by the field's name */
  #controls = new Map();
  #counting = new AbortController();
  #whole = ""; // what is said of counts of all images

  /**
   * @param {HTMLDialogElement} dialog
   * @param {HTMLButtonElement} button that opens and closes it
   * @param {{
   *   known: () => Promise<Known>, facets: (names: string[], signal: AbortSignal) => Promise<Facets | null>,
   *   onFilter: (filter: Filter | null) => void, onApart: (apart: boolean) => void,
   * }} page
   */
  constructor(dialog, button, page) {
    this.#dialog = dialog;
    this.#button = button;
    this.#list = find(dialog, ".fields", HTMLElement);
    this.#page = page;
    const apart = find(dialog, ".apart", HTMLInputElement);
    apart.addEventListener("change", () => page.onApart(apart.checked));
    button.addEventListener("click", () => (dialog.open ? dialog.close() : this.#open()));
    find(dialog, ".close", HTMLButtonElement).addEventListener("click", () => dialog.close());
    find(dialog, ".done", HTMLButtonElement).addEventListener("click", () => dialog.close());
    find(dialog, ".clear", HTMLButtonElement).addEventListener("click", () => page.onFilter(null));
    dialog.addEventListener("keydown", (event) => event.key === "Escape" && dialog.close()); // a column has no such key of its own
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.matches(":modal") && dialog.close()); // its backdrop
    dialog.addEventListener("close", () => button.setAttribute("aria-expanded", "false"));
    this.#wide.addEventListener("change", () => dialog.open && this.#appear());
  }

  /** @param {Query | null} query */
  show(query) {
    const filter = query?.filter ?? null;
    this.#filter = filter;
    find(this.#dialog, ".apart", HTMLInputElement).checked = query?.apart === true;
    this.#show(filter);
    this.#count();
  }

  /** @param {Filter | null} filter */
  #show(filter) {
    const count = conditionsOf(filter).length;
    find(this.#button, ".number", HTMLElement).textContent = count > 0 ? String(count) : "";
    find(this.#dialog, ".clear", HTMLButtonElement).disabled = count === 0;
    for (const [name, { made, group }] of this.#controls) {
      const condition = filter?.[name];
      made.show(condition);
      group.classList.toggle("active", condition !== undefined);
      group.open ||= condition !== undefined;
    }
  }

  close() {
    if (this.#dialog.open) {
      this.#dialog.close();
    }
  }

  async #open() {
    this.#appear();
    this.#button.setAttribute("aria-expanded", "true");
    if (this.#controls.size === 0) {
      this.#note("Looking at what is known of the images…");
    }
    try {
      const { fields, over, whole } = await this.#page.known();
      this.#whole = whole ? "" : `Counted over ${number.format(over)} images.`;
      this.#build(controlsFor(fields));
    } catch (failure) {
      this.#whole = failure instanceof Failure ? `${failure.title}. What images have in common is not known.` : String(failure);
      this.#build([]);
    }
  }

  /** As a column or as a sheet, whichever there is room for. */
  #appear() {
    const hadFocus = this.#dialog.contains(document.activeElement) ? document.activeElement : null;
    this.#dialog.close();
    this.#dialog[this.#wide.matches ? "show" : "showModal"]();
    if (hadFocus instanceof HTMLElement) {
      hadFocus.focus();
    }
  }

  /** @param {Control[]} fields */
  #build(fields) {
    const isOpen = new Set([...this.#controls].filter(([, { group }]) => group.open).map(([name]) => name));
    const isFirst = this.#controls.size === 0;
    this.#controls.clear();
    const groups = [...fields, ...OWN].map((control, at) => {
      const made = controlOf(control, (condition) => this.#page.onFilter(withConditionOn(this.#filter, control.name, condition)));
      made.element.role = "group";
      made.element.ariaLabel = control.label;
      const group = element("details", element("summary", control.label), made.element);
      group.open = isFirst ? at < OPEN_AT_FIRST : isOpen.has(control.name);
      this.#controls.set(control.name, { made, group });
      return group;
    });
    this.#list.replaceChildren(...groups);
    this.#show(this.#filter);
    this.#count();
  }

  /** Of what is searched for, not of all images: as far as fields are open to be seen, and chosen from by nothing yet. */
  async #count() {
    this.#counting.abort();
    this.#counting = new AbortController();
    const { signal } = this.#counting;
    const names = [...this.#controls].flatMap(([name, { made }]) => (made.isCounted && !this.#filter?.[name] ? [name] : [])).slice(0, MOST_COUNTED);
    const facets = this.#dialog.open ? await this.#page.facets(names, signal).catch(() => null) : null; // the search itself says what is wrong
    if (!signal.aborted) {
      for (const [name, { made }] of this.#controls) {
        const counted = facets?.fields[name];
        made.count(counted ? new Map(counted.map(({ value, count }) => [value, count])) : null);
      }
      this.#note(facets ? `Counted over the best ${number.format(facets.over)} hits.` : this.#whole);
    }
  }

  /** @param {string} text */
  #note(text) {
    find(this.#dialog, ".note", HTMLElement).textContent = text;
  }
}
