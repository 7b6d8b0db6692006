using System.ComponentModel;
using System.Text.Json;

namespace KvStore.Tests.Reads;

/// <summary>An object that nobody can change may be handed out again; any other never is.</summary>
public sealed class DecodedObjectsTests : IAsyncDisposable
{
    private readonly KvNamespace _kv = KvNamespace.Create("KV");

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Fact]
    public async Task A_record_that_is_read_often_is_decoded_no_more()
    {
        await _kv.PutJsonAsync("k", new User("Ada", 36, new Place("London")));

        var often = await ReadOften<User>();

        often.Should().BeSameAs(await _kv.GetJsonAsync<User>("k"));
        often.Should().Be(new User("Ada", 36, new Place("London")));
    }

    [Fact]
    public async Task An_overwritten_key_is_decoded_anew()
    {
        await _kv.PutJsonAsync("k", new Place("London"));
        await ReadOften<Place>();

        await _kv.PutJsonAsync("k", new Place("Turin"));
        (await _kv.GetJsonAsync<Place>("k")).Should().Be(new Place("Turin"));
        await ReadOften<Place>();
        await _kv.DeleteAsync("k");
        (await _kv.GetJsonAsync<Place>("k")).Should().BeNull();
    }

    [Fact]
    public async Task A_key_that_expires_is_gone_however_often_it_was_read()
    {
        var time = new FakeTimeProvider();
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });
        await kv.PutJsonAsync("k", new Place("London"), new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        for (var i = 0; i < 5; i++)
        {
            (await kv.GetJsonAsync<Place>("k")).Should().NotBeNull();
        }

        time.Advance(TimeSpan.FromSeconds(60));

        (await kv.GetJsonAsync<Place>("k")).Should().BeNull();
    }

    [Fact]
    public async Task Each_way_of_reading_returns_its_own_type()
    {
        await _kv.PutAsync("k", """{"name":"London"}""");
        var other = new JsonSerializerOptions { TypeInfoResolver = new System.Text.Json.Serialization.Metadata.DefaultJsonTypeInfoResolver() };
        var caseSensitive = (System.Text.Json.Serialization.Metadata.JsonTypeInfo<Place>)other.GetTypeInfo(typeof(Place));
        for (var i = 0; i < 5; i++)
        {
            (await _kv.GetJsonAsync<Place>("k")).Should().Be(new Place("London"));
            (await _kv.GetJsonAsync("k", caseSensitive)).Should().Be(new Place(null!), "\"name\" is not \"Name\" to it");
            (await _kv.GetJsonAsync<Size>("k")).Should().Be(new Size(0, 0));
            (await _kv.GetTextAsync("k")).Should().Be("""{"name":"London"}""");
        }
    }

    [Fact]
    public async Task An_object_that_its_reader_could_change_is_made_for_each()
    {
        await _kv.PutAsync("k", """{"name":"London","tags":["a"],"inner":{"name":"x"}}""");

        (await ReadOften<Mutable>()).Should().NotBeSameAs(await _kv.GetJsonAsync<Mutable>("k"));
        (await ReadOften<WithList>()).Should().NotBeSameAs(await _kv.GetJsonAsync<WithList>("k"));
        (await ReadOften<WithArray>()).Should().NotBeSameAs(await _kv.GetJsonAsync<WithArray>("k"));
        (await ReadOften<WithOpenInner>()).Should().NotBeSameAs(await _kv.GetJsonAsync<WithOpenInner>("k"));
        (await ReadOften<DerivedFromMutable>()).Should().NotBeSameAs(await _kv.GetJsonAsync<DerivedFromMutable>("k"));
        (await ReadOften<Dictionary<string, JsonElement>>()).Should().NotBeSameAs(await _kv.GetJsonAsync<Dictionary<string, JsonElement>>("k"));
    }

    [Fact]
    public async Task A_type_that_declares_itself_immutable_is_believed()
    {
        await _kv.PutAsync("k", """{"name":"London"}""");

        (await ReadOften<Declared>()).Should().BeSameAs(await _kv.GetJsonAsync<Declared>("k"));
        (await ReadOften<DeclaredMutable>()).Should().NotBeSameAs(await _kv.GetJsonAsync<DeclaredMutable>("k"));
    }

    [Fact]
    public async Task A_json_null_stays_null()
    {
        await _kv.PutAsync("k", "null");

        (await ReadOften<Place>()).Should().BeNull();
    }

    [Fact]
    public async Task A_structure_comes_back_equal()
    {
        await _kv.PutAsync("k", """{"width":2,"height":3}""");

        (await ReadOften<Size>()).Should().Be(new Size(2, 3));
    }

    private async Task<T?> ReadOften<T>()
    {
        T? last = default;
        for (var i = 0; i < 5; i++)
        {
            last = await _kv.GetJsonAsync<T>("k");
        }

        return last;
    }

    private sealed record Place(string Name);

    private record User(string Name, int Age, Place Place);

    private sealed record Guest(string Name, Place Place) : User(Name, 0, Place);

    private readonly record struct Size(int Width, int Height);

    private sealed class Mutable
    {
        public string? Name { get; set; }
    }

    private sealed record WithList(string Name, List<string> Tags);

    private sealed record WithArray(string Name, string[] Tags);

    private record Open(string Name);

    private sealed record Opened(string Name) : Open(Name)
    {
        public string? Note { get; set; }
    }

    private sealed record WithOpenInner(Open Inner);

    private class MutableBase
    {
        public string? Name { get; set; }
    }

    private sealed class DerivedFromMutable : MutableBase;

    [ImmutableObject(true)]
    private sealed class Declared
    {
        public string? Name { get; set; }
    }

    [ImmutableObject(false)]
    private sealed record DeclaredMutable(string Name);
}
