using KvStore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

var configuration = new ConfigurationBuilder()
    .AddInMemoryCollection([new("KvStore:CACHE_KV:Limits:KeyBytesMax", "4")])
    .Build();
await using var services = new ServiceCollection()
    .AddSingleton<IConfiguration>(configuration)
    .AddKvNamespace("CACHE_KV")
    .BuildServiceProvider();
var kv = services.GetRequiredKeyedService<IKvNamespace>("CACHE_KV");
await kv.PutAsync("four", "configured");
Console.WriteLine(await kv.GetTextAsync("four"));
try
{
    await kv.PutAsync("five5", "too long");
}
catch (KvException e)
{
    Console.WriteLine(e.StatusCode);
}
