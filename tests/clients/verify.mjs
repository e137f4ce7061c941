// Checks callbacks with the Standard Webhooks project's own library. Standard input: a JSON list of
// {secret, headers, body, now_s}; standard output: a list of null where it accepts, else why not.
// `now_s` is the receiver's clock: the tests move the sender's.
import { Webhook } from "standardwebhooks";

let text = "";
for await (const part of process.stdin) text += part;
const verdicts = JSON.parse(text).map(({ secret, headers, body, now_s }) => {
  Date.now = () => now_s * 1000;
  try {
    new Webhook(secret).verify(body, headers);
    return null;
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(verdicts));
