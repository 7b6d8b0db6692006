using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.Caching.Tests.Hybrid;

public sealed class HybridSerializerTests
{
    [Fact]
    public async Task Registered_serializer_wins_over_factories_and_the_last_factory_over_others()
    {
        await using var host = new HybridHost(register: services =>
        {
            services.AddSingleton<IHybridCacheSerializerFactory>(new MarkFactory("first", typeof(Basket), typeof(Price), typeof(string)));
            services.AddSingleton<IHybridCacheSerializerFactory>(new MarkFactory("last", typeof(Price)));
            services.AddSingleton<IHybridCacheSerializer<int>>(new MarkSerializer<int>("type"));
        });
        await host.Cache.SetAsync("basket", new Basket());
        await host.Cache.SetAsync("price", new Price("book", 1));
        await host.Cache.SetAsync("text", "text");
        await host.Cache.SetAsync("int", 1);
        await host.Cache.SetAsync("long", 1L);
        (await TextAsync("basket")).Should().StartWith("first ");
        (await TextAsync("price")).Should().StartWith("last ");
        (await TextAsync("text")).Should().StartWith("first ");
        (await TextAsync("int")).Should().Be("type 1");
        (await TextAsync("long")).Should().Be("1");
        (await host.Cache.GetOrCreateAsync<Basket>("basket", _ => throw new InvalidOperationException())).Should().BeEquivalentTo(new Basket());

        async Task<string> TextAsync(string key) => (await host.Kv.GetAsync($"hybrid/{key}")).GetText()!;
    }

    [Fact]
    public async Task Options_for_json_are_those_of_the_type_or_of_all_types()
    {
        await using var host = new HybridHost(register: services =>
        {
            services.AddKeyedSingleton<JsonSerializerOptions>(typeof(IHybridCacheSerializer<>), JsonSerializerOptions.Web);
            services.AddKeyedSingleton<JsonSerializerOptions>(typeof(IHybridCacheSerializer<Price>), new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.KebabCaseUpper });
        });
        await host.Cache.SetAsync("basket", new Basket { Owner = "ada" });
        await host.Cache.SetAsync("price", new Price("book", 1));
        (await host.Kv.GetAsync("hybrid/basket")).GetText().Should().Be("""{"owner":"ada","items":[]}""");
        (await host.Kv.GetAsync("hybrid/price")).GetText().Should().Be("""{"PRODUCT":"book","CENTS":1}""");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Value_above_the_limit_is_logged_returned_and_not_cached(bool isPersisted)
    {
        await using var host = new HybridHost(isPersisted, options => options.MaximumPayloadBytes = 1000);
        var calls = 0;
        await host.Cache.SetAsync("set", "short");
        for (var i = 0; i < 2; i++)
        {
            (await host.Cache.GetOrCreateAsync("text", _ => new ValueTask<string>(new string('x', 1000 + ++calls)))).Should().HaveLength(1000 + calls);
            (await host.Cache.GetOrCreateAsync("basket", _ => new ValueTask<Basket>(new Basket { Owner = new string('x', 1000) }))).Owner.Should().HaveLength(1000);
            await host.Cache.SetAsync("set", new byte[1001]);
        }

        calls.Should().Be(2);
        host.Kv.Count.Should().Be(0, "a value that is too long leaves no older one in its place");
        host.Log.Warnings.Should().HaveCount(6).And.OnlyContain(line => line.StartsWith("Error The value of the key \"", StringComparison.Ordinal) && line.Contains("1000 bytes", StringComparison.Ordinal));
        await host.Cache.SetAsync("exact", new byte[1000]);
        host.Kv.Count.Should().Be(1);
    }

