using System.Buffers;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>
/// An object counts only after a second look at the namespace: an entry that changes between the read or the write of a version and the moment at
/// which the object of that version is kept is never read from the object.
/// </summary>
public sealed class HybridSecondLookTests
{
    public enum Change
    {
        None,
        Put,
        Delete,
        RemoveByTag,
    }

    public static TheoryData<Change, bool, bool> Changes { get; } = With(Change.None, Change.Put, Change.Delete, Change.RemoveByTag);

    /// <summary>A removal by tag waits for a write that has begun, so it cannot come in between.</summary>
    public static TheoryData<Change, bool, bool> ChangesDuringWrite { get; } = With(Change.None, Change.Put, Change.Delete);

    [Theory]
    [MemberData(nameof(Changes))]
    public Task Version_that_is_replaced_while_it_is_read_is_not_kept(Change change, bool isPersisted, bool isMutable) => isMutable
        ? ReadAsync(change, isPersisted, text => new Basket { Owner = text }, basket => basket.Owner)
        : ReadAsync(change, isPersisted, text => new Price(text, 1), price => price.Product);

    [Theory]
    [MemberData(nameof(ChangesDuringWrite))]
    public Task Version_that_is_replaced_while_it_is_written_is_not_kept(Change change, bool isPersisted, bool isMutable) => isMutable
        ? WriteAsync(change, isPersisted, text => new Basket { Owner = text }, basket => basket.Owner)
        : WriteAsync(change, isPersisted, text => new Price(text, 1), price => price.Product);

    // The change comes while the serializer makes the object of the old version, which is after the first look.
    private static async Task ReadAsync<T>(Change change, bool isPersisted, Func<string, T> make, Func<T, string> textOf)
        where T : class
    {
        var serializer = new HookedSerializer<T>(make, textOf);
        await using var host = new HybridHost(isPersisted, time: TimeProvider.System, register: services => services.AddSingleton<IHybridCacheSerializer<T>>(serializer));
        await host.Cache.SetAsync("a", make("old"), tags: ["tag"]);
        if (isPersisted)
        {
            await host.RestartAsync();
        }
        else
        {
            host.Internals.Entries.Clear();
        }

        serializer.OnDeserialize = () => Apply(host, change);
        textOf(await host.Cache.GetOrCreateAsync<T>("a", _ => throw new InvalidOperationException())).Should().Be("old", "it was there when the read began");
        serializer.OnDeserialize.Should().BeNull("the change was made");
        await CheckAsync(host, change, make, textOf);
    }

    // The change comes when the namespace counts the write, which is after the write and before the cache goes on.
    private static async Task WriteAsync<T>(Change change, bool isPersisted, Func<string, T> make, Func<T, string> textOf)
        where T : class
    {
        var serializer = new HookedSerializer<T>(make, textOf);
        await using var host = new HybridHost(isPersisted, time: TimeProvider.System, register: services => services.AddSingleton<IHybridCacheSerializer<T>>(serializer));
        using var listener = new MeterListener();
        Action? onPut = () => Apply(host, change);

        // Tests that run at the same time have namespaces of this name too.
        var own = new AsyncLocal<bool> { Value = true };
        listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Name == "kvstore.requests")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) =>
        {
            if (own.Value && tags.ToArray().Contains(new("db.operation.name", "put")) && Interlocked.Exchange(ref onPut, null) is { } make)
            {
                make();
            }
        });
        listener.Start();

        textOf(await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<T>(make("old")), tags: ["tag"])).Should().Be("old");
        onPut.Should().BeNull("the change was made");
        listener.Dispose();
        await CheckAsync(host, change, make, textOf);
    }

    private static void Apply(HybridHost host, Change change)
    {
        switch (change)
        {
            case Change.Put:
                Wait(host.Kv.PutAsync("hybrid/a", "new"));
                break;
            case Change.Delete:
                Wait(host.Kv.DeleteAsync("hybrid/a"));
                break;
            case Change.RemoveByTag:
                Wait(host.Cache.RemoveByTagAsync("tag"));
                break;
        }

        // On another thread, because the namespace counts a write that has not come back to its caller.
        static void Wait(ValueTask task) => task.AsTask().Wait(TimeSpan.FromSeconds(60)).Should().BeTrue();
    }

    private static async Task CheckAsync<T>(HybridHost host, Change change, Func<string, T> make, Func<T, string> textOf)
    {
        var expected = change switch { Change.None => "old", Change.Put => "new", _ => "created" };
        host.Internals.Entries.Find("a")?.Until.Should().BeLessThanOrEqualTo(change == Change.None ? long.MaxValue : 0, "a version that is gone is not current");
        for (var i = 0; i < 3; i++)
        {
            textOf(await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<T>(make("created")))).Should().Be(expected);
        }

        host.Internals.Entries.Find("a")!.Until.Should().BePositive("now it is");
    }

    private static TheoryData<Change, bool, bool> With(params Change[] changes)
    {
        var data = new TheoryData<Change, bool, bool>();
        foreach (var change in changes)
        {
            data.Add(change, false, false);
            data.Add(change, false, true);
            data.Add(change, true, false);
            data.Add(change, true, true);
        }

        return data;
    }

    private sealed class HookedSerializer<T>(Func<string, T> make, Func<T, string> textOf) : IHybridCacheSerializer<T>
    {
        private Action? _onDeserialize;

        public Action? OnDeserialize
        {
            get => _onDeserialize;
            set => _onDeserialize = value;
        }

        public T Deserialize(ReadOnlySequence<byte> source)
        {
            var text = Encoding.UTF8.GetString(source);
            Interlocked.Exchange(ref _onDeserialize, null)?.Invoke();
            return make(text);
        }

        public void Serialize(T value, IBufferWriter<byte> target) => target.Write(Encoding.UTF8.GetBytes(textOf(value)));
    }
}
