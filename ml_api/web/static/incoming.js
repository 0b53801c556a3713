/** How a file gets in: chosen, taken with the camera, dropped anywhere, pasted anywhere. */

import { find } from "./element.js";

/** @param {{veil: HTMLElement, onFile: (file: File) => void}} page */
export function takeFiles({ veil, onFile }) {
  openBy("button.choose", find(document, "#file", HTMLInputElement), onFile);
  openBy("button.take", find(document, "#camera", HTMLInputElement), onFile);
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file) {
      event.preventDefault();
      onFile(file);
    }
  });
  takeDrops(veil, onFile);
}

/**
 * @param {string} buttons
 * @param {HTMLInputElement} input
 * @param {(file: File) => void} onFile
 */
function openBy(buttons, input, onFile) {
  for (const button of document.querySelectorAll(buttons)) {
    button.addEventListener("click", () => input.click());
  }
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    input.value = ""; // so that choosing the same file again is a change
    if (file) {
      onFile(file);
    }
  });
}

/**
 * @param {HTMLElement} veil
 * @param {(file: File) => void} onFile
 */
function takeDrops(veil, onFile) {
  let isOurs = false; // an image of this page on its way elsewhere
  document.addEventListener("dragstart", () => {
    isOurs = true;
  });
  document.addEventListener("dragend", () => {
    isOurs = false;
  });
  document.addEventListener("dragover", (event) => {
    if (!isOurs && event.dataTransfer?.types.includes("Files") && !document.querySelector("dialog:modal")) {
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      veil.hidden = false;
    }
  });
  document.addEventListener("dragleave", (event) => {
    veil.hidden = veil.hidden || event.relatedTarget === null; // null: it left the window
  });
  document.addEventListener("drop", (event) => {
    if (veil.hidden) {
      return;
    }
    event.preventDefault();
    veil.hidden = true;
    const [file] = event.dataTransfer?.files ?? [];
    if (file) {
      onFile(file);
    }
  });
}
