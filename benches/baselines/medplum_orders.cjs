// Orders by HTTP with `@medplum/hl7` and `pg`, answered when the laboratory has acknowledged them; results as in
// `medplum.cjs` beside it.
//
// LAB_PORT says where the laboratory is. Prints the port of the results and that of the orders, in whichever order they
// begin to listen, the second as `orders PORT`.
const http = require('node:http');
const { Hl7Client } = require('@medplum/hl7');
const { Hl7Message } = require('@medplum/core');
const { pool } = require('./medplum.cjs');

const INSERT = {
  name: 'insert-order',
  text: "INSERT INTO orders (patient_id, code, control_id, raw, status) VALUES ($1, $2, $3, $4, 'pending') RETURNING id",
};
const SENT = { name: 'order-sent', text: "UPDATE orders SET status = 'sent', sent_at = now() WHERE id = $1" };

const laboratory = new Hl7Client({ host: '127.0.0.1', port: Number(process.env.LAB_PORT), keepAlive: true });
let count = 0;

function messageOf(order, controlId) {
  const [code] = order.test_codes;
  return [
    `MSH|^~\\&|PMS_LAB|MPS_PMS|LIS|LAB|20260302080000||ORM^O01^ORM_O01|${controlId}|P|2.5.1`,
    `PID|1||${order.patient_id}^^^MPS_PMS^MR||Bench^Pat||19400115|F`,
    `ORC|NW|${controlId}|||||^^^^^${order.priority}`,
    `OBR|1|${controlId}||${code}^^L`,
  ].join('\r');
}

async function place(order) {
  const controlId = `B${Date.now().toString(36)}${(count += 1)}`;
  const raw = messageOf(order, controlId);
  const { rows } = await pool.query({ ...INSERT, values: [order.patient_id, order.test_codes[0], controlId, raw] });
  const reply = await laboratory.sendAndWait(Hl7Message.parse(raw));
  if (reply.getSegment('MSA').getField(1).toString() !== 'AA') {
    return { id: rows[0].id, status: 'rejected' };
  }
  await pool.query({ ...SENT, values: [rows[0].id] });
  return { id: rows[0].id, status: 'sent' };
}

const server = http.createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) {
    parts.push(part);
  }
  const answer = await place(JSON.parse(Buffer.concat(parts)));
  response.writeHead(201, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`orders ${server.address().port}\n`));