    [Fact]
    public async Task Serializer_that_fails_is_logged_and_shown_to_the_caller()
    {
        await using var host = new HybridHost(register: services => services.AddSingleton<IHybridCacheSerializer<int>>(new FailingSerializer()));
        await FluentActions.Awaiting(async () => await host.Cache.SetAsync("a", 1)).Should().ThrowAsync<NotSupportedException>();
        await FluentActions.Awaiting(async () => await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1))).Should().ThrowAsync<NotSupportedException>();
        host.Log.Warnings.Should().HaveCount(2).And.OnlyContain(line => line.Contains("\"a\"", StringComparison.Ordinal));
        host.Internals.Writes.Count.Should().Be(0);
    }

    [Fact]
    public async Task Serializer_that_cannot_read_what_it_wrote_is_logged_and_shown_to_the_caller()
    {
        await using var host = new HybridHost(register: services => services.AddSingleton<IHybridCacheSerializer<Basket>>(new WriteOnlySerializer<Basket>()));
        for (var i = 1; i <= 2; i++)
        {
            await FluentActions.Awaiting(() => host.Cache.GetOrCreateAsync("a", _ => new ValueTask<Basket>(new Basket())).AsTask()).Should().ThrowAsync<NotSupportedException>();
            host.Log.Warnings.Should().HaveCountGreaterThanOrEqualTo(i).And.OnlyContain(line => line.StartsWith("Error", StringComparison.Ordinal) && line.Contains("\"a\"", StringComparison.Ordinal));
            host.Internals.Writes.Count.Should().Be(0);
        }
    }

    [Fact]
    public async Task Serializer_that_cannot_read_is_not_asked_for_an_immutable_value()
    {
        await using var host = new HybridHost(register: services => services.AddSingleton<IHybridCacheSerializer<Price>>(new WriteOnlySerializer<Price>()));
        var price = new Price("book", 10);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<Price>(price))).Should().BeSameAs(price);
        (await host.Cache.GetOrCreateAsync<Price>("a", _ => throw new InvalidOperationException())).Should().BeSameAs(price);
        host.Log.Warnings.Should().BeEmpty();
    }

    [Fact]
    public async Task Text_that_is_not_unicode_is_returned_and_logged_and_not_cached()
    {
        await using var host = new HybridHost();
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("\uD800"))).Should().Be("\uD800");
        await host.Cache.SetAsync("b", "before");
        await host.Cache.SetAsync("b", "\uD800");
        host.Kv.Count.Should().Be(0, "what is not cached leaves no older value in its place");
        host.Log.Warnings.Should().HaveCount(2).And.OnlyContain(line => line.Contains("surrogate", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Key_or_tag_that_is_not_unicode_is_not_stored()
    {
        await using var host = new HybridHost();
        await host.Cache.SetAsync("a", 1);
        await host.Cache.SetAsync("a", 2, tags: ["\uD800"]);
        await host.Cache.SetAsync("\uD800", 1);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(3), tags: ["\uD800"])).Should().Be(3, "the value before was to be replaced");
        (await host.Cache.GetOrCreateAsync("\uD800", _ => new ValueTask<int>(4))).Should().Be(4);
        host.Kv.Count.Should().Be(0);
        host.Internals.Writes.Count.Should().Be(0);
        host.Log.Warnings.Should().HaveCount(4);
    }

    private sealed class MarkFactory(string mark, params Type[] types) : IHybridCacheSerializerFactory
    {
        public bool TryCreateSerializer<T>([NotNullWhen(true)] out IHybridCacheSerializer<T>? serializer)
        {
            serializer = types.Contains(typeof(T)) ? new MarkSerializer<T>(mark) : null;
            return serializer is not null;
        }
    }

    private sealed class MarkSerializer<T>(string mark) : IHybridCacheSerializer<T>
    {
        public T Deserialize(ReadOnlySequence<byte> source) => JsonSerializer.Deserialize<T>(Encoding.UTF8.GetString(source)[(mark.Length + 1)..])!;

        public void Serialize(T value, IBufferWriter<byte> target) => target.Write(Encoding.UTF8.GetBytes($"{mark} {JsonSerializer.Serialize(value)}"));
    }

    private sealed class WriteOnlySerializer<T> : IHybridCacheSerializer<T>
    {
        public T Deserialize(ReadOnlySequence<byte> source) => throw new NotSupportedException("a secret");

        public void Serialize(T value, IBufferWriter<byte> target) => target.Write("secret"u8);
    }

    private sealed class FailingSerializer : IHybridCacheSerializer<int>
    {
        public int Deserialize(ReadOnlySequence<byte> source) => throw new NotSupportedException();

        public void Serialize(int value, IBufferWriter<byte> target) => throw new NotSupportedException();
    }
}
