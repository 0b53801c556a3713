/**
 * Asks again for parts of the page that did not arrive, as a busy server may have refused them; in the end says so, and of a browser that
 * is too old that it is. No module, so that it runs before the others are asked for, and in words that old browsers know.
 */
"use strict";

{
  const PAUSES_MS = [1000, 2000];
  // What came last to each of the browsers that the page names: to Firefox, to Chrome and Edge, to Safari.
  const isOld = !CSS.supports("selector(:has(a)) and (color: color-mix(in srgb, red, blue))") || !("OffscreenCanvas" in window);
  /** @type {Element | null} */
  let notice = null; // which the scripts remove when they start

  document.addEventListener("readystatechange", () => {
    notice = notice || document.querySelector(".unstarted");
  });

  // The scripts have started by then, or never will.
  document.addEventListener("DOMContentLoaded", () => {
    if (isOld && notice) {
      notice.classList.add("old");
      tell();
    }
  });

  window.addEventListener(
    "error",
    ({ target }) => {
      if (target instanceof HTMLLinkElement) {
        askAgain(target);
      } else if (target instanceof HTMLScriptElement) {
        loadAgain();
      }
    },
    true, // such errors do not bubble
  );

  /** @param {HTMLLinkElement} link of a stylesheet */
  function askAgain(link) {
    const tries = Number(link.dataset.tries || 0);
    if (tries === PAUSES_MS.length) {
      tell();
      return;
    }
    setTimeout(() => {
      const again = /** @type {HTMLLinkElement} */ (link.cloneNode());
      again.dataset.tries = String(tries + 1);
      link.replaceWith(again);
    }, PAUSES_MS[tries]);
  }

  /** Modules that failed stay so for as long as the page is open: all of it is loaded once more. */
  function loadAgain() {
    const [load] = performance.getEntriesByType("navigation");
    if (load instanceof PerformanceNavigationTiming && load.type === "reload") {
      tell();
    } else {
      setTimeout(() => location.reload(), PAUSES_MS[0]);
    }
  }

  function tell() {
    const main = document.querySelector("main");
    if (notice && main) {
      notice.classList.add("certain");
      main.prepend(notice);
    }
  }
}
