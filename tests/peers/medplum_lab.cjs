// A lab that accepts every message. Prints a line of JSON with its port, then one with the segments of each message:
// `[["ORC", {"2": "7-1", "2.1": "7-1"}], …]`, positions as the standard counts them.
const { Hl7Server } = require('@medplum/hl7');

function positions(segment) {
  const found = {};
  // A header's positions 1 and 2 are the delimiters themselves.
  for (let field = segment.name === 'MSH' ? 3 : 1; field < 60; field++) {
    const value = segment.getField(field);
    if (value?.toString()) {
      found[field] = value.toString();
      value.components[0].forEach((_, index) => {
        found[`${field}.${index + 1}`] = value.getComponent(index + 1);
      });
    }
  }
  return found;
}

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
