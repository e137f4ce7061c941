/**
 * Calls to the sandbox under `/_sandbox` of the same origin. Knows no element of the page.
 */

const API = "/_sandbox/handset";
const CALL_TIMEOUT_MS = 30_000;

async function call(path, init = {}) {
  const reply = await fetch(path, { ...init, signal: AbortSignal.timeout(CALL_TIMEOUT_MS) }).catch(() => {
    throw new Error("the sandbox does not answer");
  });
  if (reply.ok) return reply.json();
  const body = await reply.json().catch(() => null);
  throw new Error(body?.error?.message ?? `the sandbox answered ${reply.status}`);
}

const post = (path, body) =>
  call(`${API}${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const keyOf = (chat) => ({ phone: chat.phone, phone_number_id: chat.numberId });

export const fetchChats = () => call(`${API}/chats`);
export const fetchMessages = (chat) => call(`${API}/messages?${new URLSearchParams(keyOf(chat))}`);
/** The JSON of a flow, as the business uploaded it. */
export const fetchFlow = (id) => call(`/_sandbox/flows/${encodeURIComponent(id)}`);
/** `message` is an inbound message as `POST /_sandbox/inbound` takes it. */
export const postMessage = (chat, message) => post("/send", { ...keyOf(chat), message });
/** `what` is the `id` of a button or row, or what the message asks for. */
export const postTap = (wamid, what) => post("/tap", { wamid, ...what });
export const postRead = (chat) => post("/read", keyOf(chat));
export const postPlayed = (wamid) => post("/played", { wamid });
export const postPerson = (phone, name) => post("/people", { phone, name });
export const openEvents = () => new EventSource(`${API}/events`);
