namespace KvStore.Wrangler;

/// <summary>An entry of <c>kv_namespaces</c>: its <c>binding</c>, its <c>id</c> where it has one, and where the name stands.</summary>
internal readonly record struct WranglerBinding(string Name, string? Id, FilePosition Position);
