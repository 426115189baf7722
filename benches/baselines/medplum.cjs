// Results into PostgreSQL with `@medplum/hl7` and `pg`, acknowledged once they are committed.
//
// Prints its port; `medplum_orders.cjs` uses its pool. It ends with its standard input, so with whoever started it.
const { Hl7Server } = require('@medplum/hl7');
const { Pool } = require('pg');

// As many connections as pms takes; PGHOST and the like say where to.
const pool = new Pool({ max: 12 });

const INSERT_MESSAGE = {
  name: 'insert-message',
  text: 'INSERT INTO messages (control_id, raw) VALUES ($1, $2) RETURNING id',
};
const INSERT_RESULTS = {
  name: 'insert-results',
  text: `INSERT INTO results (message_id, mrn, code, name, value, units, reference_range, abnormal_flag, status)
    SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])`,
};

function resultsIn(message) {
  const columns = [[], [], [], [], [], [], []];
  for (const obx of message.getAllSegments('OBX')) {
    const values = [
      obx.getComponent(3, 1),
      obx.getComponent(3, 2),
      ...[5, 6, 7, 8, 11].map((position) => obx.getField(position)?.toString() ?? ''),
    ];
    values.forEach((value, index) => columns[index].push(value));
  }
  return columns;
}

async function store(message) {
  const controlId = message.getSegment('MSH').getField(10).toString();
  const mrn = message.getSegment('PID').getComponent(3, 1);
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query({ ...INSERT_MESSAGE, values: [controlId, message.toString()] });
    await client.query({ ...INSERT_RESULTS, values: [rows[0].id, mrn, ...resultsIn(message)] });
    await client.query('COMMIT');
    client.release();
  } catch (fault) {
    // Its transaction is in an unknown state, so the connection goes as well.
    client.release(true);
    throw fault;
  }
}

const server = new Hl7Server((connection) => {
  connection.addEventListener('message', ({ message }) => {
    store(message).then(
      () => connection.send(message.buildAck()),
      (fault) => {
        console.error(fault);
        connection.close();
      }
    );
  });
});
server.start(0);
server.server.on('listening', () => process.stdout.write(`${server.server.address().port}\n`));
process.stdin.resume().on('end', () => process.exit());

module.exports = { pool };
