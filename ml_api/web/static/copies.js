/** Copies of a hit: one image stands for all that are equal or nearly so, and a button shows the others beside it. */

import { find } from "./element.js";

/** @import { StoredImage } from "./api.js" */

/**
 * The button on a tile whose image stands for others.
 * @param {HTMLElement} made the tile
 * @param {StoredImage} image
 * @param {string} caption
 * @param {(image: StoredImage) => HTMLElement} tileOf
 */
export function offerCopies(made, { group }, caption, tileOf) {
  const button = find(made, ".copies", HTMLButtonElement);
  button.hidden = !group;
  if (!group) {
    return;
  }
  const words = `${group.size} copies`;
  button.textContent = words;
  button.ariaLabel = `${words} of ${caption}`; // begins as what is seen of it
  /** @type {HTMLElement[]} */
  let shown = [];
  button.addEventListener("click", () => {
    const isOpening = shown.length === 0;
    shown.forEach((copy) => copy.remove());
    shown = isOpening ? group.hits.map(tileOf) : [];
    shown.forEach((copy) => copy.classList.add("copy"));
    made.after(...shown);
    made.classList.toggle("opened", isOpening);
    button.ariaExpanded = String(isOpening);
  });
  button.ariaExpanded = "false";
}
