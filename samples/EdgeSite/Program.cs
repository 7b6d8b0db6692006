using EdgeSite;
using KvStore;

var builder = WebApplication.CreateBuilder(args);

// What visitors leave here survives a restart: one directory for each namespace, in ./data unless it is configured.
var data = Path.Combine(builder.Environment.ContentRootPath, builder.Configuration["Data"] ?? "data");
builder.Services.AddKvNamespacesFromWrangler(
    Path.Combine(AppContext.BaseDirectory, "wrangler.jsonc"), kv => kv.PersistTo(Path.Combine(data, kv.Name)));
builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddAntiforgery();

var app = builder.Build();
app.UseAntiforgery();
app.MapThemePage();
app.MapMessagePage();
app.MapFlagsPage();
await SeedAsync(app.Services, data);
app.Run();

// A new namespace begins with the entries of its seed file, in the format of `wrangler kv bulk put`. A marker says that it has
// begun: one that was emptied later stays empty.
static async Task SeedAsync(IServiceProvider services, string data)
{
    var namespaces = services.GetRequiredService<IKvNamespaceFactory>();
    foreach (var name in namespaces.Names)
    {
        var path = Path.Combine(AppContext.BaseDirectory, $"seed.{name}.json");
        var marker = Path.Combine(data, $"{name}.seeded");
        var kv = namespaces.Get(name);
        if (File.Exists(path) && !File.Exists(marker))
        {
            await using var file = File.OpenRead(path);
            var result = await KvBulk.ImportAsync(kv, file);
            if (result.ErrorCount > 0)
            {
                throw new InvalidDataException($"{path}: entry {result.Errors[0].Index}: {result.Errors[0].Reason}");
            }

            await File.WriteAllBytesAsync(marker, []);
        }
    }
}

/// <summary>The site, named so that tests can host it.</summary>
public partial class Program;
