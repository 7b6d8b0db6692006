using System.Runtime.CompilerServices;
using KvStore;
using KvStore.AotTests;
using KvStore.TestKit;
using Microsoft.Extensions.Time.Testing;

try
{
    var clock = new FakeTimeProvider();
    var options = new KvNamespaceOptions { TimeProvider = clock };
    await using (var kv = KvNamespace.Create("AOT_KV", options))
    {
        Check.Equal("AOT_KV", kv.Name);
        await GetChecks.RunAsync(kv);
        await PutChecks.RunAsync(kv, clock);
        await ListChecks.RunAsync(kv, clock.GetUtcNow());
    }

    await HostingChecks.RunAsync();
    await CachingChecks.RunAsync();
    await HybridChecks.RunAsync();
    await BindingsChecks.RunAsync();
    await ReplicationChecks.RunAsync();

    await using (var kv = await KvNamespace.OpenAsync("AOT_KV", options))
    {
        Check.Equal(null, await kv.GetTextAsync("text"));
    }
}
catch (CheckFailedException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

var compiled = RuntimeFeature.IsDynamicCodeSupported ? "just in time" : "ahead of time";
Console.WriteLine($"{Check.Count} checks held; compiled {compiled}.");
return 0;
