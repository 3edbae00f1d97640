/* c360.js tells a c360 collector what happens on a page, in messages of the Segment API. Embedding: docs/collector.md
 *
 * Until consent to Analytics is stated on this page, calls wait in memory: storage is not read, nothing is stored or sent.
 * From then on a message is an entry of localStorage, its text final, until the collector has answered. What is sent again
 * is the same text with the same messageId, so that the collector knows it again.
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
  const store = {
    get: (key) => memory[key] ?? attempt(() => localStorage.getItem(key)),
    set(key, value) {
      memory[key] = String(value);
      attempt(() => (localStorage.setItem(key, value), delete memory[key]));
    },
    remove(key) {
      delete memory[key];
      attempt(() => localStorage.removeItem(key));
    },
    keys(prefix) {
      const keys = (attempt(() => Object.keys(localStorage)) || []).concat(Object.keys(memory));
      return keys.filter((key) => key.startsWith(prefix)).sort();
    },
  };

  // ---- the visitor

  function uuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing on plain http
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  function writeCookie(value, seconds) {
    const domain = settings.cookieDomain && `; Domain=${settings.cookieDomain}`;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    const rules = `Max-Age=${seconds}; Path=/; SameSite=Lax${domain}${secure}`;
    attempt(() => (document.cookie = `c360_anonymous_id=${value}; ${rules}`));
  }

  function knownId() {
    const cookies = attempt(() => document.cookie) || "";
    return (cookies.match(/(?:^|; )c360_anonymous_id=([\w-]{1,64})(?:;|$)/) || [])[1] || memoryId;
  }

  function anonymousId() {
    if (!knownId()) {
      const id = uuid();
      writeCookie(id, 31536000);
      if (!knownId()) memoryId = id;
    }
    return knownId();
  }

  function forgetVisitor() {
    memoryId = null;
    writeCookie("", 0);
    store.remove("c360.user");
  }

  // ---- messages

  // Query strings hold tokens, searches and addresses: only the campaign's parameters stay.
  function cleanUrl(address) {
    const url = attempt(() => new URL(address));
    if (!url) return undefined;
    url.search = new URLSearchParams([...url.searchParams].filter(([name]) => CAMPAIGN.test(name)));
    url.hash = url.username = url.password = "";
    return url.href;
  }

  function moment() {
    const { title, referrer } = document;
    const utm = [...new URLSearchParams(location.search)].filter(([name]) => CAMPAIGN.test(name));
    const campaign = utm.map(([name, value]) => [name.slice(4).replace("campaign", "name"), value]);
    return {
      timestamp: new Date().toISOString(),
      context: {
        page: { path: location.pathname, url: cleanUrl(location.href), title, referrer: cleanUrl(referrer) },
        campaign: utm.length ? Object.fromEntries(campaign) : undefined,
        locale: navigator.language,
      },
    };
  }

  function giveUp(count, why) {
    console.warn(`c360: ${count} message(s) given up: ${why}`);
    if (isGranted()) store.set("c360.lost", Number(store.get("c360.lost")) + count); // told to the collector with what follows
  }

  function enqueue(fields, { timestamp, context }, mark = "") {
    const library = { ...LIBRARY, lost: Number(store.get("c360.lost")) || undefined };
    const consent = { categoryPreferences: choice };
    const messageId = uuid();
    const text = JSON.stringify({ messageId, ...fields, timestamp, context: { ...context, consent, library } });
    if (bytesOf(text) > MESSAGE_BYTES) return giveUp(1, `longer than ${MESSAGE_BYTES} bytes`);
    // An entry per message, sorted by age: tabs share the queue without overwriting each other's.
    store.set(`c360.q.${Date.now()}.${String(sequence++).padStart(6, "0")}.${messageId}${mark}`, text);
    trim();
    schedule(settings.flushMs);
  }

  const visitor = () => ({ anonymousId: anonymousId(), userId: store.get("c360.user") || undefined });

  // What the public calls do once they may. `at`: when and on which page they were made.
  const perform = {
    track(at, event, properties) {
      if (typeof event !== "string" || !event) return console.warn("c360: track needs the name of an event");
      enqueue({ type: "track", event, properties: properties || {}, ...visitor() }, at);
    },
    page(at, name, properties) {
      const given = typeof name === "string" ? { name, ...properties } : name;
      enqueue({ type: "page", properties: { ...at.context.page, ...given }, ...visitor() }, at);
    },
    identify(at, userId, traits) {
      if (typeof userId === "object") [userId, traits] = [null, userId || traits];
      if (userId !== null) {
        const before = store.get("c360.user");
        if (before && before !== String(userId)) perform.reset(at); // another person on the same device
        store.set("c360.user", userId);
      }
      enqueue({ type: "identify", traits: traits || {}, ...visitor() }, at);
    },
    reset(at) {
      forgetVisitor();
      grant(at);
    },
  };

  // ---- consent

  // A withdrawal in another tab removes the entry "consent", and with it the permission of this one.
  const isGranted = () => Boolean(settings && choice && choice.Analytics && store.get("c360.consent") !== null);

  function accept(method, args) {
    if (choice && !choice.Analytics) return;
    held.push([method, moment(), JSON.parse(JSON.stringify(args))]); // copied: the page may change its objects
    if (held.length > (settings || DEFAULTS).queueMessages) giveUp(held.splice(0, 1).length, "too many wait for consent");
    release();
  }

  function release() {
    if (isGranted()) for (const [method, at, args] of held.splice(0)) guarded(() => perform[method](at, ...args));
  }

  // The collector believes a grant only where it is stated, and of no other id: once per anonymousId and choice.
  function grant(at) {
    const stated = JSON.stringify([anonymousId(), choice]);
    if (store.get("c360.consent") === stated) return;
    store.set("c360.consent", stated);
    enqueue({ type: "track", event: STATEMENT, properties: {}, anonymousId: anonymousId() }, at, ".yes");
  }

  // All is forgotten; the collector is told if it knows this visitor.
  function withdraw(at) {
    const id = knownId();
    held = [];
    for (const key of store.keys("c360.")) if (!key.endsWith(".no")) store.remove(key);
    forgetVisitor();
    if (id) enqueue({ type: "track", event: STATEMENT, properties: {}, anonymousId: id }, at, ".no");
  }

  function settle() {
    if (!settings || !choice) return;
    (choice.Analytics ? grant : withdraw)(moment());
    release();
    schedule(0);
  }

  // ---- the queue, and its delivery

  const bytesOf = (text) => new TextEncoder().encode(text).length;
  const queued = () => store.keys("c360.q.");

  // Bounded in number, bytes and age: the oldest go first, statements of consent never.
  function trim() {
    const sizes = queued().map((key) => [key, bytesOf(store.get(key) || "")]);
    let bytes = sizes.reduce((sum, [, size]) => sum + size, 0);
    let count = sizes.length;
    let gone = 0;
    for (const [key, size] of sizes.filter(([name]) => !/\.(yes|no)$/.test(name))) {
      const isOld = Date.now() - key.split(".")[2] > OLDEST_MS;
      if (!isOld && count - gone <= settings.queueMessages && bytes <= settings.queueBytes) break;
      store.remove(key);
      bytes -= size;
      gone += 1;
    }
    if (gone) giveUp(gone, "the queue is full, or they are too old");
  }

  function nextBatch(isLeftOut) {
    const batch = [];
    let bytes = 0;
    for (const key of queued()) {
      const text = isLeftOut(key) ? null : store.get(key);
      if (text === null) continue;
      bytes += bytesOf(text) + 1;
      if (batch.length === BATCH_MESSAGES || bytes > BATCH_BYTES) break;
      batch.push([key, text]);
    }
    return batch;
  }

  function bodyOf(batch) {
    const rest = JSON.stringify({ writeKey: settings.writeKey, sentAt: new Date().toISOString() });
    return `{"batch":[${batch.map(([, text]) => text).join()}],${rest.slice(1)}`;
  }

  // What is left of the time that the collector asked for, be it on the page before; not what a jump of the clock makes of it.
  function waiting() {
    const left = Number(store.get("c360.wait")) - Date.now();
    return left > 0 && left <= LONGEST_WAIT_MS ? left : 0;
  }

  function schedule(milliseconds) {
    timer = timer || setTimeout(() => ((timer = 0), flush()), milliseconds);
  }

  async function flush() {
    if (!settings || !choice || sending.size) return;
    if (waiting()) return schedule(waiting());
    const batch = nextBatch(() => false);
    if (!batch.length) return;
    sending = new Set(batch.map(([key]) => key));
    const { status, retryAfter } = await post(bodyOf(batch));
    sending = new Set();
    const isTaken = status >= 200 && status < 300;
    const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
    if (!isTaken && !isRefused) return retryLater(retryAfter);
    failures = 0;
    for (const [key] of batch) {
      store.remove(key);
      if (isRefused && key.endsWith(".yes") && isGranted()) store.set("c360.consent", ""); // to be stated again
    }
    if (isRefused) giveUp(batch.length, `the collector answered ${status}`);
    if (queued().length) schedule(0);
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
    if (asked > 0) store.set("c360.wait", Date.now() + Math.min(asked + backoff, LONGEST_WAIT_MS));
    schedule(waiting() || backoff);
  }

  // The page goes, perhaps for good. What is handed over stays in the queue until an answer says that it was taken.
  function leave() {
    if (!settings || !choice || waiting()) return;
    const batch = nextBatch((key) => sending.has(key) || beaconed.has(key));
    if (!batch.length) return;
    const body = new Blob([bodyOf(batch)], { type: "text/plain" });
    if (navigator.sendBeacon(settings.endpoint + "/v1/batch", body)) batch.forEach(([key]) => beaconed.add(key));
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
