/** What a search is made of beside the words in the box: further words and images, each wanted or unwanted, and how much. */

import { copyOf, element, find } from "./element.js";
import { conditionsOf, withoutCondition } from "./filters/conditions.js";
import { marksInWords } from "./marking.js";
import { ALL, identityOf, nameOf } from "./query.js";

/** @import { Part, Query, Term } from "./query.js" */

const PART_PX = 128; // more than a chip shows
const WEIGHTS = new Map([
  [0.25, "a little"],
  [0.5, "half"],
  [1, "fully"],
  [2, "doubly"],
]);

export class Chips {
  #list;
  #template;
  #page;
  #query = ALL;

  /**
   * @param {HTMLElement} list
   * @param {HTMLTemplateElement} template
   * @param {{
   *   describe: (term: Term) => Promise<{source: string, name: string}>,
   *   onCrop: (term: Term) => void, onChange: () => void, onAdjust: (change: Partial<Query>) => void, onRemoved: () => void,
   * }} page
   */
  constructor(list, template, page) {
    this.#list = list;
    this.#template = template;
    this.#page = page;
  }

  get terms() {
    return this.#query.terms;
  }

  /** @param {boolean} isAlone whether there is nothing that this would weigh against */
  set isAlone(isAlone) {
    this.#list.classList.toggle("alone", isAlone);
  }

  get query() {
    return this.#query;
  }

  /** @param {Query} query without what stands in the box */
  show(query) {
    const { terms, filter, marks } = query;
    const shown = nameOf(query);
    this.#query = query;
    this.#list.hidden = terms.length === 0 && !filter && !marks;
    if (shown !== this.#list.dataset.shown) {
      this.#list.dataset.shown = shown;
      const place = this.#focused();
      this.#drop();
      this.#list.append(...terms.map((term) => this.#chip(term)), ...conditionsOf(filter).map((one) => this.#condition(one)));
      if (marks) {
        const words = `Refined by ${marksInWords(marks.more.length + marks.less.length)}`;
        this.#list.append(this.#plain(words, "Search without the marks", { marks: null }));
      }
      this.#refocus(place);
    }
  }

