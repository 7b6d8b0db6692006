namespace KvStore.CrashTests;

/// <summary>Opens file persistence on simulated disks, with files small enough that everything happens often.</summary>
internal static class Stores
{
    public static readonly FilePersistenceOptions Small = new()
    {
        LogFileBytes = 4096,
        CompactionBytesMin = 1 << 30,
        LargeValueBytes = 1024,
    };

    public static FilePersistence On(SimulatedDisk disk, FilePersistenceOptions? options = null) =>
        new("disk", options ?? Small, _ => disk);

    public static Task<DictionaryHost> OpenAsync(SimulatedDisk disk, FilePersistenceOptions? options = null, TimeProvider? time = null) =>
        DictionaryHost.OpenAsync(On(disk, options), time);

    /// <summary>The state that a disk recovers to, by itself and without a change to the disk.</summary>
    public static async Task<SortedDictionary<string, string>> StateOfAsync(SimulatedDisk disk, TimeProvider? time = null)
    {
        var host = await OpenAsync(SimulatedDisk.With(disk.Files), null, time);
        await using (host.Persistence)
        {
            return host.State;
        }
    }

    /// <summary>The files of a disk after a few writes and without a clean end.</summary>
    public static async Task<SimulatedDisk> CrashedAsync(Func<DictionaryHost, Task> write, FilePersistenceOptions? options = null)
    {
        var disk = new SimulatedDisk();
        var host = await OpenAsync(disk, options);
        await write(host);
        return SimulatedDisk.With(disk.Files);
    }

    /// <summary>The files of a disk after a few writes and a clean end.</summary>
    public static async Task<SimulatedDisk> ClosedAsync(Func<DictionaryHost, Task> write, FilePersistenceOptions? options = null)
    {
        var disk = new SimulatedDisk();
        var host = await OpenAsync(disk, options);
        await write(host);
        await host.Persistence.DisposeAsync();
        return SimulatedDisk.With(disk.Files);
    }
}
