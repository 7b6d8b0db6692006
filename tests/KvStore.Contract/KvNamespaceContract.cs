namespace KvStore.Contract;

/// <summary>
/// What holds for every <see cref="IKvNamespace"/>, wherever it keeps its entries. An implementation is held to it by a
/// subclass that opens an empty namespace with the documented limits; one whose clock the test can move derives from
/// <see cref="KvNamespaceClockContract"/>, which adds what takes time.
/// </summary>
/// <remarks>
/// A subclass without a clock has no tests that need one: they are not there, rather than skipped or passing in silence.
/// What may differ between implementations is not asked: the cache status, and whether a call completes at once.
/// An implementation that reaches its entries over a protocol may lack what the protocol cannot carry. It declares so in one of
/// the few members for it, says why, and is then held to what remains.
/// </remarks>
public abstract partial class KvNamespaceContract : IAsyncLifetime
{
    private const string WrongSeconds = "Value out of range. Must be between -2147483648 and 2147483647 (inclusive).*";

    // Half a pair, which is not a character.
    private const string Unpaired = "a\uD800b";

    private IKvNamespace? _kv;

    /// <summary>The namespace, empty when a test begins.</summary>
    protected IKvNamespace Kv => _kv ?? throw new InvalidOperationException("The test has not begun.");

    /// <summary>The clock that the namespace goes by.</summary>
    protected virtual TimeProvider Time => TimeProvider.System;

    /// <summary>Whether a read can be given a <see cref="KvGetOptions.CacheTtl"/>. One that cannot throws <see cref="NotSupportedException"/>.</summary>
    protected virtual bool TakesCacheTtl => true;

    /// <summary>Whether the expiration comes with a value that is read, and not with a listing alone.</summary>
    protected virtual bool TellsExpirationOfAValue => true;

    /// <summary>Whether value and metadata of one get are always of the same put. Those of a get of many keys are in any case.</summary>
    protected virtual bool ReadsValueAndMetadataAtOnce => true;

    /// <summary>The least keys that a page can be asked to have.</summary>
    protected virtual int KeysAPageMin => 1;

    /// <summary>The operation that the refusal of a cursor names.</summary>
    protected virtual string CursorOperation => "LIST";

    /// <summary>The longest key that reaches the code which counts its bytes.</summary>
    protected virtual int KeyBytesSent => 100_000;

    public async Task InitializeAsync() => _kv = await OpenAsync();

    /// <summary>Disposes the namespace, if it can be disposed. A subclass that overrides this calls it first.</summary>
    public virtual async Task DisposeAsync()
    {
        switch (_kv)
        {
            case IAsyncDisposable disposable:
                await disposable.DisposeAsync();
                break;
            case IDisposable disposable:
                disposable.Dispose();
                break;
        }
    }

    /// <summary>Opens an empty namespace with the documented limits. Called once for each test.</summary>
    protected abstract ValueTask<IKvNamespace> OpenAsync();

    /// <summary>A put, a get and a list of a text, the least that must be possible after whatever happened before.</summary>
    protected async Task ShouldStillWork()
    {
        await Kv.PutAsync("still", "works");
        (await Kv.GetTextAsync("still")).Should().Be("works");
        (await Names("still")).Should().Equal("still");
    }

    protected async Task<List<string>> Names(string? prefix = null)
    {
        var names = new List<string>();
        await foreach (var key in Kv.ListAllAsync(prefix))
        {
            names.Add(key.Name);
        }

        return names;
    }

    /// <summary>When a key expires: from its value when that has the expiration, otherwise from the list.</summary>
    protected async Task<DateTimeOffset?> ExpirationOf(string key) => TellsExpirationOfAValue
        ? (await Kv.GetAsync(key)).Expiration
        : (await Kv.ListAsync(new KvListOptions { Prefix = key })).Keys.Single(listed => listed.Name == key).Expiration;

    protected Task PutAll(IEnumerable<string> keys) => Parallel.ForEachAsync(
        keys,
        new ParallelOptions { MaxDegreeOfParallelism = 16 },
        (key, cancellationToken) => Kv.PutAsync(key, key, options: null, cancellationToken));

    /// <summary>Expects a call to be refused as the binding refuses it.</summary>
    protected static async Task ShouldRefuse(Func<Task> act, int status, string message)
    {
        var thrown = (await act.Should().ThrowAsync<KvException>()).Which;
        thrown.Message.Should().Be(message);
        thrown.StatusCode.Should().Be(status);
        thrown.Operation.Should().Be(message.Split(' ')[1]);
    }

    private static byte[] Noise(int length, int seed = 1)
    {
        var noise = new byte[length];
        new Random(seed).NextBytes(noise);
        return noise;
    }
}
