/**
 * Asks again for parts of the page that did not arrive, as a busy server may have refused them; in the end says so. No module, so that it
 * runs before the others are asked for.
 */
"use strict";

{
  const PAUSES_MS = [1000, 2000];
  /** @type {Element | null} */
  let notice = null; // which the scripts remove when they start

  document.addEventListener("readystatechange", () => {
    notice ??= document.querySelector(".unstarted");
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
    const tries = Number(link.dataset.tries ?? 0);
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
    if (notice) {
      notice.classList.add("certain");
      document.querySelector("main")?.prepend(notice);
    }
  }
}
