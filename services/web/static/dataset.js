// A dataset's card is asked for when somebody opens it.
import { Refused, say } from "./dom.js";

const box = document.getElementById("card");
async function show() {
  const text = box.querySelector("pre");
  if (!box.open || text.textContent) return;
  try {
    const answer = await fetch(box.dataset.card);
    if (!answer.ok) throw new Refused(answer.status, `The card is not there: the server answered ${answer.status}.`);
    text.textContent = await answer.text();
  } catch (error) {
    say(error instanceof Refused ? error.message : "The server does not answer.", { bad: true });
  }
}

box.addEventListener("toggle", show);
show(); // it may have been opened before this module ran
