// Reads Wrangler files by wrangler itself. Arguments: the main file of wrangler, then a file with a JSON array of
// { path, env }. Prints a JSON array with the names of the KV bindings of each, or null where wrangler refuses it.
const [, , main, cases] = process.argv;
const wrangler = require(main);
const results = JSON.parse(require("fs").readFileSync(cases, "utf8")).map(({ path, env }) => {
  try {
    const config = wrangler.unstable_readConfig({ config: path, env }, { hideWarnings: true });
    return config.kv_namespaces.map((entry) => [entry.binding, entry.id ?? null]);
  } catch {
    return null;
  }
});
process.stdout.write("\n" + JSON.stringify(results), () => process.exit(0));
