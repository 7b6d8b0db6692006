public abstract class DocumentPrelude : GeneralPrelude
{
    protected DocumentPrelude() =>
        File.WriteAllText("wrangler.jsonc", """{ "kv_namespaces": [{ "binding": "SETTINGS", "id": "1" }] }""");
}
