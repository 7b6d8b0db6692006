using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Keys;

namespace KvStore.Caching.Tests;

/// <summary>Any text of a framework becomes a key that a namespace takes, and two texts never become the same key.</summary>
public sealed class EntryKeysTests
{
    [Theory]
    [InlineData("cache/", "product:1", "cache/product:1")]
    [InlineData("cache/", "", "cache/")]
    [InlineData("cache/", ".", "cache/.")]
    [InlineData("", "product/1", "product/1")]
    [InlineData("cache/", "Zürich \u0001 😀", "cache/Zürich \u0001 😀")]
    [InlineData("cache/", "~", "cache/~~")]
    [InlineData("cache/", "~sha256/0", "cache/~~sha256/0")]
    public void Key_stays_readable_behind_the_prefix(string prefix, string key, string expected) =>
        new EntryKeys(prefix).Of(key).Should().Be(expected);

    [Theory]
    [InlineData("", "")]
    [InlineData("", ".")]
    [InlineData("", "..")]
    [InlineData(".", "")]
    public void Key_that_a_namespace_refuses_is_hashed(string prefix, string key) =>
        new EntryKeys(prefix).Of(key).Should().MatchRegex($"^{System.Text.RegularExpressions.Regex.Escape(prefix)}~sha256/[0-9a-f]{{64}}$");

    [Fact]
    public void Half_a_surrogate_pair_is_hashed() => new EntryKeys("cache/").Of("a\uD800b").Should().StartWith("cache/~sha256/").And.HaveLength(78);

    [Theory]
    [InlineData("x", 506, false)]
    [InlineData("x", 507, true)]
    [InlineData("~", 505, false)]
    [InlineData("~", 506, true)]
    [InlineData("é", 253, false)]
    [InlineData("é", 254, true)]
    [InlineData("x", 100_000, true)]
    public void Key_that_is_too_long_with_the_prefix_is_hashed(string part, int count, bool isHashed)
    {
        var key = new EntryKeys("cache/").Of(string.Concat(Enumerable.Repeat(part, count)));

        Encoding.UTF8.GetByteCount(key).Should().BeLessThanOrEqualTo(512);
        key.StartsWith("cache/~sha256/", StringComparison.Ordinal).Should().Be(isHashed);
    }

    [Fact]
    public void Hash_does_not_change_between_versions() =>
        new EntryKeys("cache/").Of(new string('x', 1024)).Should().Be("cache/~sha256/5fa1e0098a31497057c5a6b9fe9d49fd6dd47cce7c268e6548699e78e587aaea");

    [Fact]
    public async Task Every_text_becomes_a_key_that_a_namespace_takes()
    {
        await using var kv = KvNamespace.Create("CACHE_KV");
        Prop.ForAll(Prefixes.ToArbitrary(), Texts.ToArbitrary(), (prefix, text) =>
        {
            var key = new EntryKeys(prefix).Of(text);
            kv.PutAsync(key, "v").AsTask().IsCompletedSuccessfully.Should().BeTrue("it is written in memory");
            kv.TryGet(key, out _).Should().BeTrue();
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Two_texts_never_become_one_key() =>
        Prop.ForAll(Prefixes.ToArbitrary(), Texts.ToArbitrary(), Texts.ToArbitrary(), (prefix, one, other) =>
        {
            var keys = new EntryKeys(prefix);
            (keys.Of(one) == keys.Of(other)).Should().Be(one == other);

            // As text and as bytes.
            var utf8 = new byte[512];
            Encoding.UTF8.GetString(utf8, 0, keys.Encode(one, utf8)).Should().Be(keys.Of(one));

            // A text that looks like what another one became.
            var lookalike = keys.Of(one)[prefix.Length..];
            (keys.Of(lookalike) == keys.Of(one)).Should().Be(lookalike == one);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Prefix_that_no_key_may_have_is_refused()
    {
        foreach (var prefix in new[] { "\uD800", new string('p', 257), new string('é', 129) })
        {
            prefix.Invoking(p => new EntryKeys(p)).Should().Throw<ArgumentException>().WithMessage("*at most 256 bytes in UTF-8*");
        }

        new EntryKeys(new string('p', 256)).Of(new string('x', 300)).Should().HaveLength(256 + 8 + 64);
    }

    private static Gen<string> Prefixes => Gen.Elements("", "cache/", ".", "~", "a:");

    // Texts that meet easily: few different characters, among them those with a meaning, and half surrogates.
    private static Gen<string> Texts =>
        from length in Gen.Elements(0, 1, 2, 3, 8, 250, 506, 512, 1024)
        from characters in Gen.Elements('a', '.', '~', '/', 'é', '\uD83D', '\uDE00', '\0').ArrayOf(length)
        from mark in Gen.Elements("", "", "~sha256/", "~")
        select mark + new string(characters);
}
