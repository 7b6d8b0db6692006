using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Hosting;

namespace KvStore.Hosting;

/// <summary>
/// The services that configure a namespace before there is a container: the configuration so far, and the content root, so that relative
/// paths are those of the host.
/// </summary>
internal sealed class ConfigurationHost : IServiceProvider, IHostEnvironment
{
    private const string ContentRootKey = "contentRoot";
    private const string FileProviderKey = "FileProvider";

    private readonly IConfiguration _configuration;

    private ConfigurationHost(IConfiguration configuration, string contentRoot)
    {
        _configuration = configuration;
        ContentRootPath = contentRoot;
    }

    public string ContentRootPath { get; set; }

    public string ApplicationName { get; set; } = "";

    public string EnvironmentName { get; set; } = "";

    public IFileProvider ContentRootFileProvider { get; set; } = new NullFileProvider();

    /// <summary>The services of a builder.</summary>
    /// <param name="builder">The builder.</param>
    /// <param name="configuration">What it has built so far.</param>
    public static ConfigurationHost Of(IConfigurationBuilder builder, IConfiguration configuration) =>
        new(configuration, ContentRootOf(builder, configuration));

    public object? GetService(Type serviceType) =>
        serviceType == typeof(IConfiguration) ? _configuration
        : serviceType == typeof(IHostEnvironment) ? this
        : null;

    // Empty where the builder belongs to no host: paths start at the current directory then. Hosts set the base path of their builder.
    private static string ContentRootOf(IConfigurationBuilder builder, IConfiguration configuration)
    {
        if (builder.Properties.TryGetValue(FileProviderKey, out var files)
            && files is IFileProvider provider
            && Path.GetDirectoryName(provider.GetFileInfo("appsettings.json").PhysicalPath) is { Length: > 0 } directory)
        {
            return directory;
        }

        return configuration[ContentRootKey] is { Length: > 0 } root ? Path.Combine(AppContext.BaseDirectory, root) : "";
    }
}
