namespace KvStore.Comparisons.Peers;

/// <summary>A directory for a database, removed with the database.</summary>
internal sealed class ScratchDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("kvstore-comparisons-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
