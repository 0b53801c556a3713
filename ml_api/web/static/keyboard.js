/** Keys: `/` to the box, arrows over the grid and through the large view, `m` for more like this, `g` and `b` for marks. */

import { find } from "./element.js";

/**
 * @param {{
 *   box: HTMLInputElement,
 *   dialog: HTMLDialogElement,
 *   links: () => HTMLAnchorElement[],
 *   onLike: (id: string) => void,
 *   onStep: (by: number) => void,
 *   onMark: (id: string, mark: "more" | "less") => void,
 * }} page
 */
export function listenToKeys({ box, dialog, links, onLike, onStep, onMark }) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) {
      return;
    }
    if (document.querySelector("dialog:modal") && !dialog.open) {
      return; // another dialog has its own keys
    }
    const act = dialog.open ? inDialog(event) : onPage(event);
    if (act) {
      event.preventDefault();
      act();
    }
  });

  /** @param {KeyboardEvent} event */
  function inDialog({ key }) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step) {
      return () => onStep(step);
    }
    return withImage(key, String(find(dialog, ".like", HTMLElement).dataset.id));
  }

  /**
   * @param {string} key
   * @param {string} id
   */
  function withImage(key, id) {
    switch (key.toLowerCase()) { // with the capitals locked too
      case "m":
        return () => onLike(id);
      case "g":
        return () => onMark(id, "more");
      case "b":
        return () => onMark(id, "less");
      default:
        return null;
    }
  }

  /** @param {KeyboardEvent} event */
  function onPage({ key, target }) {
    if (target === box) {
      return key === "ArrowDown" && links().length > 0 ? () => links()[0].focus() : null;
    }
    if (!(target instanceof HTMLElement) || target.matches("input, select, textarea")) {
      return null; // they have keys of their own
    }
    if (key === "/") {
      return () => {
        box.focus();
        box.select();
      };
    }
    const here = links().indexOf(/** @type {HTMLAnchorElement} */ (target.closest(".hit")?.querySelector(".open")));
    if (here < 0) {
      return null;
    }
    const there = neighbour(links(), here, key);
    return there ? () => there.focus() : withImage(key, String(links()[here].dataset.id));
  }

  /**
   * @param {HTMLAnchorElement[]} all
   * @param {number} here
   * @param {string} key
   */
  function neighbour(all, here, key) {
    switch (key) {
      case "ArrowLeft":
        return all[here - 1];
      case "ArrowRight":
        return all[here + 1];
      case "Home":
        return all[0];
      case "End":
        return all.at(-1);
      case "ArrowDown":
        return nextRow(all.slice(here + 1), all[here]);
      case "ArrowUp":
        return nextRow(all.slice(0, here).reverse(), all[here]) ?? box;
      default:
        return undefined;
    }
  }
}

/**
 * The one of the nearest other row that stands closest to `link`; rows differ in how many images they hold.
 * @param {HTMLElement[]} others
 * @param {HTMLElement} link
 */
function nextRow(others, link) {
  const { top, left, width } = link.getBoundingClientRect();
  /** @type {(one: HTMLElement, height: number) => boolean} */
  const isLevel = (one, height) => Math.abs(one.getBoundingClientRect().top - height) < 1;
  const first = others.find((other) => !isLevel(other, top));
  if (!first) {
    return undefined;
  }
  const row = others.filter((other) => isLevel(other, first.getBoundingClientRect().top));
  /** @type {(other: HTMLElement) => number} */
  const distance = (other) => {
    const box = other.getBoundingClientRect();
    return Math.abs(box.left + box.width / 2 - left - width / 2);
  };
  return row.reduce((best, other) => (distance(other) < distance(best) ? other : best));
}
