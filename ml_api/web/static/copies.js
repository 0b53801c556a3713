/** Copies of a hit: one image stands for all that are equal or probably the same, and a button shows the others beside it. */

import { find } from "./element.js";

/** @import { StoredImage } from "./api.js" */

export class Copies {
  #tileOf;
  #onChange;
  /** @type {string[]} ids of hits whose copies are shown */
  #opened = [];
  /** @type {WeakMap<HTMLElement, (isOpen: boolean) => void>} by their buttons */
  #turns = new WeakMap();

  /** @param {{tileOf: (image: StoredImage) => HTMLElement, onChange: (opened: string[]) => void}} page */
  constructor({ tileOf, onChange }) {
    this.#tileOf = tileOf;
    this.#onChange = onChange;
  }

  /**
   * The button on a tile whose image stands for others.
   * @param {HTMLElement} made the tile
   * @param {StoredImage} image
   * @param {string} caption
   */
  offer(made, { id, links, group }, caption) {
    const button = find(made, ".copies", HTMLButtonElement);
    button.hidden = !group;
    if (!group) {
      return;
    }
    const areCopies = group.hits.every((other) => versionOf(other.links) === versionOf(links));
    const words = `${group.size} ${areCopies ? "copies" : "alike"}`;
    button.textContent = words;
    button.title = areCopies ? "" : "Probably the same picture";
    button.ariaLabel = `${words} of ${caption}`; // begins as what is seen of it
    button.ariaExpanded = "false";
    button.dataset.id = id;
    /** @type {HTMLElement[]} */
    let shown = [];
    this.#turns.set(button, (isOpen) => {
      if (isOpen !== shown.length > 0) {
        shown.forEach((copy) => copy.remove());
        shown = isOpen ? group.hits.map(this.#tileOf) : [];
        shown.forEach((copy) => copy.classList.add("copy"));
        made.after(...shown);
        made.classList.toggle("opened", isOpen);
        button.ariaExpanded = String(isOpen);
      }
    });
    button.addEventListener("click", () => {
      const others = this.#opened.filter((one) => one !== id);
      const isOpening = button.ariaExpanded === "false";
      this.#turns.get(button)?.(isOpening);
      this.#opened = isOpening ? [...others, id] : others;
      this.#onChange(this.#opened);
    });
  }

  /**
   * Those of these hits are shown, of no others.
   * @param {ParentNode} grid
   * @param {string[]} ids
   */
  show(grid, ids) {
    this.#opened = ids;
    for (const button of grid.querySelectorAll(".copies")) {
      if (button instanceof HTMLElement) {
        this.#turns.get(button)?.(ids.includes(String(button.dataset.id)));
      }
    }
  }
}

/**
 * Which bytes a file has: the first digits of their digest.
 * @param {StoredImage["links"]} links
 */
function versionOf({ content }) {
  return new URL(content, location.href).searchParams.get("v");
}
