/** Hits that are likely no matches: they are there, but folded away until somebody asks for them. */

import { element } from "./element.js";

export class Fold {
  #grid;
  /** @type {HTMLElement | null} */
  #line = null;

  /** @param {HTMLElement} grid whose hits after the line are hidden while it has the class `folded` */
  constructor(grid) {
    this.#grid = grid;
  }

  get exists() {
    return this.#line !== null;
  }

  get isClosed() {
    return this.#grid.classList.contains("folded");
  }

  /** The line across the grid, behind which hits are less likely. */
  begin() {
    const button = element("button", "Less likely");
    button.type = "button";
    button.className = "button small";
    button.ariaExpanded = "false";
    button.addEventListener("click", () => this.#turn(button, this.isClosed));
    this.#line = element("li", button);
    this.#line.className = "fold";
    this.#grid.classList.add("folded");
    return this.#line;
  }

  reset() {
    this.#line = null;
    this.#grid.classList.remove("folded");
  }

  /**
   * If the hit is behind the line, show what is there.
   * @param {string} id
   */
  openFor(id) {
    const button = this.#line?.querySelector("button");
    if (button && this.isClosed && this.#grid.querySelector(`.fold ~ .hit [data-id="${CSS.escape(id)}"]`)) {
      this.#turn(button, true);
    }
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {boolean} isOpen
   */
  #turn(button, isOpen) {
    button.ariaExpanded = String(isOpen);
    this.#grid.classList.toggle("folded", !isOpen);
  }
}
