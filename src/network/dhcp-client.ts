import type { Wire } from "./datagram-wire.ts";
import { type Answer, decodeAnswer, encodeQuestion, type Question, type Terms } from "./dhcp.ts";

/** Where servers are reached whose address is not known. */
export const EVERYBODY = "255.255.255.255";
/** When a question is asked again: milliseconds. */
const ASK_AGAIN = [1000, 2000, 4000, 8000];

/** Tells one exchange from others. */
export const newId = (): number => Math.floor(Math.random() * 2 ** 32);

/** An offer, taken up; undefined if there is none until `deadline`. */
export async function obtain(
  wire: Wire,
  mac: Buffer,
  deadline: number,
  interrupted?: () => void,
): Promise<Terms | undefined> {
  const began = performance.now();
  const exchange = { id: newId(), mac };
  for (let round = 0; performance.now() < deadline && !wire.closed; round += 1) {
    const seconds = Math.floor((performance.now() - began) / 1000);
    const within = Math.min(ASK_AGAIN[round] ?? 8000, deadline - performance.now());
    const offer = await ask(wire, { ...exchange, type: "discover", seconds }, EVERYBODY, within, interrupted);
    if (offer?.type !== "offer") continue;
    const { address, server } = offer.terms;
    const request = { ...exchange, type: "request", seconds, accept: { address, server } } as const;
    const answer = await ask(wire, request, EVERYBODY, ASK_AGAIN[2] ?? 0, interrupted);
    if (answer?.type === "ack") return answer.terms;
  }
  return undefined;
}

/** Sends a question; resolves to the first answer to it that says anything, or undefined after `milliseconds`. */
export async function ask(
  wire: Wire,
  question: Question,
  to: string,
  milliseconds: number,
  interrupted?: () => void,
): Promise<Answer | undefined> {
  const deadline = performance.now() + milliseconds;
  await wire.send(encodeQuestion(question), to);
  for (;;) {
    const left = deadline - performance.now();
    const datagram = left > 0 ? await wire.receive(left, interrupted) : undefined;
    if (datagram === undefined) return undefined;
    const answer = decodeAnswer(datagram, question);
    if (answer === undefined) continue;
    // A late offer, of another server, is no answer to a request.
    if (
      answer.type === "nak" ? question.type === "request" : (answer.type === "offer") === (question.type === "discover")
    )
      return answer;
  }
}
