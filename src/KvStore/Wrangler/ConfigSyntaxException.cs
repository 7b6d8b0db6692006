namespace KvStore.Wrangler;

/// <summary>A file that is not of its format. The message never quotes the file, which may hold secrets in its <c>vars</c>.</summary>
#pragma warning disable CA1064 // Never leaves WranglerConfig.Parse.
internal sealed class ConfigSyntaxException(FilePosition position, string message) : Exception(message)
#pragma warning restore CA1064
{
    public FilePosition Position { get; } = position;
}
