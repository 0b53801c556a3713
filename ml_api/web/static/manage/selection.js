/** Choosing many images and deleting them, after asking once. */

import { element, find, isShown } from "../element.js";
import { Failure, inOneLine } from "../failures.js";
import { ask } from "../requests.js";

const WAIT_S = 5; // for the index to follow

export class Selection {
  #bar;
  #confirm;
  #page;
  /** @type {HTMLInputElement | null} */
  #latest = null; // that was chosen or left out
  #isRange = false; // Shift was held as this one was pressed: all from there on
  #stops = 0;

  /**
   * @param {HTMLElement} bar
   * @param {HTMLDialogElement} confirm
   * @param {{onDeleted: (id: string) => HTMLElement | null, onEnd: () => void}} page onDeleted returns the tile of what takes its
   *   place; onEnd: all that were chosen are, and their tiles are gone
   */
  constructor(bar, confirm, page) {
    this.#bar = bar;
    this.#confirm = confirm;
    this.#page = page;
    document.addEventListener("pointerdown", (event) => {
      this.#isRange = event.shiftKey && event.target instanceof Element && event.target.closest(".pick") !== null; // a change tells no keys
    });
    document.addEventListener("click", (event) => {
      if (event.target instanceof HTMLLabelElement && event.target.matches(".pick")) {
        event.preventDefault();
        find(event.target, "input", HTMLInputElement).click(); // in Firefox, labels ignore clicks with Shift
      }
    });
    document.addEventListener("change", (event) => {
      if (event.target instanceof HTMLInputElement && event.target.matches(".pick input")) {
        this.#say(""); // of what was deleted before
        if (event.isTrusted) { // who presses a button that selects several selects those alone
          this.#extendTo(event.target);
        }
        this.#count();
      }
    });
    find(bar, ".done", HTMLButtonElement).addEventListener("click", () => this.#leave());
    find(bar, ".delete", HTMLButtonElement).addEventListener("click", () => this.#ask());
    confirm.addEventListener("close", () => confirm.returnValue === "delete" && this.#delete());
  }

  start() {
    document.body.classList.add("selecting");
    this.#count();
  }

  /** @param {HTMLInputElement} box */
  #extendTo(box) {
    const boxes = [...document.querySelectorAll(".pick input")].filter((one) => one instanceof HTMLInputElement).filter(isShown);
    const [first, last] = [boxes.indexOf(box), this.#latest ? boxes.indexOf(this.#latest) : -1].sort((a, b) => a - b);
    for (const one of this.#isRange && first >= 0 ? boxes.slice(first, last + 1) : []) {
      one.checked = box.checked;
    }
    this.#isRange = false; // the next may come by the keyboard
    this.#latest = box;
  }

  /** Whoever ends it goes on where it began. */
  #leave() {
    this.stop();
    const begin = find(document, ".start-selecting", HTMLElement);
    (isShown(begin) ? begin : find(document, "#duplicates-title", HTMLElement)).focus(); // on that page there is no such button
  }

  /** Nothing is chosen any more. */
  stop() {
    this.#stops += 1;
    document.body.classList.remove("selecting");
    this.#say("");
    for (const box of this.#chosen) {
      box.checked = false;
    }
    this.#count();
  }

  get #chosen() {
    return [...document.querySelectorAll(".pick input:checked")].filter((box) => box instanceof HTMLInputElement);
  }

  #count() {
    const count = this.#chosen.length;
    this.#bar.hidden = count === 0 && !document.body.classList.contains("selecting");
    find(this.#bar, ".chosen", HTMLElement).textContent = count === 1 ? "1 image selected" : `${count} images selected`;
    find(this.#bar, ".delete", HTMLButtonElement).disabled = count === 0;
  }

  #ask() {
    const count = this.#chosen.length;
    find(this.#confirm, "h2", HTMLElement).textContent = count === 1 ? "Delete 1 image?" : `Delete ${count} images?`;
    find(this.#confirm, ".files-too", HTMLElement).textContent = count === 1 ? "Its file is deleted too." : "Their files are deleted too.";
    find(this.#confirm, ".keep", HTMLElement).textContent = count === 1 ? "Keep it" : "Keep them";
    this.#confirm.returnValue = "";
    this.#confirm.showModal();
  }

  async #delete() {
    const [boxes, stops] = [this.#chosen, this.#stops];
    let gone = 0;
    /** @type {string[]} */
    const kept = [];
    for (const box of boxes) {
      this.#say(`Deleting ${gone + kept.length + 1} of ${boxes.length}…`);
      try {
        await ask(`v1/images/${box.value}?wait=${WAIT_S}`, { method: "DELETE" });
      } catch (failure) {
        if (!(failure instanceof Failure && failure.code === "not-found")) {
          kept.push(`${box.name}: ${inOneLine(failure)}`);
          continue;
        }
      }
      gone += 1;
      const place = box.closest("li");
      const heir = this.#page.onDeleted(box.value);
      if (heir && place?.matches(".hit:not(.opened)")) {
        place.before(heir); // unless it is there to be seen already
      }
      place?.remove(); // which may bring the end of the grid into view, and with it the next page
    }
    this.#page.onEnd();
    this.#count();
    this.#bar.hidden = false;
    find(this.#bar, ".chosen", HTMLElement).textContent = "";
    if (stops === this.#stops) { // else he is at something else by now
      find(this.#bar, ".done", HTMLButtonElement).focus(); // what had the focus is gone, or has nothing left to delete
    }
    this.#say(gone === 1 ? "1 image deleted." : `${gone} images deleted.`, kept);
  }

  /**
   * @param {string} text
   * @param {string[]} [problems]
   */
  #say(text, problems = []) {
    find(this.#bar, ".told", HTMLElement).replaceChildren(text, ...problems.map((problem) => element("span", problem)));
  }
}

/**
 * The box that chooses an image.
 * @param {{id: string}} image
 * @param {string} name
 */
export function pickOf({ id }, name) {
  const box = element("input");
  box.type = "checkbox";
  box.value = id;
  box.name = name;
  box.ariaLabel = `Select ${name}`;
  const pick = element("label", box);
  pick.className = "pick";
  return pick;
}
