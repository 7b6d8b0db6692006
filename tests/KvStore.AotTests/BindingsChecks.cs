using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AotTests;

/// <summary>Typed bindings, and the Wrangler file in TOML at run time.</summary>
internal static class BindingsChecks
{
    public static async Task RunAsync()
    {
        await using var provider = new ServiceCollection().AddKvBindings("production").BuildServiceProvider();
        Check.Equal("FLAGS", provider.GetRequiredService<KvBindings>().FLAGS.Name);
        await UseAsync(provider.GetRequiredService<IFlags>());

        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".toml");
        try
        {
            await File.WriteAllTextAsync(path, "kv_namespaces = [{ binding = \"FROM_TOML\" }]\n");
            await using var other = new ServiceCollection().AddKvNamespacesFromWrangler(path, environment: "").BuildServiceProvider();
            Check.Equal("FROM_TOML", other.GetRequiredService<IKvNamespaceFactory>().Names.Single());
            await Check.Throws<InvalidDataException>(
                $"{path}: the top level differs from what was compiled into this application: \"FROM_TOML\" is new, \"FLAGS\" is gone.",
                () => Task.FromResult(new ServiceCollection().AddKvBindings(environment: "", path: path)));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static async Task UseAsync(IFlags flags)
    {
        await flags.Flag("a:b", DayOfWeek.Monday, -7).PutAsync(new Preference("dark", 14, ["x"]), new FlagState(true, "ada"));
        var entry = await flags.Flag("a:b", DayOfWeek.Monday, -7).GetAsync();
        Check.Equal("dark", entry.Value?.Theme);
        Check.Equal(new FlagState(true, "ada"), entry.Metadata);
        Check.That(entry.Expiration is not null, "the entry has the time to live of its key");
        await foreach (var key in flags.Flags("a:b").ListAsync())
        {
            Check.Equal("flag:a%3Ab:-7:Monday", key.Name);
            Check.Equal("ada", key.Metadata?.By);
            Check.That(IFlags.TryParseFlagKey(key.Name, out var tenant, out var day, out var number), "the key is read back");
            Check.Equal(("a:b", DayOfWeek.Monday, -7), (tenant, day, number));
        }

        await foreach (var item in flags.Flags("a:b").ScanAsync())
        {
            Check.Equal("x", item.Value?.Pinned?[0]);
        }

        await flags.Text(Guid.Empty).PutAsync("text", "metadata");
        Check.Equal("metadata", (await flags.Text(Guid.Empty).GetAsync()).Metadata);
        await flags.Text(Guid.Empty).DeleteAsync();
        Check.That(!(await flags.Text(Guid.Empty).GetAsync()).Exists, "a deleted entry is gone");
    }
}
