// A segment as `{"2": "7-1", "2.1": "7-1"}`, positions as the standard counts them.
exports.positions = function positions(segment) {
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
};
