/* c360.js tells a c360 collector what happens on a page, in messages of the Segment API. How to embed it: docs/collector.md
 *
 * Until consent to Analytics is stated on this page, calls wait in memory: storage is not read, nothing is stored or sent.
 * From then on a message is an entry of localStorage, its text final, until the collector has answered: what is sent again
 * is the same text with the same messageId.
 */
(() => {
  "use strict";

  const LIBRARY = { name: "c360.js", version: "1.0.0" };
  const STATEMENT = "Consent Preference Updated";
  const CAMPAIGN = /^utm_(id|source|medium|campaign|term|content)$/;
  const BATCH_MESSAGES = 50;
  const BATCH_BYTES = 48000; // browsers allow 64 KiB for all that may outlive the page
  const MESSAGE_BYTES = 32000;
  const OLDEST_MS = 28 * 86400000; // the collector knows a message again for 30 days
  const LONGEST_BACKOFF_MS = 60000;
  const LONGEST_WAIT_MS = 3600000;
  const DEFAULTS = { flushMs: 1000, retryMs: 1000, queueMessages: 1000, queueBytes: 1000000, cookieDomain: "" };

  const analytics = (window.analytics = window.analytics || []);
  if (analytics.library) return; // embedded twice

  let settings = null; // after load()
  let choice = null; // category → boolean, after consent()
  let held = []; // calls that wait for both
  let memoryId = null; // the anonymousId where cookies are off
  let timer = 0;
  let failures = 0;
  let sequence = 0;
  let sending = new Set(); // keys of the batch on its way
  const beaconed = new Set(); // keys given to sendBeacon, which never says whether they arrived

  // ---- storage: localStorage, or memory where the browser refuses it or it is full

  const memory = {};
  const attempt = (action) => {
    try {
      return action();
    } catch {
      return null;
    }
  };
  const get = (key) => memory[key] ?? attempt(() => localStorage.getItem(key));
  const set = (key, value) => {
    memory[key] = String(value);
    attempt(() => (localStorage.setItem(key, value), delete memory[key]));
  };
  const remove = (key) => {
    delete memory[key];
    attempt(() => localStorage.removeItem(key));
  };
  const keys = (prefix) => {
    const all = (attempt(() => Object.keys(localStorage)) || []).concat(Object.keys(memory));
    return all.filter((key) => key.startsWith(prefix)).sort();
  };

  // ---- the visitor

  function uuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing on plain http
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/(.{8})(.{4}).(.{3}).(.{3})/, "$1-$2-4$3-8$4-");
  }

  function writeCookie(value, seconds) {
    const domain = settings.cookieDomain && `; Domain=${settings.cookieDomain}`;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    const cookie = `c360_anonymous_id=${value}; Max-Age=${seconds}; Path=/; SameSite=Lax`;
    attempt(() => (document.cookie = cookie + domain + secure));
  }

  function knownId() {
    const cookies = attempt(() => document.cookie) || "";
    return (cookies.match(/(?:^|; )c360_anonymous_id=([\w-]{1,64})(?:;|$)/) || [])[1] || memoryId;
  }

  function anonymousId() {
    if (!knownId()) {
      const id = uuid();
      writeCookie(id, 365 * 86400);
      if (!knownId()) memoryId = id;
    }
    return knownId();
  }

  function forgetVisitor() {
    memoryId = null;
    writeCookie("", 0);
    remove("c360.user");
  }

  // ---- messages

  // Query strings hold tokens, searches and addresses: only the campaign's parameters stay.
  const campaignOf = (parameters) => [...parameters].filter(([name]) => CAMPAIGN.test(name));

  function cleanUrl(address) {
    const url = attempt(() => new URL(address));
    if (!url) return undefined;
    url.search = new URLSearchParams(campaignOf(url.searchParams));
    url.hash = url.username = url.password = "";
    return url.href;
  }

  function moment() {
    const { title, referrer } = document;
    const page = { path: location.pathname, url: cleanUrl(location.href), title, referrer: cleanUrl(referrer) };
    const utm = campaignOf(new URLSearchParams(location.search));
    const named = Object.fromEntries(utm.map(([name, value]) => [name.slice(4).replace("campaign", "name"), value]));
    const campaign = utm.length ? named : undefined;
    return { timestamp: new Date().toISOString(), context: { page, campaign, locale: navigator.language } };
  }

  function giveUp(count, why) {
    console.warn(`c360: ${count} message(s) given up: ${why}`);
    if (isGranted()) set("c360.lost", Number(get("c360.lost")) + count); // told to the collector with what follows
  }

  function enqueue(fields, { timestamp, context }, mark = "") {
    const library = { ...LIBRARY, lost: Number(get("c360.lost")) || undefined };
    const consent = { categoryPreferences: choice };
    const messageId = uuid();
    const text = JSON.stringify({ messageId, ...fields, timestamp, context: { ...context, consent, library } });
    if (bytesOf(text) > MESSAGE_BYTES) return giveUp(1, `longer than ${MESSAGE_BYTES} bytes`);
    // An entry per message, sorted by age: tabs share the queue without overwriting each other's.
    set(`c360.q.${Date.now()}.${String(sequence++).padStart(6, "0")}.${messageId}${mark}`, text);
    trim();
    schedule(settings.flushMs);
  }

  const visitor = () => ({ anonymousId: anonymousId(), userId: get("c360.user") || undefined });

  // What the public calls do once they may. `at`: when and on which page they were made.
  const perform = {
    track(at, event, properties) {
      if (!event || typeof event !== "string") return console.warn("c360: track needs the name of an event");
      enqueue({ type: "track", event, properties: properties || {}, ...visitor() }, at);
    },
    page(at, name, properties) {
      const given = typeof name === "string" ? { name, ...properties } : name;
      enqueue({ type: "page", properties: { ...at.context.page, ...given }, ...visitor() }, at);
    },
    identify(at, userId, traits) {
      if (typeof userId === "object") [userId, traits] = [null, userId || traits];
      if (userId !== null) {
        const before = get("c360.user");
        if (before && before !== String(userId)) perform.reset(at); // another person on the same device
        set("c360.user", userId);
      }
      enqueue({ type: "identify", traits: traits || {}, ...visitor() }, at);
    },
    reset(at) {
      forgetVisitor();
      grant(at);
    },
  };

  // ---- consent

  // A withdrawal in another tab removes the entry "c360.consent", and with it the permission of this one.
  const isGranted = () => Boolean(settings && choice && choice.Analytics && get("c360.consent") !== null);

  function accept(method, args) {
    if (choice && !choice.Analytics) return;
    held.push([method, moment(), JSON.parse(JSON.stringify(args))]); // copied: the page may change its objects
    if (held.length > (settings || DEFAULTS).queueMessages) giveUp(held.splice(0, 1).length, "too many wait for consent");
    release();
  }

  function release() {
    if (isGranted()) for (const [method, at, args] of held.splice(0)) guarded(() => perform[method](at, ...args));
  }

  // The collector believes a grant only where it is stated, and of no other id.
  const state = (id, at, mark) => enqueue({ type: "track", event: STATEMENT, properties: {}, anonymousId: id }, at, mark);

  function grant(at) {
    const stated = JSON.stringify([anonymousId(), choice]);
    if (get("c360.consent") === stated) return;
    set("c360.consent", stated);
    state(anonymousId(), at, ".yes");
  }

  // All is forgotten; the collector is told if it knows this visitor.
  function withdraw(at) {
    const id = knownId();
    held = [];
    for (const key of keys("c360.")) if (!key.endsWith(".no")) remove(key);
    forgetVisitor();
    if (id) state(id, at, ".no");
  }

  function settle() {
    if (!settings || !choice) return;
    (choice.Analytics ? grant : withdraw)(moment());
    release();
    trim();
    schedule(0);
  }

  // ---- the queue, and its delivery

  const bytesOf = (text) => new TextEncoder().encode(text).length;
  const queued = () => keys("c360.q.").map((key) => ({ key, text: get(key) || "", bytes: bytesOf(get(key) || "") }));

  // Bounded in number, bytes and age: the oldest go first, statements of consent never.
  function trim() {
    const all = queued();
    let bytes = all.reduce((sum, entry) => sum + entry.bytes, 0);
    let gone = 0;
    for (const entry of all.filter(({ key }) => !/\.(yes|no)$/.test(key))) {
      const isOld = Date.now() - entry.key.split(".")[2] > OLDEST_MS;
      if (!isOld && all.length - gone <= settings.queueMessages && bytes <= settings.queueBytes) break;
      remove(entry.key);
      bytes -= entry.bytes;
      gone += 1;
    }
    if (gone) giveUp(gone, "the queue is full, or they are too old");
  }

  function nextBatch(isLeftOut) {
    let bytes = 0;
    return queued()
      .filter(({ key, text }) => text && !isLeftOut(key))
      .slice(0, BATCH_MESSAGES)
      .filter((entry) => (bytes += entry.bytes + 1) <= BATCH_BYTES);
  }

  function bodyOf(batch) {
    const rest = JSON.stringify({ writeKey: settings.writeKey, sentAt: new Date().toISOString() });
    return `{"batch":[${batch.map(({ text }) => text).join()}],${rest.slice(1)}`;
  }

  // What is left of the time that the collector asked for, on this page or before; nothing if the clock has jumped.
  function waiting() {
    const left = Number(get("c360.wait")) - Date.now();
    return left > 0 && left <= LONGEST_WAIT_MS ? left : 0;
  }

  function schedule(milliseconds) {
    timer = timer || setTimeout(() => ((timer = 0), flush()), milliseconds);
  }

  async function flush() {
    if (sending.size) return;
    if (waiting()) return schedule(waiting());
    const batch = nextBatch(() => false);
    if (!batch.length) return;
    sending = new Set(batch.map(({ key }) => key));
    const { status, retryAfter } = await post(bodyOf(batch));
    sending = new Set();
    const isTaken = status >= 200 && status < 300;
    const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
    if (!isTaken && !isRefused) return retryLater(retryAfter);
    failures = 0;
    for (const { key } of batch) {
      remove(key);
      if (isRefused && key.endsWith(".yes") && isGranted()) set("c360.consent", ""); // to be stated again
    }
    if (isRefused) giveUp(batch.length, `the collector answered ${status}`);
    schedule(0);
  }

  async function post(body) {
    try {
      const answer = await fetch(settings.endpoint + "/v1/batch", {
        method: "POST",
        headers: { "Content-Type": "text/plain" }, // no preflight
        body,
        keepalive: true,
        credentials: "omit",
        redirect: "error",
        signal: AbortSignal.timeout?.(30000),
      });
      return { status: answer.status, retryAfter: answer.headers.get("Retry-After") };
    } catch {
      return { status: 0 };
    }
  }

  function retryLater(retryAfter) {
    const backoff = Math.min(LONGEST_BACKOFF_MS, settings.retryMs * 2 ** failures++) * (0.5 + Math.random() / 2);
    const asked = /^\d+$/.test(retryAfter) ? retryAfter * 1000 : Date.parse(retryAfter) - Date.now();
    if (asked > 0) set("c360.wait", Math.ceil(Date.now() + Math.min(asked + backoff, LONGEST_WAIT_MS)));
    schedule(waiting() || backoff);
  }

  // The page goes, perhaps for good. What is handed over stays in the queue until an answer says that it was taken.
  function leave() {
    if (!choice || waiting()) return;
    const batch = nextBatch((key) => sending.has(key) || beaconed.has(key));
    if (!batch.length) return;
    const body = new Blob([bodyOf(batch)], { type: "text/plain" });
    if (navigator.sendBeacon(settings.endpoint + "/v1/batch", body)) batch.forEach(({ key }) => beaconed.add(key));
  }

  // ---- the public calls

  // A page must not break over being measured.
  function guarded(action) {
    try {
      action();
    } catch (error) {
      giveUp(1, `${error.name} in a call`);
    }
  }

  const calls = {
    load(options) {
      if (settings) return;
      const { writeKey, endpoint } = options || {};
      if (!writeKey || !endpoint) return console.error("c360: load needs writeKey and endpoint");
      settings = { ...DEFAULTS, ...options, endpoint: endpoint.replace(/\/+$/, "") };
      document.addEventListener("visibilitychange", () => document.hidden && guarded(leave));
      addEventListener("pagehide", () => guarded(leave));
      settle();
    },
    // All categories at once. One that is missing is a no, and so is anything but true.
    consent(preferences) {
      const stated = Object.entries(preferences || {}).map(([name, value]) => [name, value === true]);
      const refused = navigator.globalPrivacyControl ? { Advertising: false, Sharing: false } : {};
      choice = Object.fromEntries(Object.entries({ Analytics: false, ...Object.fromEntries(stated), ...refused }).sort());
      settle();
    },
  };
  for (const method of Object.keys(perform)) calls[method] = (...args) => accept(method, args);
  for (const method of Object.keys(calls)) analytics[method] = (...args) => guarded(() => calls[method](...args));
  analytics.library = LIBRARY;
  for (const [method, ...args] of analytics.splice(0)) if (method in calls) analytics[method](...args);
})();
