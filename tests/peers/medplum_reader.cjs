// Reads the messages on its input, a JSON array of texts, and prints the segments of each as JSON.
const { readFileSync } = require('node:fs');
const { Hl7Message } = require('@medplum/core');
const { positions } = require('./medplum_positions.cjs');

// It takes what stands behind the last CR, which is nothing, for one more segment.
const read = JSON.parse(readFileSync(0, 'utf8')).map((text) => {
  const segments = Hl7Message.parse(text).segments.filter((segment) => segment.name);
  return segments.map((segment) => [segment.name, positions(segment)]);
});
process.stdout.write(JSON.stringify(read));
