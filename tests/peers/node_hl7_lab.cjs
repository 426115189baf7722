// A lab that accepts every message on the port it is given. Prints a line of JSON with the port, then one with the segments
// of each message: `[["ORC", {"2": "7-1", "2.1": "7-1"}], …]`, positions as the standard counts them.
const { Server } = require('node-hl7-server');

// It has no public way to walk the segments of a message, and finds them when it is asked for one.
function segmentsOf(message) {
  message.get('MSH');
  return [...message._children];
}

function positions(segment) {
  const found = {};
  const put = (place) => {
    const value = segment.get(place)?.toString();
    if (value) found[place] = value;
  };
  // A header's positions 1 and 2 are the delimiters themselves.
  for (let field = segment.name === 'MSH' ? 3 : 1; field < 60; field++) {
    put(`${field}`);
    for (let component = 1; component < 10; component++) put(`${field}.${component}`);
  }
  return found;
}

function say(value) {
  process.stdout.write(JSON.stringify(value) + '\n');
}

const port = Number(process.argv[2]);
const inbound = new Server({ bindAddress: '127.0.0.1' }).createInbound({ port }, async (request, response) => {
  const message = request.getMessage();
  say(segmentsOf(message).map((segment) => [segment.name, positions(segment)]));
  await response.sendResponse('AA');
});
inbound.on('listen', () => say(port));
// Whoever started us keeps our input open; with its end we end.
process.stdin.resume().on('end', () => process.exit());
