// Replays recorded operations on a real KV binding: takes one operation with what is expected of it, answers with what differs.

const utf8 = new TextEncoder();
const cursors = new Map();

export default {
  async fetch(request, env) {
    const { op, expect, t0, now, first } = await request.json();
    if (first) cursors.clear();
    const times = { t0, now };
    let observed;
    try {
      observed = await run(env.KV, op, times);
    } catch (e) {
      observed = { error: { name: e.name, message: e.message } };
    }
    const mismatch = await difference(expect, observed, times);
    return new Response(mismatch ?? "", { status: mismatch === null ? 200 : 409 });
  },
};

async function run(kv, op, times) {
  switch (op.op) {
    case "put":
      if (op.noValue) await kv.put(text(op.key));
      else await kv.put(text(op.key), value(op.value), ...rest(op.options && putOptions(op.options, times)));
      return { void: true };
    case "fill":
      for (const key of keys(op.keys)) await kv.put(key, op.valuePrefix == null ? "v" : op.valuePrefix + key);
      return { void: true };
    case "delete":
      await kv.delete(text(op.key));
      return { void: true };
    case "get":
      return shown(await kv.get(text(op.key), ...readOptions(op)), typeOf(op));
    case "getWithMetadata": {
      const read = await kv.getWithMetadata(text(op.key), ...readOptions(op));
      return { entry: { value: await shown(read.value, typeOf(op)), metadata: read.metadata, cacheStatus: read.cacheStatus } };
    }
    case "getMany": {
      const map = await kv.get(keys(op.keys), ...readOptions(op));
      return { map: await Promise.all([...map].map(async ([key, v]) => [key, await shown(v, typeOf(op))])) };
    }
    case "getManyWithMetadata": {
      const map = await kv.getWithMetadata(keys(op.keys), ...readOptions(op));
      return {
        map: await Promise.all([...map].map(async ([key, v]) => [
          key,
          v === null ? { null: true } : { entry: { value: await shown(v.value, typeOf(op)), metadata: v.metadata } },
        ])),
      };
    }
    case "list": {
      const page = op.noArgs ? await kv.list() : await kv.list(listOptions(op));
      if (op.save) cursors.set(op.save, page.cursor ?? null);
      return { page };
    }
    case "listAll": {
      const pages = [];
      let cursor;
      do {
        const page = await kv.list({ ...listOptions(op), cursor });
        pages.push(page);
        cursor = page.list_complete ? null : page.cursor;
      } while (cursor);
      return { pages };
    }
    default:
      throw new Error(`${op.op} is not an operation that the recordings know`);
  }
}

const rest = (argument) => (argument === undefined ? [] : [argument]);

function typeOf(op) {
  const type = op.rawOptions && typeof op.rawOptions === "object" ? op.rawOptions.type : op.type;
  return typeof type === "string" ? type : "text";
}

function readOptions(op) {
  if ("rawOptions" in op) return [raw(op.rawOptions)];
  if (op.form === "options" || "cacheTtl" in op) {
    const options = {};
    if ("type" in op) options.type = op.type;
    if ("cacheTtl" in op) options.cacheTtl = raw(op.cacheTtl);
    return [options];
  }
  return rest(op.type);
}

function listOptions(op) {
  if ("rawOptions" in op) return raw(op.rawOptions);
  const options = {};
  if ("prefix" in op) options.prefix = op.prefix === null ? null : text(op.prefix);
  if ("limit" in op) options.limit = op.limit;
  if ("cursor" in op) options.cursor = op.cursor?.$var ? cursors.get(op.cursor.$var) : op.cursor === null ? null : text(op.cursor);
  return options;
}

function putOptions(recorded, times) {
  const options = { ...recorded };
  if ("metadata" in options) options.metadata = raw(options.metadata);
  for (const name of ["expirationTtl", "expiration"]) {
    if (name in options) options[name] = typeof options[name] === "string" ? seconds(options[name], times) : raw(options[name]);
  }
  return options;
}

// Literals.

function text(json) {
  if (typeof json === "string") return json;
  if ("$js" in json) return js(json.$js);
  if ("$repeat" in json) return text(json.$repeat[0]).repeat(json.$repeat[1]);
  if ("$utf16" in json) return String.fromCharCode(...json.$utf16);
  if ("$concat" in json) return json.$concat.map(text).join("");
  throw new Error(`${JSON.stringify(json)} is not a string`);
}

