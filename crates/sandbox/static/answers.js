/**
 * What the person does with a chat: sends a message, taps, reacts, listens. Each ends in a call and in a bubble that
 * is there at once, or in the trouble that is told above the composer. It draws neither.
 */

import { postMessage, postPlayed, postTap } from "./api.js";
import { refreshAll, refreshMessages } from "./refresh.js";
import { keyOf, noteTrouble, state, tell } from "./state.js";

/** Sends an inbound message into a chat, quoting a bubble or `null`; the error if it failed, else `null`. */
export function send(chat, message, quoted) {
  const whole = quoted ? { ...message, context: { id: quoted.id } } : message;
  return carryOut(chat, () => postMessage(chat, whole));
}

/** Taps a button of a bubble, or gives what it asks for. */
export async function tap(bubble, what) {
  if (state.active) await carryOut(state.active, () => postTap(bubble.id, what));
}

/** An empty emoji takes the reaction back. */
export const react = (bubble, emoji) =>
  send(state.active, { type: "reaction", reaction: { message_id: bubble.id, emoji } }, null);

/** Nobody waits for this: at worst the message is not reported as played. */
export const playedVoice = (wamid) => postPlayed(wamid).then(refreshMessages, () => {});

async function carryOut(chat, perform) {
  noteTrouble("");
  try {
    noteOwn(chat, await perform());
    return null;
  } catch (error) {
    noteTrouble(`Not sent: ${error.message}`);
    return error;
  } finally {
    refreshAll();
  }
}

function noteOwn(chat, bubble) {
  if (!state.active || keyOf(chat) !== keyOf(state.active) || !state.bubbles) return;
  if (!state.bubbles.some((known) => known.id === bubble.id)) state.bubbles.push(bubble);
  tell("answer");
}