  /** @param {{field: string, words: string}} condition */
  #condition({ field, words }) {
    return this.#plain(words, `Remove the filter: ${words}`, { filter: withoutCondition(this.#query.filter, field) });
  }

  /**
   * A chip that can only be removed.
   * @param {string} words
   * @param {string} removal
   * @param {Partial<Query>} change that removes it
   */
  #plain(words, removal, change) {
    const chip = copyOf(this.#template);
    chip.classList.add("condition");
    find(chip, ".what", HTMLElement).append(words);
    for (const control of chip.querySelectorAll(".sign, .weight, .crop-part")) {
      control.remove();
    }
    const remove = find(chip, ".remove", HTMLButtonElement);
    remove.ariaLabel = removal;
    remove.addEventListener("click", () => {
      this.#page.onAdjust(change);
      this.#page.onRemoved();
    });
    return chip;
  }

  /** @param {Term} term */
  #chip(term) {
    const chip = copyOf(this.#template);
    chip.dataset.term = identityOf(term);
    chip.classList.toggle("less", term.weight < 0);
    const sign = find(chip, ".sign", HTMLButtonElement);
    sign.textContent = term.weight < 0 ? "−" : "+";
    sign.setAttribute("aria-pressed", String(term.weight < 0));
    sign.addEventListener("click", () => this.#change(term, { ...term, weight: -term.weight }));
    const weight = find(chip, "select", HTMLSelectElement);
    const strength = Math.abs(term.weight);
    const words = new Map([...WEIGHTS, [strength, WEIGHTS.get(strength) ?? `× ${strength}`]]);
    weight.append(...[...words].sort(([a], [b]) => a - b).map(([value, text]) => new Option(text, String(value), false, value === strength)));
    weight.addEventListener("change", () => this.#change(term, { ...term, weight: Math.sign(term.weight) * Number(weight.value) }));
    find(chip, ".crop-part", HTMLButtonElement).addEventListener("click", () => this.#page.onCrop(term));
    find(chip, ".remove", HTMLButtonElement).addEventListener("click", () => {
      this.#query = { ...this.#query, terms: this.terms.filter((one) => one !== term) };
      this.#page.onChange();
      this.#page.onRemoved();
    });
    if (term.text) {
      find(chip, ".what", HTMLElement).append(term.text);
      find(chip, ".crop-part", HTMLElement).remove();
      this.#name(chip, `“${term.text}”`, "Remove these words from the search");
    } else {
      this.#picture(chip, term);
    }
    return chip;
  }

  /**
   * @param {HTMLElement} chip
   * @param {Term} term
   */
  async #picture(chip, term) {
    const picture = element("img");
    picture.alt = "";
    picture.addEventListener("error", () => picture.remove()); // of a kind that this browser does not show
    const what = find(chip, ".what", HTMLElement);
    this.#name(chip, "the image", "Remove the image from the search");
    try {
      const { source, name } = await this.#page.describe(term);
      what.append(picture);
      picture.src = term.part ? await partOf(source, term.part) : source;
      picture.alt = `Searching with ${term.part ? "a part of " : ""}${name}`;
      this.#name(chip, name, `Remove the image from the search: ${name}`);
    } catch {
      what.append("an image"); // which is gone: the search itself says so
      find(chip, ".crop-part", HTMLElement).remove();
    }
  }

  /**
   * @param {HTMLElement} chip
   * @param {string} name
   * @param {string} removal
   */
  #name(chip, name, removal) {
    find(chip, ".sign", HTMLElement).ariaLabel = `Less like ${name}`;
    find(chip, "select", HTMLElement).ariaLabel = `How much ${name} counts`;
    find(chip, ".remove", HTMLElement).ariaLabel = removal;
    const crop = chip.querySelector(".crop-part");
    if (crop) {
      crop.ariaLabel = `Search with a part of ${name}`;
    }
  }

  /**
   * @param {Term} before
   * @param {Term} after
   */
  #change(before, after) {
    this.#query = { ...this.#query, terms: this.terms.map((term) => (term === before ? after : term)) };
    this.#page.onChange();
  }

  /** Which control of which chip has the focus. */
  #focused() {
    const active = document.activeElement;
    const chip = active?.closest("[data-term]");
    return active && chip instanceof HTMLElement && this.#list.contains(chip) ? [chip.dataset.term, active.classList[0]] : null;
  }

  /** @param {(string | undefined)[] | null} place */
  #refocus(place) {
    const chip = place && [...this.#list.children].find((one) => one instanceof HTMLElement && one.dataset.term === place[0]);
    const control = chip?.querySelector(`.${place?.[1]}`);
    if (control instanceof HTMLElement) {
      control.focus();
    }
  }

  #drop() {
    for (const picture of this.#list.querySelectorAll("img")) {
      URL.revokeObjectURL(picture.src); // of a stored image's address this does nothing
    }
    this.#list.replaceChildren();
  }
}

/**
 * The part alone, as an image: Firefox, and Safari before 27, cannot show one of an image.
 * @param {string} source
 * @param {Part} part
 */
async function partOf(source, [left, top, width, height]) {
  const whole = new Image();
  whole.src = source;
  await whole.decode();
  URL.revokeObjectURL(source); // of a stored image's address this does nothing
  const [cutWidth, cutHeight] = [width * whole.naturalWidth, height * whole.naturalHeight];
  const scale = PART_PX / Math.max(cutWidth, cutHeight);
  const canvas = element("canvas");
  canvas.width = Math.max(1, Math.round(cutWidth * scale));
  canvas.height = Math.max(1, Math.round(cutHeight * scale));
  const from = [left * whole.naturalWidth, top * whole.naturalHeight];
  canvas.getContext("2d")?.drawImage(whole, from[0], from[1], cutWidth, cutHeight, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL();
}
