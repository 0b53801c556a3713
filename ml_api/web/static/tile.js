/** One hit in the grid, and what holds its place. */

import { breakable, copyOf, element, find } from "./element.js";
import { pickOf } from "./manage/selection.js";
import { captionOf, matchedBy, scoreOf } from "./summary.js";
import { lead } from "./ways.js";

/** @import { StoredImage } from "./api.js" */
/** @import { Copies } from "./copies.js" */
/** @import { Marking } from "./marking.js" */
/** @import { Ways } from "./ways.js" */

const PAUSES_MS = [1000];
const FILLERS = 24; // at least as many as a row may hold
const NARROWEST = 0.66; // below it, words of captions have no room
const WIDEST = 2.2;

/**
 * @param {HTMLTemplateElement} template
 * @param {StoredImage} image
 * @param {Ways} ways
 * @param {{marking: Marking, copies: Copies}} offers what can be done with it
 */
export function tile(template, image, ways, { marking, copies }) {
  const made = copyOf(template);
  const caption = captionOf(image);
  made.style.setProperty("--ratio", String(shapeOf(image)));
  lead(made, image, ways);
  find(made, ".like", HTMLElement).ariaLabel = `More like this: ${caption}`; // begins as what is seen of it
  find(made, ".unlike", HTMLElement).ariaLabel = `Less like this: ${caption}`;
  marking.offer(made, image, caption);
  copies.offer(made, image, caption);
  const picture = find(made, "img", HTMLImageElement);
  picture.alt = caption;
  showPatiently(picture, image.links.thumbnail, () => made.classList.add("missing"));
  find(made, ".frame", HTMLElement).append(pickOf(image, caption));
  find(made, ".name", HTMLElement).append(...breakable(caption));
  const matched = find(made, ".matched", HTMLElement);
  matched.hidden = !matchedBy(image);
  matched.title = matchedBy(image);
  find(matched, ".visually-hidden", HTMLElement).textContent = matchedBy(image);
  const score = find(made, ".score", HTMLElement);
  score.textContent = scoreOf(image);
  score.title = "How likely this is a match";
  return made;
}

/**
 * Width by height, as far as it is shown: very narrow and very wide images are cut.
 * @param {{width: number, height: number}} image
 */
export function shapeOf({ width, height }) {
  return Math.min(WIDEST, Math.max(NARROWEST, width / height));
}

/**
 * A preview that does not arrive is asked for again after a while: a server that has too much to do refuses some of many.
 * @param {HTMLImageElement} picture
 * @param {string} source
 * @param {() => void} onMissing
 */
function showPatiently(picture, source, onMissing) {
  const pauses = [...PAUSES_MS];
  picture.addEventListener("error", () => {
    const pause = pauses.shift();
    if (pause === undefined) {
      onMissing();
    } else {
      setTimeout(() => {
        picture.src = source;
      }, pause);
    }
  });
  picture.src = source;
}

/** Where a hit is about to be. */
export function skeleton() {
  const made = element("li", element("div"), element("p"));
  made.className = "hit skeleton";
  made.setAttribute("aria-hidden", "true");
  made.children[0].className = "frame";
  made.children[1].className = "caption";
  return made;
}

/** Nothing to see: they share the last row, so that its images do not grow beyond the others. */
export function fillers() {
  return Array.from({ length: FILLERS }, () => {
    const filler = element("li");
    filler.className = "filler";
    filler.setAttribute("aria-hidden", "true");
    return filler;
  });
}
