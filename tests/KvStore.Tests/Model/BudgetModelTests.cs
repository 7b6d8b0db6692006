namespace KvStore.Tests.Model;

/// <summary>
/// A namespace whose memory is limited, beside a model that has no limit. What is missing was evicted or refused, and stays away until
/// it is put again; everything else is as in the model.
/// </summary>
public sealed class BudgetModelTests
{
    private const int Operations = 20_000;
    private const int Seed = 20_261_127;
    private const long Budget = 1 << 20;

    [Theory]
    [InlineData("wide", KvMemoryPolicy.Evict)]
    [InlineData("tree", KvMemoryPolicy.Evict)]
    [InlineData("unicode", KvMemoryPolicy.Evict)]
    [InlineData("wide", KvMemoryPolicy.Refuse)]
    [InlineData("unicode", KvMemoryPolicy.Refuse)]
    public async Task Entries_that_were_not_evicted_or_refused_are_those_of_the_model(string universe, KvMemoryPolicy policy)
    {
        var keys = KeyUniverse.Named(universe, Seed);
        var random = new Random(Seed);
        var time = new FakeTimeProvider(OperationSource.ManualStart);
        var limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) };
        await using var kv = KvNamespace.Create(
            "ACTUAL", new KvNamespaceOptions { TimeProvider = time, Limits = limits, Memory = new KvMemoryOptions { BytesMax = Budget, WhenFull = policy } });
        var model = new ReferenceStore("EXPECTED", time, limits);
        var refused = 0;
        var missing = 0;
        for (var i = 0; i < Operations; i++)
        {
            var key = keys.Key(random);
            switch (random.Next(20))
            {
                case < 8:
                    var value = new byte[random.Next(50) == 0 ? random.Next(1000, 100_000) : random.Next(16, 600)];
                    random.NextBytes(value);
                    var options = random.Next(4) == 0 ? new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(random.Next(1, 40)) } : null;
                    try
                    {
                        await kv.PutAsync(key, value, options);
                        await model.PutAsync(key, value, options);
                    }
                    catch (KvException e) when (e.StatusCode == 507)
                    {
                        policy.Should().Be(KvMemoryPolicy.Refuse, "where entries are evicted, there is always space for a small one");
                        refused++;
                    }

                    break;
                case < 10:
                    await kv.DeleteAsync(key);
                    await model.DeleteAsync(key);
                    break;
                case 10:
                    time.Advance(TimeSpan.FromMilliseconds(random.Next(1, 2000)));
                    break;
                case 11:
                    await CompareListAsync(kv, model, keys.Prefix(random), policy);
                    break;
                case 12:
                    await TryPutAsync(kv, model, key, random);
                    break;
                default:
                    missing += await CompareAsync(kv, model, key, policy) ? 0 : 1;
                    break;
            }
        }

        await CompareListAsync(kv, model, prefix: null, policy);
        kv.MemoryBytes.Should().BeLessThanOrEqualTo(Budget + (Budget / 4));
        if (policy == KvMemoryPolicy.Evict)
        {
            missing.Should().BePositive("entries must have been evicted");
            kv.EvictedCount.Should().BePositive();
        }
        else
        {
            refused.Should().BeGreaterThan(100, "memory must have been used up");
            kv.Count.Should().BeGreaterThan(500);
        }
    }

    // Of the two, only the namespace may lack an entry. The model then forgets it, so that it may not come back by itself.
    private static async Task<bool> CompareAsync(KvNamespace kv, ReferenceStore model, string key, KvMemoryPolicy policy)
    {
        var actual = await kv.GetAsync(key);
        var expected = await model.GetAsync(key);
        if (!actual.Exists && expected.Exists)
        {
            policy.Should().Be(KvMemoryPolicy.Evict);
            await model.DeleteAsync(key);
            return false;
        }

        actual.Exists.Should().Be(expected.Exists);
        actual.GetBytes().Span.SequenceEqual(expected.GetBytes().Span).Should().BeTrue();
        actual.Expiration.Should().Be(expected.Expiration);
        return true;
    }

    private static async Task TryPutAsync(KvNamespace kv, ReferenceStore model, string key, Random random)
    {
        var value = new byte[random.Next(16, 100)];
        try
        {
            if ((await kv.TryPutAsync(key, value, KvCondition.Present)).Succeeded)
            {
                (await model.GetAsync(key)).Exists.Should().BeTrue("what was evicted is absent");
                await model.PutAsync(key, value);
            }
        }
        catch (KvException e) when (e.StatusCode == 507)
        {
            // Nothing has changed.
        }
    }

    private static async Task CompareListAsync(KvNamespace kv, ReferenceStore model, string? prefix, KvMemoryPolicy policy)
    {
        var expected = new Dictionary<string, KvListKey>(StringComparer.Ordinal);
        await foreach (var key in model.ListAllAsync(prefix))
        {
            expected.Add(key.Name, key);
        }

        var shown = new List<string>();
        await foreach (var key in kv.ListAllAsync(prefix))
        {
            expected.Should().ContainKey(key.Name);
            key.Expiration.Should().Be(expected[key.Name].Expiration);
            shown.Add(key.Name);
        }

        shown.Should().Equal(expected.Keys.Where(new HashSet<string>(shown, StringComparer.Ordinal).Contains), "in the order of the model, each once");
        if (policy == KvMemoryPolicy.Refuse)
        {
            shown.Should().HaveCount(expected.Count);
        }
    }
}
