/** What stands around the search: how many images there are, and the way in and out for those who need a key. */

import { ask, signInBy, signOut, stats } from "./api.js";
import { find } from "./element.js";
import { SignIn } from "./sign-in.js";

/**
 * How many images can be found; with none, how to get some.
 * @returns {Promise<number>} 0, too, if the server does not say
 */
export async function countImages() {
  try {
    const { images } = await stats();
    const count = new Intl.NumberFormat("en").format(images);
    find(document, ".count", HTMLElement).textContent = `${count} ${images === 1 ? "image" : "images"}`;
    document.body.classList.toggle("empty", images === 0);
    return images;
  } catch {
    return 0; // the first search says what is wrong
  }
}

/** @returns {Promise<{search: boolean, write: boolean}>} what this visitor may do; nothing, while the server does not answer */
export function rights() {
  return ask("session").catch(() => ({ search: false, write: false }));
}

/** @param {() => void} onIn called when the visitor has signed in */
export function letIn(onIn) {
  const dialog = document.querySelector(".sign-in");
  if (!(dialog instanceof HTMLDialogElement)) {
    return; // no keys are asked for
  }
  const signIn = new SignIn(dialog);
  signInBy(async (why) => {
    const isIn = await signIn.ask(why);
    if (isIn) {
      onIn();
    }
    return isIn;
  });
  find(document, ".sign-out", HTMLButtonElement).addEventListener("click", async () => {
    await signOut();
    location.reload();
  });
}

/** The head stays in sight while one scrolls; what stays below it has to know how high it is, with all its chips. */
export function tellHeight() {
  const head = find(document, ".top", HTMLElement);
  new ResizeObserver(() => document.documentElement.style.setProperty("--head", `${head.offsetHeight}px`)).observe(head);
}
