// A laboratory that takes every order at once. Prints its port, then the control id of each message.
//
// It ends with its standard input, so with whoever started it.
const { Hl7Server } = require('@medplum/hl7');

const server = new Hl7Server((connection) => {
  connection.addEventListener('message', ({ message }) => {
    connection.send(message.buildAck());
    process.stdout.write(`${message.getSegment('MSH').getField(10)}\n`);
  });
});
server.start(0);
server.server.on('listening', () => process.stdout.write(`${server.server.address().port}\n`));
process.stdin.resume().on('end', () => process.exit());
