/** The filter panel: a column beside the results, and where that is too narrow a sheet over them. */

import { element, find } from "../element.js";
import { Failure } from "../failures.js";
import { conditionsOf, withConditionOn, withoutCondition } from "./conditions.js";
import { controlOf } from "./controls.js";
import { controlsFor, OWN } from "./fields.js";

/** @import { Facets } from "../api.js" */
/** @import { Filter, Query } from "../query.js" */
/** @import { Control, Known, Value } from "./fields.js" */
/** @import { Made } from "./controls.js" */

const WIDE = "(min-width: 60rem)"; // enough for a column beside the results
const MAX_COUNTED = 10; // fields in one request
const MAX_VALUES = 20; // of a field, in an answer
const UNCOUNTED = /** @type {Facets} */ ({ over: 0, fields: {} });
const number = new Intl.NumberFormat("en");
const OPEN_AT_FIRST = 5; // fields whose controls are seen without asking

export class FilterPanel {
  #dialog;
  #button;
  #list;
  #page;
  #wide = matchMedia(WIDE);
  /** @type {Filter | null} */
  #filter = null; // none where that of the search cannot be read
  /** @type {Map<string, {made: Made, group: HTMLDetailsElement}>} by the field's name */
  #controls = new Map();
  #counting = new AbortController();
  /** @type {Set<string>} fields that are counted, or being counted, for the search at hand */
  #counted = new Set();
  #whole = ""; // what is said of counts of all images

  /**
   * @param {HTMLDialogElement} dialog
   * @param {HTMLButtonElement} button that opens and closes it
   * @param {{
   *   known: () => Promise<Known>, facets: (names: string[], filter: Filter | null, signal: AbortSignal) => Promise<Facets | null>,
   *   onFilter: (filter: Filter | null) => void, onApart: (apart: boolean) => void, onTurn: (isOpen: boolean) => void,
   * }} page
   */
  constructor(dialog, button, page) {
    this.#dialog = dialog;
    this.#button = button;
    this.#list = find(dialog, ".fields", HTMLElement);
    this.#page = page;
    const apart = find(dialog, ".apart", HTMLInputElement);
    apart.addEventListener("change", () => page.onApart(apart.checked));
    button.addEventListener("click", () => this.turn(!dialog.open));
    find(dialog, ".close", HTMLButtonElement).addEventListener("click", () => dialog.close());
    find(dialog, ".done", HTMLButtonElement).addEventListener("click", () => dialog.close());
    find(dialog, ".clear", HTMLButtonElement).addEventListener("click", () => page.onFilter(null));
    dialog.addEventListener("keydown", (event) => event.key === "Escape" && dialog.close()); // a column has no such key of its own
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.matches(":modal") && dialog.close()); // its backdrop
    dialog.addEventListener("close", () => this.#tell());
    this.#wide.addEventListener("change", () => dialog.open && this.#appear());
  }

  /** @param {Query | null} query */
  show(query) {
    const filter = query?.filter ?? null;
    const count = conditionsOf(filter).length;
    this.#filter = typeof filter === "string" ? null : filter;
    find(this.#dialog, ".apart", HTMLInputElement).checked = query?.apart === true;
    find(this.#button, ".number", HTMLElement).textContent = count > 0 ? String(count) : "";
    find(this.#dialog, ".clear", HTMLButtonElement).disabled = count === 0;
    this.#show(this.#filter);
    this.#recount();
  }

  /** @param {Filter | null} filter */
  #show(filter) {
    for (const [name, { made, group }] of this.#controls) {
      const condition = filter?.[name];
      made.show(condition);
      group.classList.toggle("active", condition !== undefined);
      group.open ||= condition !== undefined;
    }
  }

  /** @param {boolean} isOpen */
  turn(isOpen) {
    if (isOpen && !this.#dialog.open) {
      this.#open();
    } else if (!isOpen) {
      this.#dialog.close();
    }
  }

  #tell() {
    const isOpen = this.#dialog.open; // when it changes from a column to a sheet, it is closed for a moment
    if (String(isOpen) !== this.#button.ariaExpanded) {
      this.#button.ariaExpanded = String(isOpen);
      this.#page.onTurn(isOpen);
    }
  }

  async #open() {
    this.#appear();
    this.#tell();
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
      group.addEventListener("toggle", () => group.open && this.#count());
      this.#controls.set(control.name, { made, group });
      return group;
    });
    this.#list.replaceChildren(...groups);
    this.#show(this.#filter);
    this.#recount();
  }

  /** Of what is searched for, not of all images. */
  #recount() {
    this.#counting.abort();
    this.#counting = new AbortController();
    this.#counted.clear();
    this.#count();
  }

  /**
   * As far as fields are open to be seen. A field that is chosen from already is counted without that choice: what else could be chosen.
   * Each such field is a request of its own.
   */
  async #count() {
    const names = [...this.#controls].filter(([, { made, group }]) => made.isCounted && group.open).map(([name]) => name);
    const fresh = this.#dialog.open ? names.filter((name) => !this.#counted.has(name)) : [];
    fresh.forEach((name) => this.#counted.add(name));
    const free = fresh.filter((name) => !this.#filter?.[name]);
    const chosen = fresh.filter((name) => this.#filter?.[name]);
    const answers = [
      ...inTurn(free, MAX_COUNTED).map((some) => this.#countOf(some, this.#filter)),
      ...chosen.map((name) => this.#countOf([name], withoutCondition(this.#filter, name))),
    ];
    const { signal } = this.#counting;
    const note = answers.length > 0 ? await answers[0] : this.#whole;
    if (!signal.aborted && (answers.length > 0 || this.#counted.size === 0)) {
      this.#note(note);
    }
  }

  /**
   * @param {string[]} names of fields
   * @param {Filter | null} filter
   * @returns {Promise<string>} over what they were counted
   */
  async #countOf(names, filter) {
    const { signal } = this.#counting;
    const facets = await this.#page.facets(names, filter, signal).catch(() => UNCOUNTED); // the search itself says what is wrong
    if (!signal.aborted) {
      names.forEach((name) => this.#controls.get(name)?.made.count(facets ? countIn(facets.fields[name]) : ofAll));
    }
    if (facets) {
      return overWhat(facets.over);
    }
    return this.#filter ? "Counted over all images, without the filters." : this.#whole;
  }

  /** @param {string} text */
  #note(text) {
    find(this.#dialog, ".note", HTMLElement).textContent = text;
  }
}

/**
 * @template Item
 * @param {Item[]} items
 * @param {number} most of them at a time
 */
function inTurn(items, most) {
  return Array.from({ length: Math.ceil(items.length / most) }, (_, at) => items.slice(at * most, (at + 1) * most));
}

/**
 * How many of what was found have a value; null where that is not known, as only the most frequent values are counted.
 * @param {{value: Value, count: number}[]} [counted]
 * @returns {(value: Value) => number | null}
 */
function countIn(counted) {
  const counts = new Map(counted?.map(({ value, count }) => [value, count]));
  const rest = counted && counted.length < MAX_VALUES ? 0 : null;
  return (value) => counts.get(value) ?? rest;
}

/**
 * @param {Value} _
 * @param {number | null} images
 */
function ofAll(_, images) {
  return images;
}

/** @param {number} hits */
function overWhat(hits) {
  return hits > 0 ? `Counted over the best ${hits === 1 ? "hit" : `${number.format(hits)} hits`}.` : "";
}
