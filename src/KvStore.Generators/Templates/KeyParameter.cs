using KvStore.Generators.Model;

namespace KvStore.Generators.Templates;

/// <summary>A parameter that stands in keys.</summary>
/// <param name="Name">Its name, without an '@'.</param>
/// <param name="Type">Its type, fully qualified.</param>
/// <param name="Kind">How it becomes text.</param>
/// <param name="BytesMax">The most bytes of UTF-8 that it takes before it is escaped; null when there is no bound.</param>
/// <param name="Characters">The characters that its text may have; null for any.</param>
/// <param name="Members">The members of an enum, each value once.</param>
/// <param name="Underlying">The type below an enum.</param>
internal sealed record KeyParameter(
    string Name, string Type, KeyParameterKind Kind, int? BytesMax, string? Characters, EquatableArray<string> Members, string? Underlying)
{
    /// <summary>The most bytes that the argument takes in keys of a template: escaping makes three of one.</summary>
    public int? EscapedBytesMax(KeyTemplate template)
    {
        var special = template.Special();
        return BytesMax is { } bytes && Characters is { } characters
            ? bytes * (characters.Any(c => special.IndexOf(c) >= 0) ? 3 : 1)
            : null;
    }
}
