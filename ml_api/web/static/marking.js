/** Good and bad marks on hits: each is told to the service, and together they refine the search when the visitor asks for it. */

import { giveFeedback } from "./api.js";
import { find } from "./element.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Marks, Query } from "./query.js" */

/** @typedef {"more" | "less"} Mark */

const VERDICTS = { more: "relevant", less: "irrelevant" };

export class Marking {
  #bar;
  #onRefine;
  /** @type {Map<string, Mark>} by the image's id */
  #marks = new Map();
  #isUsed = false;
  /** @type {Set<string>} */
  #looked = new Set();
  #applied = "[]";
  /** @type {(id: string) => StoredImage | undefined} */
  #hit;

  /**
   * @param {HTMLElement} bar that offers to search again
   * @param {{hit: (id: string) => StoredImage | undefined, onRefine: (marks: Marks | null) => void}} page
   */
  constructor(bar, { hit, onRefine }) {
    this.#bar = bar;
    this.#hit = hit;
    this.#onRefine = onRefine;
    document.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button.mark") : null;
      if (button instanceof HTMLButtonElement) {
        this.toggle(String(button.dataset.id), markOf(button));
      }
    });
    find(bar, ".refine", HTMLButtonElement).addEventListener("click", () => onRefine(this.#all));
    find(bar, ".forget", HTMLButtonElement).addEventListener("click", () => this.#forget());
  }

  /**
   * The marks that the search at hand is refined by; those that were not applied are gone.
   * @param {Query | null} query
   */
  show(query) {
    const { more, less } = query?.marks ?? { more: [], less: [] };
    this.#marks = new Map([...more.map((id) => pair(id, "more")), ...less.map((id) => pair(id, "less"))]);
    this.#applied = this.#named;
    this.#isUsed = Boolean(query?.terms.length); // a listing has no order that marks would change
    this.#tell();
  }

  /**
   * @param {string} id
   * @param {Mark} mark one that is there already is taken back
   */
  toggle(id, mark) {
    if (!this.#isUsed) {
      return;
    }
    const isBack = this.#marks.get(id) === mark;
    this.#marks.delete(id);
    if (!isBack) {
      this.#marks.set(id, mark);
    }
    this.#judge(id, isBack ? "none" : VERDICTS[mark]);
    this.#tell();
  }

  /**
   * That it was looked at.
   * @param {string} id
   */
  opened(id) {
    const hit = JSON.stringify([this.#hit(id)?.query_id, id]);
    if (!this.#looked.has(hit)) {
      this.#looked.add(hit);
      this.#judge(id, "clicked");
    }
  }

  /**
   * The buttons below `root` are for this image.
   * @param {ParentNode} root
   * @param {StoredImage} image
   * @param {string} caption
   */
  offer(root, { id }, caption) {
    for (const button of root.querySelectorAll("button.mark")) {
      if (button instanceof HTMLButtonElement) {
        button.dataset.id = id;
        button.ariaLabel = `${markOf(button) === "more" ? "Good match" : "Bad match"}: ${caption}`;
        this.#press(button);
      }
    }
  }

  #forget() {
    for (const id of this.#marks.keys()) {
      this.#judge(id, "none");
    }
    this.#marks.clear();
    this.#tell();
    if (this.#applied !== "[]") {
      this.#onRefine(null);
    }
  }

  /**
   * Of the search that found it. What comes of that is nobody's concern here: the search is refined all the same.
   * @param {string} id
   * @param {string} verdict
   */
  #judge(id, verdict) {
    const queryId = this.#hit(id)?.query_id;
    if (queryId) {
      giveFeedback(queryId, id, verdict).catch(() => undefined);
    }
  }

  #tell() {
    for (const button of document.querySelectorAll("button.mark")) {
      if (button instanceof HTMLButtonElement) {
        this.#press(button);
      }
    }
    const count = this.#marks.size;
    this.#bar.hidden = this.#named === this.#applied;
    find(this.#bar, ".chosen", HTMLElement).textContent = marksInWords(count);
    find(this.#bar, ".refine", HTMLButtonElement).textContent = count > 0 ? "Refine the search" : "Search without marks";
  }

  /** @param {HTMLButtonElement} button */
  #press(button) {
    button.setAttribute("aria-pressed", String(this.#marks.get(String(button.dataset.id)) === markOf(button)));
  }

  get #named() {
    return JSON.stringify([...this.#marks].sort());
  }

  /** @returns {Marks | null} */
  get #all() {
    /** @type {(wanted: Mark) => string[]} */
    const of = (wanted) => [...this.#marks].flatMap(([id, mark]) => (mark === wanted ? [id] : []));
    return this.#marks.size > 0 ? { more: of("more"), less: of("less") } : null;
  }
}

/** @param {number} count */
export function marksInWords(count) {
  return count === 0 ? "No marks" : count === 1 ? "1 mark" : `${count} marks`;
}

/**
 * @param {HTMLButtonElement} button
 * @returns {Mark}
 */
function markOf(button) {
  return button.classList.contains("good") ? "more" : "less";
}

/**
 * @param {string} id
 * @param {Mark} mark
 * @returns {[string, Mark]}
 */
function pair(id, mark) {
  return [id, mark];
}
