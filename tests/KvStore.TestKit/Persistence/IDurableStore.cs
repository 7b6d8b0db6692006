namespace KvStore.TestKit.Persistence;

/// <summary>
/// A state with a persistence provider behind it, as the tests of crashes see it: the simplest one there is
/// (<see cref="DictionaryHost"/>), or a whole namespace (<see cref="NamespaceHost"/>).
/// </summary>
internal interface IDurableStore : IAsyncDisposable
{
    IKvPersistence Persistence { get; }

    /// <summary>All live entries as text.</summary>
    SortedDictionary<string, string> State { get; }

    /// <summary>The deadlines of the live entries that have one, in seconds since the Unix epoch.</summary>
    SortedDictionary<string, uint> Deadlines { get; }

    Task PutAsync(string key, string value, uint deadlineSeconds = 0, string metadata = "");

    /// <summary>Puts a value that is kept outside memory, if it is long enough for that.</summary>
    Task PutLargeAsync(string key, string value, uint deadlineSeconds = 0);

    Task DeleteAsync(string key);

    /// <summary>Gives an entry that there is another deadline, 0 for none.</summary>
    Task TouchAsync(string key, uint deadlineSeconds);
}
