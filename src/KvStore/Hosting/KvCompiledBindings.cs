using System.ComponentModel;
using KvStore.Hosting;
using KvStore.Wrangler;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore;

/// <summary>Registers the bindings that were compiled into an application. Used by generated code; call <c>AddKvBindings</c> instead.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class KvCompiledBindings
{
    /// <summary>Registers each namespace of an environment, and checks that the file at run time has the same bindings.</summary>
    /// <param name="services">The services.</param>
    /// <param name="fileName">The name of the file that was compiled.</param>
    /// <param name="compiled">The bindings of the file, as JSON of the same form.</param>
    /// <param name="environment">The environment; null for the environment of <c>CLOUDFLARE_ENV</c>, empty for the top level.</param>
    /// <param name="configure">Sets the options of each namespace.</param>
    /// <param name="path">The file at run time; null to look for it in the content root and in the directory of the application.</param>
    /// <exception cref="FileNotFoundException">There is no file at <paramref name="path"/>.</exception>
    /// <exception cref="InvalidDataException">The file at run time is not valid, or has other bindings. Nothing was registered.</exception>
    public static void Register(
        IServiceCollection services, string fileName, string compiled, string? environment, Action<KvNamespaceBuilder>? configure, string? path)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(fileName);
        ArgumentNullException.ThrowIfNull(compiled);
        environment = WranglerFile.EnvironmentOf(environment);
        path = path is null ? Find(services, fileName) : KvServiceCollectionExtensions.FromContentRoot(services, path);
        var known = WranglerConfig.Parse(compiled, isToml: false);
        if (path is null)
        {
            KvServiceCollectionExtensions.Register(services, fileName, WranglerFile.Resolve(fileName, known, environment, isCompiled: true), configure, isCompiled: true);
            return;
        }

        var file = WranglerFile.Read(path, environment);
        Compare(path, environment, known.Find(environment)?.Bindings, file.Bindings);
        KvServiceCollectionExtensions.Register(services, path, file, configure);
    }

    private static string? Find(IServiceCollection services, string fileName)
    {
        var inRoot = KvServiceCollectionExtensions.ContentRootOf(services) is { } root ? Path.Combine(root, fileName) : null;
        return File.Exists(inRoot) ? inRoot : Path.Combine(AppContext.BaseDirectory, fileName) is var beside && File.Exists(beside) ? beside : null;
    }

    private static void Compare(string path, string? environment, IReadOnlyList<WranglerBinding>? compiled, IReadOnlyList<WranglerBinding> bindings)
    {
        List<string> differences = [];
        if (compiled is null)
        {
            differences.Add("the environment is new");
        }
        else
        {
            differences.AddRange(bindings.Where(now => !compiled.Any(then => then.Name == now.Name)).Select(static now => $"\"{now.Name}\" is new"));
            differences.AddRange(compiled.Where(then => !bindings.Any(now => now.Name == then.Name)).Select(static then => $"\"{then.Name}\" is gone"));
            differences.AddRange(bindings.Where(now => compiled.Any(then => then.Name == now.Name && then.Id != now.Id)).Select(static now => $"\"{now.Name}\" has another id"));
        }

        if (differences.Count > 0)
        {
            var where = environment is null ? "the top level" : $"the environment \"{environment}\"";
            throw new InvalidDataException(
                $"{path}: {where} differs from what was compiled into this application: {string.Join(", ", differences)}. Build the application again, or restore the file.");
        }
    }
}
