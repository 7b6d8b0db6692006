using System.Globalization;

namespace KvStore.RealPartsChild;

/// <summary>Arguments of the form name=value.</summary>
internal sealed class Arguments(string[] arguments)
{
    private readonly Dictionary<string, string> _values = arguments
        .Select(argument => argument.Split('=', 2))
        .ToDictionary(parts => parts[0], parts => parts[1], StringComparer.Ordinal);

    public string Text(string name) => _values[name];

    public long Number(string name, long otherwise = 0) =>
        _values.TryGetValue(name, out var text) ? long.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    public T Name<T>(string name, T otherwise = default)
        where T : struct, Enum => _values.TryGetValue(name, out var text) ? Enum.Parse<T>(text) : otherwise;
}
