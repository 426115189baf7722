// A lab that accepts every message. Prints a line of JSON with its port, then one with the segments of each message:
// `[["ORC", {"2": "7-1", "2.1": "7-1"}], …]`.
const { Hl7Server } = require('@medplum/hl7');
const { positions } = require('./medplum_positions.cjs');

function say(value) {
  process.stdout.write(JSON.stringify(value) + '\n');
}

const server = new Hl7Server((connection) => {
  connection.addEventListener('message', ({ message }) => {
    say(message.segments.map((segment) => [segment.name, positions(segment)]));
    connection.send(message.buildAck());
  });
});
server.start(0);
server.server.on('listening', () => say(server.server.address().port));
// Whoever started us keeps our input open; with its end we end.
process.stdin.resume().on('end', () => process.exit());
