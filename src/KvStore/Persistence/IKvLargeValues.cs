using System.Diagnostics.CodeAnalysis;

namespace KvStore;

/// <summary>Keeps large values outside memory: written once as they stream in, read as streams.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
public interface IKvLargeValues
{
    /// <summary>The length in bytes from which on a value should be kept here.</summary>
    int ThresholdBytes { get; }

    /// <summary>Begins a new value.</summary>
    /// <returns>A writer, which the caller disposes.</returns>
    /// <exception cref="KvPersistenceException">The provider has failed, or is read-only.</exception>
    /// <exception cref="ObjectDisposedException">The provider is closed.</exception>
    KvLargeValueWriter Create();

    /// <summary>
    /// Takes hold of a value: it stays readable until the returned object is disposed, even when it is released meanwhile, and can be
    /// opened again until the last one who holds it has disposed it.
    /// </summary>
    /// <param name="reference">Where it is.</param>
    /// <param name="value">The value, which the caller disposes.</param>
    /// <returns>
    /// False when it is no longer kept, which happens between looking up a key and calling this when the key is overwritten,
    /// deleted or expires: look the key up again, and when it still leads here, the entry has expired.
    /// </returns>
    bool TryOpen(KvValueReference reference, [NotNullWhen(true)] out KvLargeValue? value);

    /// <summary>
    /// Gives a value up, once: after the mutation that replaced or deleted it was appended (and, where that is waited for, is
    /// durable), after its deadline has passed, or because the put that it was made for was never appended.
    /// It is removed when nobody reads it any more and what replaced it is durable.
    /// </summary>
    /// <param name="reference">Where it is.</param>
    void Release(KvValueReference reference);
}
