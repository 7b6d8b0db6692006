using System.Diagnostics.CodeAnalysis;

namespace KvStore;

/// <summary>
/// What the factory of <see cref="KvGetOrCreateExtensions"/> returns when it decides how its value is stored, or that it is not.
/// </summary>
/// <typeparam name="T">The type of the value.</typeparam>
/// <param name="Value">The value, which the callers get.</param>
public readonly record struct KvCreated<T>(T Value)
{
    /// <summary>
    /// How long the value is fresh, in place of <see cref="KvGetOrCreateOptions.ExpirationTtl"/>; null for that of the options.
    /// </summary>
    public TimeSpan? ExpirationTtl { get; init; }

    /// <summary>JSON stored beside the value; see <see cref="KvPutOptions.Metadata"/>.</summary>
    public KvMetadata Metadata { get; init; }

    /// <summary>Whether the callers get the value and nothing is stored: the next call asks the factory again.</summary>
    public bool IsSkipped { get; private init; }

    /// <summary>A value that the callers get and that is not stored.</summary>
    /// <param name="value">The value.</param>
    /// <returns>What the factory returns.</returns>
    [SuppressMessage("Design", "CA1000", Justification = "The type of a factory is known where it is written.")]
    public static KvCreated<T> Skip(T value = default!) => new(value) { IsSkipped = true };
}
