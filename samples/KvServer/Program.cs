using KvServer;
using KvStore;

// The REST API and the dashboard on --urls, the endpoint of the Workers runtime on --binding-url, everything kept in --data (./data).
var builder = WebApplication.CreateBuilder(args);
if (string.IsNullOrEmpty(builder.Configuration["urls"]))
{
    builder.WebHost.UseUrls("http://127.0.0.1:8787");
}

var data = Path.GetFullPath(builder.Configuration["data"] ?? "data");
var access = ServerAccess.Open(data, builder.Configuration["KVSTORE_TOKEN"]);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(listen => listen.AllowNulInKeys()));
builder.Services.AddKvCatalog(data);
builder.Services.AddSignIn(data, access.Token);

await using var app = builder.Build();
app.MapHealthChecks("/healthz");
app.MapKvApi(api => api.AddToken(access.Token));
app.MapSignIn(access.Token);
app.MapKvDashboard(dashboard =>
{
    dashboard.RequirePolicy(SignIn.Policy);
    dashboard.SignOutPath = SignIn.SignOutPath;
});
await app.StartAsync();

await using var binding = await BindingServer.StartAsync(app, args, builder.Configuration);
Welcome.Print(app.Urls.First(), binding?.Url, access, data);
await app.WaitForShutdownAsync();

/// <summary>The server, named so that tests can start it.</summary>
public partial class Program;
