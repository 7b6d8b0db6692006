namespace KvStore.Authentication;

/// <summary>The names of hosts in options.</summary>
internal static class HostNames
{
    /// <summary>Stands for every name.</summary>
    public const string Any = "*";

    /// <summary>Checks names and adds them to a list.</summary>
    /// <exception cref="ArgumentException">A name is empty, or has a scheme, a port or a path.</exception>
    public static void Add(List<string> list, string[] names)
    {
        ArgumentNullException.ThrowIfNull(names);
        foreach (var name in names)
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(name, nameof(names));
            if (name != Any && Uri.CheckHostName(name) == UriHostNameType.Unknown)
            {
                throw new ArgumentException($"\"{name}\" is not the name of a host; give it without scheme, port and path, or \"*\" for any.", nameof(names));
            }
        }

        list.AddRange(names);
    }
}
