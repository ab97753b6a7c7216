import { createSocket } from "node:dgram";
import { once } from "node:events";

/** Answers every question for a name, at an address of this machine, with that IPv4 address (RFC 1035). */
export async function nameServer(at: string, answer: string): Promise<AsyncDisposable> {
  const socket = createSocket("udp4").bind(53, at);
  await once(socket, "listening");
  socket.on("message", (question, { port, address }) => {
    const end = question.indexOf(0, 12) + 5; // the name, its end, type and class
    const isAddress = question.readUInt16BE(end - 4) === 1;
    const head = Buffer.from(question.subarray(0, end));
    head.writeUInt16BE(0x8180, 2); // an answer, no error
    head.writeUInt16BE(isAddress ? 1 : 0, 6);
    head.fill(0, 8, 12);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...answer.split(".").map(Number)]);
    socket.send(isAddress ? Buffer.concat([head, record]) : head, port, address);
  });
  return {
    async [Symbol.asyncDispose]() {
      socket.close();
    },
  };
}
