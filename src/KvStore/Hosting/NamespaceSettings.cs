using KvStore.Rules;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KvStore.Hosting;

/// <summary>Puts together the options of a namespace: those of code, and those of its section in the configuration.</summary>
internal static class NamespaceSettings
{
    /// <summary>Returns the options of a registration.</summary>
    /// <param name="services">The services, with the configuration.</param>
    /// <param name="registration">The registration.</param>
    /// <param name="options">The options that code and configuration change.</param>
    /// <param name="names">The names of all namespaces that are registered.</param>
    /// <exception cref="OptionsValidationException">An option is not valid; the message names the namespace and the option.</exception>
    public static KvNamespaceOptions Read(
        IServiceProvider services, KvNamespaceRegistration registration, KvNamespaceOptions options, IReadOnlyCollection<string> names)
    {
        IConfigurationSection? section = null;
        try
        {
            options = registration.Builder.Build(services, options);
            if (registration.ReadsConfiguration && services.GetService<IConfiguration>() is { } configuration)
            {
                section = ConfigurationSections.Of(configuration, registration.Name, names);
                options = KvConfiguration.Apply(services, section, options, registration.Builder.Sections);
            }

            options.Validate();
            return options;
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            // Without an inner exception: an exception of other code may quote a setting, and a setting may be a secret.
            throw new OptionsValidationException(
                registration.Name,
                typeof(KvNamespaceOptions),
                [$"KV namespace {VisibleKey.Quote(registration.Name)}: {ConfigurationSections.MessageOf(e, section)}{HintFor(services, registration, names, e)}"]);
        }
    }

    // What is no option of this namespace may be the section of another one, whose name has a colon.
    private static string HintFor(IServiceProvider services, KvNamespaceRegistration registration, IReadOnlyCollection<string> names, Exception exception) =>
        exception is FormatException && services.GetService<IConfiguration>() is { } configuration
            ? string.Concat(ConfigurationSections.Misplaced(configuration, names, registration.Name)
                .Select(static other => $" The section of the namespace {VisibleKey.Quote(other.Name)} is {ConfigurationSections.PathOf(other.Name)}, with %3A for the colon."))
            : "";
}
