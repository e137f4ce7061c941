// Checks callbacks with the Standard Webhooks project's own library. Standard input: a JSON list of
// {secret, headers, body}; standard output: a list of null where it accepts, else why not.
// The receiver's clock is this machine's, however far the tests move the gateway's.
import { Webhook } from "standardwebhooks";

let text = "";
for await (const part of process.stdin) text += part;
const verdicts = JSON.parse(text).map(({ secret, headers, body }) => {
  try {
    new Webhook(secret).verify(body, headers);
    return null;
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify(verdicts));
