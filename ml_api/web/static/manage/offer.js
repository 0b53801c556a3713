/** What only those see who may change the corpus. */

import { find } from "../element.js";
import { Selection } from "./selection.js";
import { Uploads } from "./uploads.js";

/** @param {{onDeleted: (id: string) => HTMLElement | null, onAdded: () => void}} page */
export function offerManaging({ onDeleted, onAdded }) {
  const selection = new Selection(find(document, ".selection", HTMLElement), find(document, ".confirm", HTMLDialogElement), onDeleted);
  const uploads = new Uploads(find(document, ".uploads", HTMLDialogElement), onAdded);
  find(document, ".start-selecting", HTMLButtonElement).addEventListener("click", () => selection.start());
  find(document, ".open-uploads", HTMLButtonElement).addEventListener("click", () => uploads.open());
  document.body.classList.add("may-write");
}
