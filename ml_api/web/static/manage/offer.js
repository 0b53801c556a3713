/** What only those see who may change the corpus. */

import { find } from "../element.js";
import { Selection } from "./selection.js";
import { Uploads } from "./uploads.js";

/**
 * @param {{onDeleted: (id: string) => HTMLElement | null, onEnd: () => void, onAdded: () => void}} page
 * @returns {Selection}
 */
export function offerManaging({ onAdded, ...page }) {
  const selection = new Selection(find(document, ".selection", HTMLElement), find(document, ".confirm", HTMLDialogElement), page);
  const uploads = new Uploads(find(document, ".uploads", HTMLDialogElement), onAdded);
  find(document, ".start-selecting", HTMLButtonElement).addEventListener("click", () => selection.start());
  for (const button of document.querySelectorAll(".open-uploads")) {
    button.addEventListener("click", () => uploads.open());
  }
  return selection;
}
