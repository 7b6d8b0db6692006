using KvServer;
using KvStore;

// The REST API on --urls, the endpoint of the Workers runtime on --binding-url, everything kept in --data (./data).
var builder = WebApplication.CreateBuilder(args);
if (string.IsNullOrEmpty(builder.Configuration["urls"]))
{
    builder.WebHost.UseUrls("http://127.0.0.1:8787");
}

var data = Path.GetFullPath(builder.Configuration["data"] ?? "data");
var access = ServerAccess.Open(data, builder.Configuration["KVSTORE_TOKEN"]);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(listen => listen.AllowNulInKeys()));
builder.Services.AddKvCatalog(data);

await using var app = builder.Build();
app.MapHealthChecks("/healthz");
app.MapKvApi(api => api.AddToken(access.Token));
await app.StartAsync();

await using var binding = await BindingServer.StartAsync(app, args, builder.Configuration);
Welcome.Print(app.Urls.First(), binding?.Url, access, data);
await app.WaitForShutdownAsync();

/// <summary>The server, named so that tests can start it.</summary>
public partial class Program;
