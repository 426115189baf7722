// Sends the messages on its input, a JSON array, over one connection; prints MSA-1 and MSA-2 of each answer.
const { readFileSync } = require('node:fs');
const { Hl7Message } = require('@medplum/core');
const { Hl7Client } = require('@medplum/hl7');

async function main(port) {
  const client = new Hl7Client({ host: '127.0.0.1', port, keepAlive: true });
  const answers = [];
  for (const text of JSON.parse(readFileSync(0, 'utf8'))) {
    const ack = await client.sendAndWait(Hl7Message.parse(text), { timeoutMs: 15_000 });
    const msa = ack.getSegment('MSA');
    answers.push([msa.getField(1).toString(), msa.getField(2).toString()]);
  }
  await client.close();
  // The timers of `sendAndWait` run on after the answer and would keep us here.
  process.stdout.write(JSON.stringify(answers), () => process.exit());
}

main(Number(process.argv[2]));
