namespace KvStore.Wrangler;

/// <summary>A file has a syntax error. The message never quotes the file, which may have secrets in its <c>vars</c>.</summary>
#pragma warning disable CA1064 // Never leaves WranglerConfig.Parse.
internal sealed class ConfigSyntaxException(FilePosition position, string message) : Exception(message)
#pragma warning restore CA1064
{
    public FilePosition Position { get; } = position;
}