function bytes(json) {
  if ("$b64" in json) return Uint8Array.from(atob(json.$b64), (c) => c.charCodeAt(0));
  if ("$fill" in json) return new Uint8Array(json.$fill[1]).fill(json.$fill[0]);
  if ("$utf8" in json) return utf8.encode(text(json.$utf8));
  throw new Error(`${JSON.stringify(json)} is not bytes`);
}

function keys(json) {
  if (Array.isArray(json)) return json.map(text);
  const [prefix, from, to, pad] = json.$range;
  return Array.from({ length: to - from }, (_, i) => prefix + String(from + i).padStart(pad ?? 1, "0"));
}

function value(v) {
  switch (v.as) {
    case "string":
      return text(v.text);
    case "js":
      return js(v.js);
    case "arrayBuffer":
      return bytes(v.bytes).buffer;
    case "uint8Array":
      return bytes(v.bytes);
    case "uint16Array":
      return new Uint16Array(bytes(v.bytes).buffer);
    case "subarray": {
      const inner = bytes(v.bytes);
      const outer = new Uint8Array(inner.length + 2).fill(0xaa);
      outer.set(inner, 1);
      return outer.subarray(1, 1 + inner.length);
    }
    case "responseStream":
      return new Response(bytes(v.bytes)).body;
    case "stream": {
      const all = bytes(v.bytes);
      const size = v.chunk ?? Math.max(all.length, 1);
      let at = 0;
      return new ReadableStream({
        pull(controller) {
          if (at >= all.length) return controller.close();
          controller.enqueue(all.slice(at, at + size));
          at += size;
        },
      });
    }
    default:
      throw new Error(`${v.as} is not a value that the recordings know`);
  }
}

// A JSON value in which strings and numbers may be written in another form.
function raw(json) {
  if (Array.isArray(json)) return json.map(raw);
  if (json === null || typeof json !== "object") return json;
  if ("$js" in json) return js(json.$js);
  if ("$number" in json) return Number(json.$number);
  if ("$repeat" in json || "$utf16" in json || "$concat" in json) return text(json);
  return Object.fromEntries(Object.entries(json).map(([key, v]) => [key, raw(v)]));
}

function js(name) {
  const [kind, argument] = name.includes(":") ? [name.slice(0, name.indexOf(":")), name.slice(name.indexOf(":") + 1)] : [name];
  switch (kind) {
    case "number": return Number(argument);
    case "string": return argument;
    case "bigint": return BigInt(argument);
    case "NaN": return NaN;
    case "-Infinity": return -Infinity;
    case "true": return true;
    case "false": return false;
    case "null": return null;
    case "undefined": return undefined;
    case "symbol": return Symbol("s");
    case "array": return [1, 2];
    case "array-empty": return [];
    case "object": return { a: 1 };
    case "object-empty": return {};
    case "map": return new Map();
    case "set": return new Set();
    case "date": return new Date(NaN);
    case "date-invalid": return new Date(NaN);
    case "error": return new Error("e");
    case "regexp": return /x/;
    case "function": return () => {};
    case "string-object": return new String("s");
    case "url": return new URL("http://x/");
    case "formdata": return new FormData();
    case "response": return new Response("r");
    case "typed-array": return new Uint8Array([1, 2]);
    case "sharedarraybuffer": return new SharedArrayBuffer(4);
    case "circular": { const self = {}; self.self = self; return self; }
    case "tojson-throws": return { toJSON() { throw new RangeError("nope"); } };
    case "obj-with-undefined": return { a: undefined, b: 1 };
    case "obj-with-function": return { f() {}, a: 1 };
    case "obj-with-nan": return { n: NaN, i: Infinity };
    case "obj-with-date": return { d: new Date(0) };
    case "locked-stream": { const s = new Response("x").body; s.getReader(); return s; }
    case "error-stream": return new ReadableStream({ start(c) { c.error(new Error("boom")); } });
    case "partial-error-stream": {
      let n = 0;
      return new ReadableStream({ pull(c) { if (n++ < 2) c.enqueue(utf8.encode("part")); else c.error(new Error("boom")); } });
    }
    case "detached-arraybuffer": { const b = new ArrayBuffer(4); structuredClone(b, { transfer: [b] }); return b; }
    default: throw new Error(`${name} is not a JavaScript value that the recordings know`);
  }
}

