namespace KvStore.Rest;

/// <summary>The resources of the API.</summary>
internal enum ApiResource
{
    None,
    Namespaces,
    Namespace,
    Keys,
    Value,
    Metadata,
    Bulk,
    BulkDelete,
    BulkGet,
    Changes,
}

/// <summary>
/// The resource that a path names. Paths are matched exactly: a client turns the key ".." into a path with a trailing slash, which
/// must not name the namespace.
/// </summary>
internal readonly ref struct ApiRoute
{
    private const string Accounts = "/accounts/";
    private const string Namespaces = "/storage/kv/namespaces";

    private ApiRoute(ApiResource resource, ReadOnlySpan<char> id = default, ReadOnlySpan<char> key = default)
    {
        Resource = resource;
        Id = id;
        Key = key;
    }

    public ApiResource Resource { get; }

    /// <summary>The id of the namespace in the path, not checked.</summary>
    public ReadOnlySpan<char> Id { get; }

    /// <summary>The key, percent-encoded. It may hold slashes.</summary>
    public ReadOnlySpan<char> Key { get; }

    public static ApiRoute Of(ReadOnlySpan<char> path, string prefix)
    {
        if (!path.StartsWith(prefix, StringComparison.Ordinal))
        {
            return default;
        }

        path = path[prefix.Length..];
        if (!path.StartsWith(Accounts, StringComparison.Ordinal))
        {
            return default;
        }

        path = path[Accounts.Length..];
        var account = path.IndexOf('/');
        if (account <= 0 || !path[account..].StartsWith(Namespaces, StringComparison.Ordinal))
        {
            return default;
        }

        path = path[(account + Namespaces.Length)..];
        return path.IsEmpty ? new ApiRoute(ApiResource.Namespaces) : path[0] == '/' ? Below(path[1..]) : default;
    }

    private static ApiRoute Below(ReadOnlySpan<char> path)
    {
        var slash = path.IndexOf('/');
        var id = slash < 0 ? path : path[..slash];
        if (id.IsEmpty)
        {
            return default;
        }

        if (slash < 0)
        {
            return new ApiRoute(ApiResource.Namespace, id);
        }

        const string values = "values/";
        const string metadata = "metadata/";
        var rest = path[(slash + 1)..];
        if (rest.StartsWith(values, StringComparison.Ordinal))
        {
            return rest.Length == values.Length ? default : new ApiRoute(ApiResource.Value, id, rest[values.Length..]);
        }

        if (rest.StartsWith(metadata, StringComparison.Ordinal))
        {
            return rest.Length == metadata.Length ? default : new ApiRoute(ApiResource.Metadata, id, rest[metadata.Length..]);
        }

        return rest switch
        {
            "keys" => new ApiRoute(ApiResource.Keys, id),
            "changes" => new ApiRoute(ApiResource.Changes, id),
            "bulk" => new ApiRoute(ApiResource.Bulk, id),
            "bulk/delete" => new ApiRoute(ApiResource.BulkDelete, id),
            "bulk/get" => new ApiRoute(ApiResource.BulkGet, id),
            _ => default,
        };
    }
}
