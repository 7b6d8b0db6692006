using System.Globalization;
using System.Runtime.CompilerServices;

namespace KvStore.Testing;

/// <summary>Runs a whole suite under the culture that <c>KVSTORE_TEST_CULTURE</c> names, for example <c>sv-SE</c>.</summary>
internal static class TestCulture
{
    [ModuleInitializer]
    internal static void Set()
    {
        if (Environment.GetEnvironmentVariable("KVSTORE_TEST_CULTURE") is { Length: > 0 } name)
        {
            var culture = CultureInfo.GetCultureInfo(name);
            CultureInfo.DefaultThreadCurrentCulture = culture;
            CultureInfo.DefaultThreadCurrentUICulture = culture;
            CultureInfo.CurrentCulture = culture;
            CultureInfo.CurrentUICulture = culture;
        }
    }
}
