namespace KvStore.Comparisons.Peers;

/// <summary>A directory for a database, which goes with it.</summary>
internal sealed class ScratchDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("kvstore-comparisons-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
