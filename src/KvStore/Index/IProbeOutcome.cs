namespace KvStore.Index;

/// <summary>What a probe of a key's home bucket returns (<see cref="HashIndex.Probe"/>).</summary>
/// <typeparam name="TResult">The result of the probe.</typeparam>
internal interface IProbeOutcome<out TResult>
{
    /// <summary>The key has no value.</summary>
    TResult Absent();

    /// <summary>The home bucket does not decide: search for the key with <see cref="HashIndex.TryFind"/>.</summary>
    /// <param name="hash">The hash of the key.</param>
    TResult Uncertain(ulong hash);

    /// <summary>The key has a value, in memory, that has not expired.</summary>
    /// <param name="segment">The array with its record.</param>
    /// <param name="offset">The offset of the record in the array.</param>
    /// <param name="start">The first byte of the record.</param>
    /// <param name="hash">The hash of the key.</param>
    TResult Found(byte[] segment, int offset, ref byte start, ulong hash);
}
