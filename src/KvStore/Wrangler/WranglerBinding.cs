namespace KvStore.Wrangler;

/// <summary>An entry of <c>kv_namespaces</c>: its <c>binding</c>, its <c>id</c> if it has one, and the position of the name.</summary>
internal readonly record struct WranglerBinding(string Name, string? Id, FilePosition Position);
