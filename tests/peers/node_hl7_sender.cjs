// Sends the messages on its input, a JSON array, over one connection; prints MSA-1 and MSA-2 of each answer.
const { readFileSync } = require('node:fs');
const { Client, Message } = require('node-hl7-client');

async function main(port) {
  const texts = JSON.parse(readFileSync(0, 'utf8'));
  const answers = [];
  let told;
  const heard = () => new Promise((resolve) => { told = resolve; });
  const client = new Client({ host: '127.0.0.1' });
  const connection = client.createConnection({ port }, async (response) => {
    const message = response.getMessage();
    answers.push([message.get('MSA.1').toString(), message.get('MSA.2').toString()]);
    told();
  });
  for (const text of texts) {
    const next = heard();
    await connection.sendMessage(new Message({ text }));
    await next;
  }
  await connection.close();
  process.stdout.write(JSON.stringify(answers), () => process.exit());
}
main(Number(process.argv[2]));
