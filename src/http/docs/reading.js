"use strict";
// Everything from the description goes through textContent: no text of it can become markup.

const METHODS = ["get", "post", "put", "patch", "delete"];

function add(parent, tag, text, attributes) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = String(text);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  parent.appendChild(element);
  return element;
}

function nameOf(reference) {
  return reference.split("/").pop();
}

// A type in a few words; objects are named, not unfolded.
function typeOf(schema) {
  if (!schema) return "any";
  if (schema.$ref) return nameOf(schema.$ref);
  const choices = schema.anyOf || schema.oneOf || schema.allOf;
  if (choices) return choices.map(typeOf).join(schema.allOf ? " & " : " | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = [].concat(schema.type || "any");
  return types
    .map((type) => (type === "array" ? "list of " + typeOf(schema.items) : schema.format ? type + " (" + schema.format + ")" : type))
    .join(" | ");
}

function linkType(cell, schema) {
  const reference = schema && (schema.$ref || (schema.items && schema.items.$ref));
  const code = add(cell, "code");
  if (reference) add(code, "a", typeOf(schema), { href: "#schema-" + encodeURIComponent(nameOf(reference)) });
  else code.textContent = typeOf(schema);
}

function table(parent, heads, rows) {
  if (rows.length === 0) return;
  const element = add(parent, "table");
  const head = add(add(element, "thead"), "tr");
  for (const title of heads) add(head, "th", title, { scope: "col" });
  const body = add(element, "tbody");
  for (const cells of rows) {
    const row = add(body, "tr");
    for (const cell of cells) {
      const place = add(row, "td");
      if (cell && cell.schema !== undefined) linkType(place, cell.schema);
      else place.textContent = cell === undefined || cell === null ? "" : String(cell);
    }
  }
}

function schemaOf(content) {
  const first = content && Object.values(content)[0];
  return first ? first.schema : undefined;
}

function operation(parent, path, method, item) {
  const section = add(parent, "section", null, { id: item.operationId || method + path });
  const title = add(section, "h3");
  add(title, "span", method, { class: "method" });
  add(title, "code", path);
  if (item.summary) add(section, "p", item.summary);
  if (item.description && item.description !== item.summary) add(section, "p", item.description);
  const parameters = (item.parameters || []).map((parameter) => [
    parameter.name,
    parameter.in,
    { schema: parameter.schema || null },
    parameter.required ? "yes" : "no",
    parameter.description,
  ]);
  table(section, ["Parameter", "In", "Type", "Required", "Description"], parameters);
  if (item.requestBody && item.requestBody.content) {
    const bodies = Object.entries(item.requestBody.content).map(([type, body]) => [type, { schema: body.schema || null }]);
    table(section, ["Request body", "Type"], bodies);
  }
  const answers = Object.entries(item.responses || {}).map(([status, answer]) => [
    status,
    answer.description,
    answer.content ? { schema: schemaOf(answer.content) || null } : "",
  ]);
  table(section, ["Status", "Meaning", "Body"], answers);
}

function schema(parent, name, definition) {
  const section = add(parent, "section", null, { id: "schema-" + encodeURIComponent(name) });
  add(add(section, "h3"), "code", name);
  if (definition.description) add(section, "p", definition.description);
  const required = definition.required || [];
  const members = Object.entries(definition.properties || {}).map(([member, type]) => [
    member,
    { schema: type },
    required.includes(member) ? "yes" : "no",
    type.description,
  ]);
  table(section, ["Member", "Type", "Required", "Description"], members);
  if (members.length === 0) add(section, "code", typeOf(definition));
}

function byTag(description) {
  const groups = new Map();
  for (const [path, item] of Object.entries(description.paths || {})) {
    for (const method of METHODS.filter((known) => item[known])) {
      const tag = (item[method].tags || ["Other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push({ path, method, item: item[method] });
    }
  }
  return groups;
}

function show(description) {
  const main = document.getElementById("reference");
  const contents = document.getElementById("contents");
  main.replaceChildren();
  add(main, "h1", description.info.title + " " + description.info.version);
  if (description.info.description) add(main, "p", description.info.description);
  for (const [tag, operations] of byTag(description)) {
    add(main, "h2", tag);
    add(contents, "strong", tag);
    const list = add(contents, "ul");
    for (const { path, method, item } of operations) {
      operation(main, path, method, item);
      add(add(list, "li"), "a", method.toUpperCase() + " " + path, { href: "#" + (item.operationId || method + path) });
    }
  }
  add(main, "h2", "Schemas");
  const schemas = (description.components && description.components.schemas) || {};
  for (const [name, definition] of Object.entries(schemas)) schema(main, name, definition);
}

fetch("/openapi.json")
  .then((answer) => {
    if (!answer.ok) throw new Error("status " + answer.status);
    return answer.json();
  })
  .then(show)
  .catch((error) => {
    document.getElementById("reference").replaceChildren();
    add(document.getElementById("reference"), "p", "The description could not be loaded: " + error.message, { role: "alert" });
  });
