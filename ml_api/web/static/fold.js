/** Hits that are likely no matches: they are there, but folded away until somebody asks for them. */

import { element } from "./element.js";
import { fillers } from "./tile.js";

const LESS_LIKELY = { show: "Show less likely images", hide: "Hide less likely images" };
const ALL = { show: "Show the closest images all the same", hide: "Hide the closest images" };

export class Fold {
  #grid;
  #onTurn;
  /** @type {HTMLElement | null} */
  #line = null;
  /** @type {HTMLElement | null} */
  #start = null;

  /**
   * @param {HTMLElement} grid whose hits after the line are hidden while it has the class `folded`
   * @param {(isOpen: boolean) => void} onTurn
   */
  constructor(grid, onTurn) {
    this.#grid = grid;
    this.#onTurn = onTurn;
  }

  /** Whether all hits stand behind the line. */
  get holdsAll() {
    return this.#grid.querySelector(".fold ~ .hit") !== null && !this.#grid.querySelector(".hit:has(~ .fold)");
  }

  get isClosed() {
    return this.#grid.classList.contains("folded");
  }

  /** The end of the likely hits: before it another one is to stand. Null without a fold. */
  get start() {
    return this.#start;
  }

  /** The line across the grid, behind which hits are less likely, and what ends the row before it. */
  begin() {
    const button = element("button");
    button.type = "button";
    button.className = "button small";
    button.ariaExpanded = "false";
    button.addEventListener("click", () => this.#tell(this.isClosed));
    this.#line = element("li", button);
    this.#line.className = "fold";
    this.#grid.classList.add("folded");
    const last = fillers();
    this.#start = last[0];
    return [...last, this.#line];
  }

  reset() {
    this.#line = null;
    this.#start = null;
    this.#grid.classList.remove("folded");
  }

  /** @param {FocusOptions} [how] */
  focus(how) {
    this.#line?.querySelector("button")?.focus(how);
  }

  /**
   * If the hit is behind the line, show what is there.
   * @param {string} id
   */
  openFor(id) {
    if (this.isClosed && this.#grid.querySelector(`.fold ~ .hit [data-id="${CSS.escape(id)}"]`)) {
      this.#tell(true);
    }
  }

  /** @param {boolean} isOpen */
  #tell(isOpen) {
    this.turn(isOpen);
    this.#onTurn(isOpen);
  }

  /** @param {boolean} isOpen */
  turn(isOpen) {
    const button = this.#line?.querySelector("button");
    if (button) {
      button.ariaExpanded = String(isOpen);
      const { show, hide } = this.holdsAll ? ALL : LESS_LIKELY;
      button.textContent = isOpen ? hide : show;
      this.#grid.classList.toggle("folded", !isOpen);
    }
  }
}
