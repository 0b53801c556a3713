/** Where one has scrolled to belongs to the entry of the history: Back, Forward and reloading lead there again. */

/** @import { Place } from "./results.js" */

const SETTLED_MS = 200; // after scrolling; browsers allow some hundred notes in half a minute

/** Whoever types an address asks for what it says: if it is the one they are at, browsers keep what its entry says beside it. */
export function heedAddress() {
  const [arrival] = performance.getEntriesByType("navigation");
  if (arrival instanceof PerformanceNavigationTiming && arrival.type === "navigate") {
    history.replaceState(null, "");
  }
}

/** @param {() => Place | null} placeNow */
export function notePlaces(placeNow) {
  history.scrollRestoration = "manual"; // the browser's own would scroll before there is anything to scroll over
  let timer = 0;
  const note = () => {
    clearTimeout(timer);
    history.replaceState({ ...history.state, place: placeNow(), y: window.scrollY }, "");
  };
  document.addEventListener("scroll", () => {
    clearTimeout(timer);
    timer = setTimeout(note, SETTLED_MS);
  });
  window.addEventListener("pagehide", note);
}
