using KvServer;
using KvStore;

// The REST API and the dashboard on --urls, the endpoint of the Workers runtime on --binding-url, everything kept in --data (./data).
try
{
    var settings = ServerSettings.Read(args);
    var builder = WebApplication.CreateBuilder(settings.Host);
    builder.WebHost.UseUrls(settings.Urls);
    builder.WebHost.ConfigureKestrel(kestrel =>
    {
        kestrel.ConfigureEndpointDefaults(listen => listen.AllowNulInKeys());
        kestrel.BoundConnections(divisor: 2);
    });
    builder.Logging.BeQuiet();
    StartFailure.CheckDirectoryIsOurs(builder.Configuration);
    builder.Services.AddKvCatalog(settings.Data);
    builder.Services.AddSignIn(settings);

    await using var app = builder.Build();
    app.MapHealthChecks("/healthz");
    StartFailure.Watch("--data", () => app.MapKvApi(api => api.AddToken(settings.Token.Token)));
    StartFailure.Watch("--data", () => app.MapSignIn(settings));
    app.MapKvDashboard(dashboard =>
    {
        dashboard.RequirePolicy(SignIn.Policy);
        dashboard.AllowHosts(settings.Hosts);
        dashboard.SignOutPath = SignIn.SignOutPath;
    });
    app.MapGet("/", () => Results.Redirect("/dashboard"));
    await StartFailure.WatchAsync("--urls", app.StartAsync);

    await using var binding = await BindingServer.StartAsync(app, settings);
    StartFailure.Watch(StartFailure.Output, () => Welcome.Print(app.Urls.First(), binding?.Url, settings));
    await app.WaitForShutdownAsync();
    return 0;
}
catch (OperationCanceledException)
{
    // It was stopped while it started, by Ctrl+C for example: the host cancels what has begun.
    return 0;
}
catch (StartFailure failure)
{
    await Console.Error.WriteLineAsync("KvServer did not start. " + failure.Message);
    return 1;
}

/// <summary>The server, named so that tests can start it.</summary>
public partial class Program;
