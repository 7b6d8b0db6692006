using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Tests.Prefixes;

/// <summary>What a view with a prefix shows, beyond the contract of a namespace that it keeps.</summary>
public sealed class PrefixViewTests : IAsyncDisposable
{
    private readonly KvNamespace _kv = KvNamespace.Create("KV");

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Fact]
    public async Task Write_through_a_view_is_under_the_whole_key()
    {
        var view = _kv.WithPrefix("a/");
        await view.PutAsync("1", "x");
        await _kv.PutAsync("a/2", "y");

        (await _kv.GetTextAsync("a/1")).Should().Be("x");
        (await view.GetTextAsync("2")).Should().Be("y");
        await view.DeleteAsync("2");
        (await _kv.GetTextAsync("a/2")).Should().BeNull();
        (await view.GetTextAsync(["1", "2"])).Should().Equal(new Dictionary<string, string?> { ["1"] = "x", ["2"] = null });
    }

    [Fact]
    public async Task View_of_a_view_has_both_prefixes_and_an_empty_prefix_none()
    {
        await _kv.WithPrefix("a").WithPrefix("").WithPrefix("b").PutAsync("c", "x");

        (await _kv.GetTextAsync("abc")).Should().Be("x");
        _kv.WithPrefix("").Should().BeSameAs(_kv);
    }

    [Fact]
    public void View_is_as_extended_as_its_namespace_whatever_the_static_type()
    {
        ((IKvNamespace)_kv).WithPrefix("a").Should().BeAssignableTo<IKvExtendedNamespace>();
        ((IKvNamespace)_kv.WithPrefix("a")).WithPrefix("b").Should().BeAssignableTo<IKvExtendedNamespace>();
        new ReferenceStore("KV", TimeProvider.System).WithPrefix("a").Should().NotBeAssignableTo<IKvExtendedNamespace>();
    }

    [Fact]
    public void Prefix_that_no_key_can_have_is_refused()
    {
        _kv.Invoking(kv => kv.WithPrefix(new string('p', 512))).Should().Throw<ArgumentException>()
            .WithMessage("A prefix of 512 bytes leaves no room for a key in the namespace \"KV\", where a key has at most 512 bytes.*");
        _kv.Invoking(kv => kv.WithPrefix("a").WithPrefix(new string('é', 256))).Should().Throw<ArgumentException>().WithMessage("A prefix of 513 bytes*");
        _kv.Invoking(kv => kv.WithPrefix("a\uD83D")).Should().Throw<ArgumentException>().WithMessage("The prefix has an unpaired surrogate*");
        _kv.Invoking(kv => kv.WithPrefix(null!)).Should().Throw<ArgumentNullException>();
        _kv.WithPrefix(new string('p', 511)).Should().NotBeNull();
    }

    [Fact]
    public async Task Key_is_as_long_as_the_prefix_leaves_room_and_messages_count_its_own_bytes()
    {
        var view = _kv.WithPrefix(new string('p', 500));
        await view.PutAsync(new string('k', 12), "x");

        var tooLong = await view.Invoking(kv => kv.PutAsync(new string('k', 13), "x").AsTask()).Should().ThrowAsync<KvException>();
        tooLong.Which.Message.Should().Be("KV PUT failed: 414 UTF-8 encoded length of 13 exceeds key length limit of 12.");
        (await view.Invoking(kv => kv.GetManyAsync([new string('k', 13)]).AsTask()).Should().ThrowAsync<KvException>())
            .Which.Reason.Should().Be("UTF-8 encoded length of 13 exceeds key length limit of 12.");
        (await view.Invoking(kv => kv.ListAsync(new KvListOptions { Prefix = new string('k', 13) }).AsTask()).Should().ThrowAsync<KvException>())
            .Which.Reason.Should().Be("UTF-8 encoded length of 13 exceeds key length limit of 12.");
    }

    [Fact]
    public async Task Halves_of_a_character_do_not_meet_between_prefix_and_key()
    {
        await _kv.PutAsync("a\U0001F600", "x");

        await _kv.WithPrefix("a").Invoking(kv => kv.GetAsync("\uDE00").AsTask()).Should().ThrowAsync<KvException>();
    }

    [Fact]
    public async Task Cursor_is_good_for_every_view_as_it_is_for_every_prefix()
    {
        foreach (var key in new[] { "a/1", "a/2", "a/3", "b/1", "b/2", "b/3" })
        {
            await _kv.PutAsync(key, "x");
        }

        var cursor = (await _kv.WithPrefix("a/").ListAsync(new KvListOptions { Limit = 1 })).Cursor;

        (await _kv.WithPrefix("a/").ListAsync(new KvListOptions { Cursor = cursor })).Keys.Select(key => key.Name).Should().Equal("2", "3");
        (await _kv.WithPrefix("b/").ListAsync(new KvListOptions { Cursor = cursor })).Keys.Select(key => key.Name).Should().Equal("2", "3");
    }

    [Fact]
    public async Task Value_that_does_not_fit_is_named_by_the_whole_key()
    {
        var view = _kv.WithPrefix("a/");
        await view.PutAsync("k", "no JSON");

        (await view.Invoking(kv => kv.GetJsonAsync<int>("k").AsTask()).Should().ThrowAsync<System.Text.Json.JsonException>())
            .WithMessage("GET of the key \"a/k\" in the namespace \"KV\"*");
    }

    [Fact]
    public async Task Large_value_read_through_a_view_is_released_at_once()
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-prefix-");
        try
        {
            await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = new FilePersistence(directory.FullName) });
            var view = kv.WithPrefix("a/");
            var text = new string('x', 300_000);
            await view.PutAsync("k", text);

            (await kv.GetAsync("a/k")).IsLarge.Should().BeTrue();
            (await view.GetTextAsync("k")).Should().Be(text);
            (await view.GetTextAsync(["k"]))["k"].Should().Be(text);
            await using var stream = await view.GetStreamAsync("k");
            (await new StreamReader(stream!).ReadToEndAsync()).Should().Be(text);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task View_of_a_foreign_namespace_passes_its_cursors_and_limits_through()
    {
        IKvNamespace kv = new ReferenceStore("KV", TimeProvider.System);
        var view = kv.WithPrefix("a/");
        foreach (var key in new[] { "1", "2", "3" })
        {
            await view.PutAsync(key, key);
        }

        await kv.PutAsync("a0", "x");

        var page = await view.ListAsync(new KvListOptions { Limit = 2 });
        page.Keys.Select(key => key.Name).Should().Equal("1", "2");
        (await view.ListAsync(new KvListOptions { Cursor = page.Cursor })).Keys.Select(key => key.Name).Should().Equal("3");
        (await view.GetTextAsync("2")).Should().Be("2");
        (await view.Invoking(v => v.PutAsync(new string('k', 511), "x").AsTask()).Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(414);
        await view.Invoking(v => v.PutAsync("", "x").AsTask()).Should().ThrowAsync<ArgumentException>();
    }

    [Fact]
    public void Keys_go_round_through_any_chain_of_views()
    {
        Prop.ForAll<string[], NonNull<string>>((prefixes, key) =>
        {
            prefixes = [.. (prefixes ?? []).Where(prefix => prefix is not null).Take(4)];
            var whole = string.Concat(prefixes) + key.Get;
            if (!prefixes.Append(key.Get).All(IsUnicode) || key.Get is "" or "." or ".." || whole is "." or ".." || Encoding.UTF8.GetByteCount(whole) > 512)
            {
                return true;
            }

            using var kv = KvNamespace.Create("KV");
            var view = prefixes.Aggregate((IKvNamespace)kv, (inner, prefix) => inner.WithPrefix(prefix));
            view.PutAsync(key.Get, "x").AsTask().GetAwaiter().GetResult();
            return kv.TryGet(whole, out _)
                && view.ListAsync().AsTask().GetAwaiter().GetResult().Keys.Single().Name == key.Get
                && view.GetManyAsync([key.Get]).AsTask().GetAwaiter().GetResult().Keys.Single() == key.Get
                && kv.ListAsync().AsTask().GetAwaiter().GetResult().Keys.Single().Name == whole;
        }).QuickCheckThrowOnFailure();

        static bool IsUnicode(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) == text;
    }
}
