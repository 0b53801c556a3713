/** Between questions that are asked again and again. A tab that nobody sees asks nothing, and at once when it is seen again. */

/**
 * @param {number} ms
 * @returns {Promise<void>}
 */
export function pause(ms) {
  return new Promise((resolve) => {
    const look = () => {
      if (!document.hidden) {
        clearTimeout(timer);
        document.removeEventListener("visibilitychange", look);
        resolve();
      }
    };
    const timer = setTimeout(look, ms);
    document.addEventListener("visibilitychange", look);
  });
}
