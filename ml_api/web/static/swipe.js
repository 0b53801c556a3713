/** Swiping over a picture leads to its neighbours, as on a phone everybody expects. Who has zoomed in with two fingers moves it instead. */

const LEAST_PX = 48;

/**
 * @param {HTMLElement} area
 * @param {(by: number) => void} onStep by 1 for the next, by -1 for the previous
 */
export function stepBySwipes(area, onStep) {
  /** @type {Touch | null} */
  let start = null;
  area.addEventListener("touchstart", ({ touches }) => {
    start = touches.length === 1 ? touches[0] : null; // two fingers zoom
  });
  area.addEventListener("touchend", ({ changedTouches: [end] }) => {
    if (start && !isZoomed()) {
      const [x, y] = [end.clientX - start.clientX, end.clientY - start.clientY];
      if (Math.abs(x) > Math.max(LEAST_PX, 2 * Math.abs(y))) {
        onStep(x < 0 ? 1 : -1);
      }
    }
    start = null;
  });
  const tell = () => area.classList.toggle("zoomed", isZoomed());
  visualViewport?.addEventListener("resize", tell);
  tell();
}

function isZoomed() {
  return (visualViewport?.scale ?? 1) > 1.01;
}
