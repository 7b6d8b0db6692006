namespace KvStore.Rules;

/// <summary>The limit on the length of a value, and the binding's message for a longer value.</summary>
internal static class ValueLimit
{
    /// <summary>Checks a length that is known.</summary>
    /// <exception cref="KvException">It is over the limit (413).</exception>
    public static void Check(long valueBytes, int valueBytesMax)
    {
        if (valueBytes > valueBytesMax)
        {
            Throw(valueBytes, valueBytesMax);
        }
    }

    private static void Throw(long valueBytes, int valueBytesMax) =>
        throw new KvException(413, "PUT", Invariant($"Value length of {valueBytes} exceeds limit of {valueBytesMax}.")) { ParamName = "value" };
}