// What was observed, in the form in which it is recorded.

async function shown(v, type) {
  if (v === null || v === undefined) return { null: true };
  if (v instanceof ArrayBuffer) return { bytes: new Uint8Array(v) };
  if (v instanceof ReadableStream) return { stream: new Uint8Array(await new Response(v).arrayBuffer()) };
  return type === "json" ? { json: v } : { text: v };
}

async function difference(expected, observed, times) {
  const kind = Object.keys(expected)[0];
  const matches = await same(kind, expected[kind], observed, times);
  return matches ? null : `expected ${brief(expected)} but got ${brief(observed)}`;
}

function brief(x) {
  const s = JSON.stringify(x, (_, v) => (v instanceof Uint8Array ? { bytes: v.length, begin: [...v.slice(0, 16)] } : typeof v === "string" && v.length > 200 ? v.slice(0, 200) + "…" : v));
  return s.length <= 1200 ? s : s.slice(0, 1200) + "…";
}

async function same(kind, expected, observed, times) {
  if (kind === "json_text") return "json" in observed && expected === JSON.stringify(observed.json);
  if (!(kind in observed)) return false;
  const actual = observed[kind];
  switch (kind) {
    case "void":
    case "null":
      return true;
    case "text":
      return expected?.$sha256 ? sameHash(expected, utf8.encode(actual)) : text(expected) === actual;
    case "bytes":
    case "stream":
      return expected.$sha256 ? sameHash(expected, actual) : sameBytes(bytes(expected), actual);
    case "json":
      return sameJson(expected, actual);
    case "entry":
      return sameEntry(expected, actual, times);
    case "map":
      if (expected.length !== actual.length) return false;
      for (let i = 0; i < expected.length; i++) {
        const [key, v] = expected[i];
        if (text(key) !== actual[i][0] || !(await same(Object.keys(v)[0], v[Object.keys(v)[0]], actual[i][1], times))) return false;
      }
      return true;
    case "page":
      return samePage(expected, actual, times);
    case "pages":
      return expected.length === actual.length && expected.every((page, i) => samePage(page, actual[i], times));
    case "error":
      return expected.name === actual.name && fill(expected.message, times).toWellFormed() === actual.message.toWellFormed();
    default:
      return false;
  }
}

async function sameEntry(expected, actual, times) {
  const kind = Object.keys(expected.value)[0];
  return (await same(kind, expected.value[kind], actual.value, times))
    && sameJson(expected.metadata, actual.metadata)
    && (!("cacheStatus" in expected) || expected.cacheStatus === actual.cacheStatus);
}

function samePage(expected, actual, times) {
  return expected.list_complete === actual.list_complete
    && expected.cursor === ("cursor" in actual)
    && actual.cacheStatus === null
    && expected.keys.length === actual.keys.length
    && expected.keys.every((key, i) => {
      const other = actual.keys[i];
      return text(key.name) === other.name
        && ("expiration" in key) === ("expiration" in other)
        && (!("expiration" in key) || seconds(key.expiration, times) === other.expiration)
        && ("metadata" in key) === ("metadata" in other)
        && (!("metadata" in key) || sameJson(key.metadata, other.metadata));
    });
}

function sameJson(expected, actual) {
  expected = raw(expected);
  if (Object.is(expected, actual)) return true;
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && expected.length === actual.length && expected.every((v, i) => sameJson(v, actual[i]));
  }
  if (expected === null || actual === null || typeof expected !== "object" || typeof actual !== "object" || Array.isArray(actual)) return false;
  const names = Object.keys(expected);
  return names.length === Object.keys(actual).length && names.every((name) => Object.hasOwn(actual, name) && sameJson(expected[name], actual[name]));
}

const sameBytes = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

async function sameHash(expected, actual) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", actual));
  const hex = [...hash].map((b) => b.toString(16).padStart(2, "0")).join("");
  return (expected.length ?? expected.utf8_length) === actual.length && hex === expected.$sha256.toLowerCase();
}

function seconds(recorded, times) {
  if (typeof recorded === "number") return recorded;
  const [, origin, offset] = /^(now|t0)([+-]\d+)?$/.exec(recorded);
  return times[origin] + Number(offset ?? 0);
}

const fill = (message, times) => message.replace(/\{((?:now|t0)(?:[+-]\d+)?)\}/g, (_, recorded) => String(seconds(recorded, times)));
