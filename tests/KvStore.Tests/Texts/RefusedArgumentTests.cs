namespace KvStore.Tests.Texts;

/// <summary>A refusal names the argument, so that no caller has to read its message.</summary>
public sealed class RefusedArgumentTests
{
    private static readonly KvLimits s_limits = new() { ValueBytesMax = 10, MetadataBytesMax = 10 };

    public static TheoryData<string, string> Refusals => new()
    {
        { "PUT long key", "key" },
        { "PUT half of a pair", "key" },
        { "GET long key", "key" },
        { "GET_BULK empty key", "keys" },
        { "GET_BULK long key", "keys" },
        { "GET_BULK no keys", "keys" },
        { "PUT long value", "value" },
        { "PUT long stream", "value" },
        { "PUT long metadata", "metadata" },
        { "PUT short time to live", "expirationTtl" },
        { "PUT past expiration", "expiration" },
        { "GET short cache", "cacheTtl" },
        { "LIST bad cursor", "cursor" },
        { "LIST high limit", "limit" },
        { "LIST long prefix", "prefix" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task Refused_argument_is_named(string call, string argument)
    {
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { Limits = s_limits });
        var longKey = new string('k', 513);

        var refused = async () => await (call switch
        {
            "PUT long key" => kv.PutAsync(longKey, "v").AsTask(),
            "PUT half of a pair" => kv.PutAsync("\uD800", "v").AsTask(),
            "GET long key" => kv.GetAsync(longKey).AsTask(),
            "GET_BULK empty key" => kv.GetManyAsync([""]).AsTask(),
            "GET_BULK long key" => kv.GetManyAsync([longKey]).AsTask(),
            "GET_BULK no keys" => kv.GetManyAsync([]).AsTask(),
            "PUT long value" => kv.PutAsync("k", "12345678901").AsTask(),
            "PUT long stream" => kv.PutAsync("k", new MemoryStream(new byte[11])).AsTask(),
            "PUT long metadata" => kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.FromJson("\"1234567890\"") }).AsTask(),
            "PUT short time to live" => kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(1) }).AsTask(),
            "PUT past expiration" => kv.PutAsync("k", "v", new KvPutOptions { Expiration = DateTimeOffset.UnixEpoch.AddDays(1) }).AsTask(),
            "GET short cache" => kv.GetAsync("k", new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(1) }).AsTask(),
            "LIST bad cursor" => kv.ListAsync(new KvListOptions { Cursor = "?" }).AsTask(),
            "LIST high limit" => kv.ListAsync(new KvListOptions { Limit = 1001 }).AsTask(),
            _ => kv.ListAsync(new KvListOptions { Prefix = longKey }).AsTask(),
        });

        (await refused.Should().ThrowAsync<KvException>()).Which.ParamName.Should().Be(argument);
    }

    [Theory]
    [InlineData("", "key")]
    [InlineData("..", "key")]
    public async Task Key_that_is_a_type_error_is_named_and_the_reason_stands_alone(string key, string argument)
    {
        await using var kv = KvNamespace.Create("KV");
        var put = async () => await kv.PutAsync(key, "v");

        var refusal = (await put.Should().ThrowAsync<KvArgumentException>()).Which;
        refusal.ParamName.Should().Be(argument);
        refusal.Message.Should().Be($"{refusal.Reason} (Parameter '{argument}')");
    }

    [Fact]
    public async Task Expiration_that_cannot_be_stored_is_named()
    {
        await using var kv = KvNamespace.Create("KV");
        var at = async () => await kv.PutAsync("k", "v", new KvPutOptions { Expiration = KvLimits.ExpirationMax.AddSeconds(1) });
        var after = async () => await kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromDays(365 * 200) });

        (await at.Should().ThrowAsync<KvArgumentException>()).Which.ParamName.Should().Be("expiration");
        (await after.Should().ThrowAsync<KvArgumentException>()).Which.ParamName.Should().Be("expirationTtl");
    }

    [Fact]
    public async Task Expiration_a_part_of_a_second_too_late_does_not_read_as_the_latest()
    {
        await using var kv = KvNamespace.Create("KV");
        var at = async () => await kv.PutAsync("k", "v", new KvPutOptions { Expiration = KvLimits.ExpirationMax.AddMilliseconds(500) });

        (await at.Should().ThrowAsync<KvArgumentException>()).WithMessage("Invalid expiration of 4294967296. The latest expiration that can be stored is 4294967295*");
    }

    [Fact]
    public async Task Checks_before_a_call_throw_what_the_call_throws()
    {
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { Limits = s_limits });
        var now = kv.TimeProvider.GetUtcNow();
        (string Key, string Value, KvPutOptions? Options)[] puts =
        [
            ("", "v", null),
            (new string('k', 513), "v", null),
            ("\uDC00", "v", null),
            ("k", "12345678901", null),
            ("k", "v", new KvPutOptions { Metadata = KvMetadata.FromJson("\"1234567890\"") }),
            ("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(1) }),
            ("k", "v", new KvPutOptions { Expiration = KvLimits.ExpirationMax.AddDays(1) }),
        ];
        foreach (var (key, value, options) in puts)
        {
            var put = async () => await kv.PutAsync(key, value, options);
            var check = () => kv.Limits.CheckPut(key, value.Length, options, now);
            var refusal = (await put.Should().ThrowAsync<Exception>()).Which;
            var checkedFirst = check.Should().Throw<Exception>().Which;

            // The limits do not know the name of the namespace.
            (checkedFirst.GetType(), checkedFirst.Message).Should()
                .Be((refusal.GetType(), refusal.Message.Replace(" in the namespace \"KV\"", "", StringComparison.Ordinal)));
        }

        var fine = () => kv.Limits.CheckPut("k", 10, new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) }, now);
        fine.Should().NotThrow();
    }
}
