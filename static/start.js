// Shows alerts as they come. A bearer token cannot ride on EventSource, so the stream is read with fetch; the token
// stays in a variable and is gone with the page. What the service sends is shown as text, never as markup.
"use strict";

const MAX_SHOWN = 50;
const byId = (id) => document.getElementById(id);
const show = (text) => { byId("state").textContent = text; };

/** @type {{token: string|null, last: string|null, stop: AbortController|null, open: Map<string, string>}} */
const session = { token: null, last: null, stop: null, open: new Map() };

function headers() {
  return session.token ? { Authorization: `Bearer ${session.token}` } : {};
}

function reading(data) {
  const flag = data.abnormal_flag ? ` (${data.abnormal_flag})` : "";
  return `${data.test_name ?? "Result"}: ${data.value ?? "?"} ${data.units ?? ""}${flag}`.trim();
}

function addLine(text, settled, at = new Date()) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleTimeString();
  line.append(time, text);
  line.classList.toggle("settled", settled);
  const list = byId("alerts");
  list.prepend(line);
  while (list.children.length > MAX_SHOWN) list.lastChild.remove();
  byId("none").hidden = true;
}

/** The banner tells the newest alert that nobody has acknowledged, and how many more there are. */
function showBanner() {
  const open = [...session.open.values()];
  const newest = open.at(-1);
  const more = open.length > 1 ? ` – and ${open.length - 1} more` : "";
  byId("banner").textContent = newest ? `Critical result: ${newest}${more}` : "";
}

const handlers = {
  critical_result(data, at) {
    const id = String(data.alert_id);
    if (session.open.has(id)) return;
    const patient = data.patient_id === null ? "Patient not identified" : `Patient #${data.patient_id}`;
    const text = `${patient}: ${reading(data)}`;
    addLine(`Critical. ${text}`, false, at);
    session.open.set(id, text);
    showBanner();
  },
  alert_acknowledged(data) {
    addLine(`Acknowledged by ${data.by ?? "somebody"}: alert ${data.alert_id}`, true);
    session.open.delete(String(data.alert_id));
    showBanner();
  },
  alert_escalated(data) {
    addLine(`Escalated: alert ${data.alert_id}`, false);
  },
  result_corrected(data) {
    addLine(`Corrected: ${data.old_value ?? "?"} is now ${data.new_value ?? "?"}`, true);
  },
};

/** One event of the stream: lines `event:`, `id:` and `data:`. */
function handle(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") name = value;
    if (field === "id") session.last = value;
    if (field === "data") data.push(value);
  }
  if (!Object.hasOwn(handlers, name)) return;
  try {
    handlers[name](JSON.parse(data.join("\n")));
  } catch {
    addLine("An alert came that this page cannot read.", false);
  }
}

/** Alerts that were open before the page was. Asked for once the stream is there, so that none falls in between. */
async function showOpenAlerts() {
  const answer = await fetch("/api/alerts?status=open&limit=20", { headers: headers() });
  if (!answer.ok) return;
  const alerts = await answer.json();
  for (const alert of alerts.reverse()) {
    handlers.critical_result({ ...alert, alert_id: alert.id }, new Date(alert.raised_at));
  }
}

async function readStream(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replace(/\r\n?/g, "\n").split("\n\n");
    rest = blocks.pop();
    blocks.forEach(handle);
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Follows until signed out, and comes back after an interruption where it was. */
async function follow() {
  const stop = new AbortController();
  session.stop = stop;
  byId("sign-in").hidden = true;
  byId("sign-out").hidden = session.token === null;
  while (!stop.signal.aborted) {
    try {
      const from = session.last ? { "Last-Event-ID": session.last } : {};
      const answer = await fetch("/api/alerts/stream", { headers: { ...headers(), ...from }, signal: stop.signal });
      if (answer.status === 401 || answer.status === 403) {
        askToSignIn(answer.status === 401 ? "Please sign in again." : "This account may not follow alerts.");
        return;
      }
      if (answer.ok) {
        show("Following. New alerts appear here at once.");
        await showOpenAlerts();
        await readStream(answer.body);
      }
    } catch {
      if (stop.signal.aborted) return;
    }
    show("The connection was lost. Trying again …");
    await pause(3000);
  }
}

function askToSignIn(text) {
  session.token = null;
  byId("sign-in").hidden = false;
  byId("sign-out").hidden = true;
  show(text);
}

async function signIn(event) {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form));
  body.set("grant_type", "password");
  show("Signing in …");
  try {
    const answer = await fetch("/api/auth/token", { method: "POST", body });
    if (!answer.ok) {
      show(answer.status === 429 ? "Too many tries. Wait a minute." : "User name or password is wrong.");
      return;
    }
    session.token = (await answer.json()).access_token;
  } catch {
    show("The service cannot be reached.");
    return;
  }
  form.reset();
  follow();
}

function signOut() {
  session.stop?.abort();
  fetch("/api/auth/logout", { method: "POST", headers: headers() }).catch(() => {});
  Object.assign(session, { token: null, last: null, open: new Map() });
  byId("alerts").replaceChildren();
  showBanner();
  askToSignIn("Signed out.");
}

async function begin() {
  for (const place of document.querySelectorAll("[data-origin]")) place.textContent = location.origin;
  for (const place of document.querySelectorAll("[data-host]")) place.textContent = location.hostname;
  byId("sign-in").addEventListener("submit", signIn);
  byId("sign-out").addEventListener("click", signOut);
  try {
    const answer = await fetch("/api/auth/me");
    if (answer.ok) {
      follow();
      return;
    }
  } catch {
    // The form below says the rest.
  }
  askToSignIn("Sign in to see alerts as they come. The accounts stand where the service was started.");
}

begin();
